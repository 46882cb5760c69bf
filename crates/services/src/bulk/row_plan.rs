//! Plans what to do for each row of a window of vehicle mappings.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::fleet::FleetState;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::subject::VehicleName;
use roadcast_domain::vehicle_mapping::{ConfirmedVersions, InvalidRow, RowFault};
use roadcast_domain::vin::Vin;
use roadcast_ports::PortError;
use roadcast_ports::bulk::{BulkFile, VehicleMappings};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::VehicleNames;

use super::reader::{NumberedRow, RowWindow};
use super::row_outcome::{EXTERNAL_ID_TAKEN, MappingOutcome, RowOutcome, compare_with_stored, mapping_of};
use super::vehicle_import::VehicleImport;

/// Fleets read concurrently.
const FLEET_CONCURRENCY: usize = 64;

/// What to do for a row.
#[derive(Debug)]
pub(super) enum RowPlan<'w> {
    /// Nothing; the outcome is final.
    Settled(MappingOutcome),
    /// Write the row's mapping, and register its vehicle first if `vid` is `None`.
    Write { row: &'w NumberedRow, vid: Option<VehicleId>, outcome: MappingOutcome },
}

impl<Ports: PortSet> VehicleImport<Ports> {
    /// Returns a plan for each row of a window, in order.
    pub(super) async fn plan_rows<'w>(
        &self,
        file: &BulkFile,
        confirmed: &ConfirmedVersions,
        window: &'w RowWindow,
    ) -> Result<Vec<RowPlan<'w>>, PortError> {
        let valid = || window.rows.iter().flatten();
        let fleets = self.active_fleets(valid().map(|row| &row.row.fleet_id).collect()).await?;
        let vids = self.resolve_names(valid()).await?;
        let vid = |row: &NumberedRow| vids.get(&VehicleName::Vin(row.row.vin.clone())).cloned();
        let pairs: Vec<_> = valid().filter_map(|row| Some((row.row.fleet_id.clone(), vid(row)?))).collect();
        let stored = self.mappings.get(&pairs).await?;
        let stored: BTreeMap<_, _> =
            pairs.into_iter().zip(stored).filter_map(|(pair, stored)| Some((pair, stored?))).collect();

        let mut conflicts = WindowConflicts::default();
        let plans = window.rows.iter().map(|row| {
            let row = match row {
                Ok(row) => row,
                Err((_, fault)) => return RowPlan::Settled(RowOutcome::Invalid(*fault)),
            };
            let vid = vid(row);
            if !fleets.contains(&row.row.fleet_id) {
                return RowPlan::Settled(RowOutcome::Invalid(InvalidRow::new("fleetId", RowFault::FleetUnknown)));
            }
            if let Some(id) = &row.row.details.external_id
                && let Some(holder) = vids.get(&VehicleName::External(id.clone()))
                && vid.as_ref() != Some(holder)
            {
                return RowPlan::Settled(RowOutcome::Invalid(EXTERNAL_ID_TAKEN));
            }
            let before = vid.as_ref().and_then(|vid| stored.get(&(row.row.fleet_id.clone(), vid.clone())));
            let (write, outcome) = match (before, &vid) {
                (Some(before), Some(vid)) => compare_with_stored(before, &mapping_of(file, row, vid.clone()), confirmed),
                _ => (true, RowOutcome::Loaded),
            };
            if !write {
                return RowPlan::Settled(outcome);
            }
            match conflicts.check(row, vid.is_none()) {
                Some(outcome) => RowPlan::Settled(outcome),
                None => RowPlan::Write { row, vid, outcome },
            }
        });
        Ok(plans.collect())
    }

    /// Returns those of the fleets that are active.
    async fn active_fleets(&self, fleet_ids: BTreeSet<&FleetId>) -> Result<BTreeSet<FleetId>, PortError> {
        let reads: Vec<_> = fleet_ids.into_iter().map(|fleet_id| self.fleets.get(fleet_id).boxed()).collect();
        let fleets: Vec<_> = stream::iter(reads).buffer_unordered(FLEET_CONCURRENCY).try_collect().await?;
        let active = fleets.into_iter().flatten().filter(|fleet| fleet.state == FleetState::Active);
        Ok(active.map(|fleet| fleet.fleet_id).collect())
    }

    /// Returns the vehicles of the rows' VINs and external ids, as far as they are registered.
    async fn resolve_names<'w>(
        &self,
        rows: impl Iterator<Item = &'w NumberedRow>,
    ) -> Result<HashMap<VehicleName, VehicleId>, PortError> {
        let names: Vec<VehicleName> = rows
            .flat_map(|row| {
                let external_id = row.row.details.external_id.clone().map(VehicleName::External);
                std::iter::once(VehicleName::Vin(row.row.vin.clone())).chain(external_id)
            })
            .collect();
        let vids = self.vehicle_names.resolve_all(&names).await?;
        Ok(names.into_iter().zip(vids).filter_map(|(name, vid)| Some((name, vid?))).collect())
    }
}

/// Detects conflicts between rows of a window. Its rows are written concurrently, but the first of conflicting rows
/// applies, as if they were written one by one.
#[derive(Default)]
struct WindowConflicts<'w> {
    pairs: HashMap<(&'w FleetId, &'w Vin), &'w NumberedRow>,
    external_ids: HashMap<&'w ExternalId, &'w Vin>,
}

impl<'w> WindowConflicts<'w> {
    /// Returns the outcome of a row if an earlier row of the window determines it. `registers` is whether the row's vehicle
    /// is new.
    fn check(&mut self, row: &'w NumberedRow, registers: bool) -> Option<MappingOutcome> {
        let pair = (&row.row.fleet_id, &row.row.vin);
        if let Some(first) = self.pairs.get(&pair) {
            let is_same = first.row == row.row;
            let contradicts = RowOutcome::Invalid(InvalidRow::entire_row(RowFault::Contradicts { line: first.line }));
            return Some(if is_same { RowOutcome::Unchanged } else { contradicts });
        }
        if let Some(id) = &row.row.details.external_id {
            if self.external_ids.get(id).is_some_and(|vin| *vin != &row.row.vin) {
                return Some(RowOutcome::Invalid(EXTERNAL_ID_TAKEN));
            }
            if registers {
                self.external_ids.insert(id, &row.row.vin);
            }
        }
        self.pairs.insert(pair, row);
        None
    }
}
