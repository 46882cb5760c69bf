//! What is to be done for each row.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::fleet::FleetState;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::subject::Subject;
use roadcast_domain::vehicle::ExternalId;
use roadcast_domain::vehicle_mapping::{AffirmedVersions, InvalidRow, RowFault, VehicleMapping};
use roadcast_domain::vin::Vin;
use roadcast_ports::PortError;
use roadcast_ports::bulk::{BulkFile, BulkFiles, ImportProgress, VehicleMappings};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::{VehicleNames, Vehicles};

use super::progress;
use super::reader::{NumberedRow, RowWindow};
use super::vehicle_import::VehicleImport;
use super::writer::mapping_of;

pub(super) const EXTERNAL_ID_TAKEN: InvalidRow = InvalidRow::new("/externalId", RowFault::ExternalIdTaken);
/// Fleets that are looked up at the same time.
const FLEETS_AT_ONCE: usize = 64;

/// What became of a row.
pub(super) type RowOutcome = progress::RowOutcome<InvalidRow>;

/// What is to be done for a row.
#[derive(Debug)]
pub(super) enum RowPlan<'w> {
    /// Nothing.
    Settled(RowOutcome),
    /// Its mapping is to be written, and its vehicle registered where it has no `vid` yet.
    Write { row: &'w NumberedRow, vid: Option<VehicleId>, outcome: RowOutcome },
}

/// What a row makes of what is kept: whether it is to be written, and what that is called.
pub(super) fn against(kept: &VehicleMapping, new: &VehicleMapping, affirmed: &AffirmedVersions) -> (bool, RowOutcome) {
    let same = kept.says_the_same_as(new);
    match affirmed.version_of(kept).cmp(&new.version) {
        Ordering::Greater => (false, RowOutcome::Superseded),
        // Its own row, written before this run went on from an older checkpoint.
        Ordering::Equal if kept.line == new.line && kept.version == new.version => (false, RowOutcome::Loaded),
        Ordering::Equal if same => (false, RowOutcome::Unchanged),
        Ordering::Equal => (false, RowOutcome::InvalidField(InvalidRow::whole(RowFault::Contradicts { line: kept.line }))),
        // The newer version is kept even so: a file between the two may still come.
        Ordering::Less => (true, if same { RowOutcome::Unchanged } else { RowOutcome::Loaded }),
    }
}

impl<B: BulkFiles, M: VehicleMappings, L: ImportProgress, V: Vehicles + VehicleNames, F: Fleets, K: Clock, R: Randomness>
    VehicleImport<B, M, L, V, F, K, R>
{
    /// What is to be done for each row of a window, in its order.
    pub(super) async fn plans<'w>(
        &self,
        file: &BulkFile,
        affirmed: &AffirmedVersions,
        window: &'w RowWindow,
    ) -> Result<Vec<RowPlan<'w>>, PortError> {
        let good = || window.rows.iter().flatten();
        let fleets = self.known_fleets(good().map(|row| &row.row.fleet_id).collect()).await?;
        let named = self.named(good()).await?;
        let vid = |row: &NumberedRow| named.get(&Subject::Vin(row.row.vin.clone())).cloned();
        let pairs: Vec<_> = good().filter_map(|row| Some((row.row.fleet_id.clone(), vid(row)?))).collect();
        let kept = self.map.get(&pairs).await?;
        let kept: BTreeMap<_, _> = pairs.into_iter().zip(kept).filter_map(|(pair, kept)| Some((pair, kept?))).collect();

        let mut conflicts = WindowConflicts::default();
        let plans = window.rows.iter().map(|row| {
            let row = match row {
                Ok(row) => row,
                Err((_, wrong)) => return RowPlan::Settled(RowOutcome::InvalidField(*wrong)),
            };
            let vid = vid(row);
            if !fleets.contains(&row.row.fleet_id) {
                return RowPlan::Settled(RowOutcome::InvalidField(InvalidRow::new("/fleetId", RowFault::FleetUnknown)));
            }
            if let Some(id) = &row.row.described.external_id
                && let Some(holder) = named.get(&Subject::External(id.clone()))
                && vid.as_ref() != Some(holder)
            {
                return RowPlan::Settled(RowOutcome::InvalidField(EXTERNAL_ID_TAKEN));
            }
            let before = vid.as_ref().and_then(|vid| kept.get(&(row.row.fleet_id.clone(), vid.clone())));
            let (write, outcome) = match (before, &vid) {
                (Some(before), Some(vid)) => against(before, &mapping_of(file, row, vid.clone()), affirmed),
                _ => (true, RowOutcome::Loaded),
            };
            if !write {
                return RowPlan::Settled(outcome);
            }
            match conflicts.outcome(row, vid.is_none()) {
                Some(outcome) => RowPlan::Settled(outcome),
                None => RowPlan::Write { row, vid, outcome },
            }
        });
        Ok(plans.collect())
    }

    async fn known_fleets(&self, asked: BTreeSet<&FleetId>) -> Result<BTreeSet<FleetId>, PortError> {
        let asked: Vec<_> = asked.into_iter().map(|fleet_id| self.fleets.get(fleet_id).boxed()).collect();
        let known: Vec<_> = stream::iter(asked).buffer_unordered(FLEETS_AT_ONCE).try_collect().await?;
        let customers = known.into_iter().flatten().filter(|fleet| fleet.state == FleetState::Active);
        Ok(customers.map(|fleet| fleet.fleet_id).collect())
    }

    /// Whom the VINs and external ids of the rows name, as far as they name anyone.
    async fn named<'w>(
        &self,
        rows: impl Iterator<Item = &'w NumberedRow>,
    ) -> Result<HashMap<Subject, VehicleId>, PortError> {
        let names: Vec<Subject> = rows
            .flat_map(|row| {
                let external = row.row.described.external_id.clone().map(Subject::External);
                std::iter::once(Subject::Vin(row.row.vin.clone())).chain(external)
            })
            .collect();
        let vids = self.vehicles.resolve_all(&names).await?;
        Ok(names.into_iter().zip(vids).filter_map(|(name, vid)| Some((name, vid?))).collect())
    }
}

/// What the rows of a window say that are written at the same time: the first that says something counts, as it would if
/// they were written one by one.
#[derive(Default)]
struct WindowConflicts<'w> {
    said: HashMap<(&'w FleetId, &'w Vin), &'w NumberedRow>,
    external_ids: HashMap<&'w ExternalId, &'w Vin>,
}

impl<'w> WindowConflicts<'w> {
    /// What becomes of a row for what stands above it in the window, if that decides; `registers` where its vehicle is new.
    fn outcome(&mut self, row: &'w NumberedRow, registers: bool) -> Option<RowOutcome> {
        let pair = (&row.row.fleet_id, &row.row.vin);
        if let Some(first) = self.said.get(&pair) {
            let same = first.row == row.row;
            let contradicts = RowOutcome::InvalidField(InvalidRow::whole(RowFault::Contradicts { line: first.line }));
            return Some(if same { RowOutcome::Unchanged } else { contradicts });
        }
        if let Some(id) = &row.row.described.external_id {
            if self.external_ids.get(id).is_some_and(|vin| *vin != &row.row.vin) {
                return Some(RowOutcome::InvalidField(EXTERNAL_ID_TAKEN));
            }
            if registers {
                self.external_ids.insert(id, &row.row.vin);
            }
        }
        self.said.insert(pair, row);
        None
    }
}
