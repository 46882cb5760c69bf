//! Writing what is to be written of a window: first the vehicles that nobody knows, then the mappings.

use std::collections::{HashMap, HashSet};

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle::{ExternalId, Vehicle};
use roadcast_domain::vehicle_mapping::{AffirmedVersions, InvalidRow, RowFault, VehicleMapping};
use roadcast_domain::vin::Vin;
use roadcast_ports::bulk::{BulkFile, BulkFiles, ImportProgress, PutOutcome, VehicleMappings};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::{VehicleNames, VehicleRegistration, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use super::reader::NumberedRow;
use super::row_outcome::{EXTERNAL_ID_TAKEN, RowOutcome, RowPlan, against};
use super::vehicle_import::VehicleImport;

/// What a new vehicle is known by. Rows that name the same are one vehicle, whichever customers they are of.
type NewName<'w> = (&'w Vin, Option<&'w ExternalId>);
/// The vehicles of names that were new, or what is wrong with the rows that name them.
type Named<'w> = HashMap<NewName<'w>, Result<VehicleId, InvalidRow>>;

impl<B: BulkFiles, M: VehicleMappings, L: ImportProgress, V: Vehicles + VehicleNames, F: Fleets, K: Clock, R: Randomness>
    VehicleImport<B, M, L, V, F, K, R>
{
    /// Does what is to be done for each row of a window, and answers in their order. What the stores refuse for good is the
    /// row's fault, not the file's.
    pub(super) async fn execute(
        &self,
        file: &BulkFile,
        affirmed: &AffirmedVersions,
        plans: Vec<RowPlan<'_>>,
    ) -> Result<Vec<RowOutcome>, PortError> {
        let named = self.register(&plans).await?;
        let (mut outcomes, mut places, mut mappings) = (Vec::with_capacity(plans.len()), Vec::new(), Vec::new());
        for plan in plans {
            outcomes.push(match plan {
                RowPlan::Settled(outcome) => outcome,
                RowPlan::Write { row, vid, outcome } => match vid.map_or_else(|| registered(&named, row), Ok) {
                    Ok(vid) => {
                        places.push(outcomes.len());
                        mappings.push(mapping_of(file, row, vid));
                        outcome
                    }
                    Err(wrong) => RowOutcome::InvalidField(wrong),
                },
            });
        }
        let mut overtaken = Vec::new();
        for ((place, mapping), put) in places.into_iter().zip(&mappings).zip(self.map.put_all(&mappings).await?) {
            match put {
                Ok(PutOutcome::Kept) => {}
                Ok(PutOutcome::Older) => overtaken.push((place, mapping)),
                Err(error) => outcomes[place] = RowOutcome::InvalidField(unstorable(&error)),
            }
        }
        // Somebody was there in between: what is kept now decides.
        let pairs: Vec<_> = overtaken.iter().map(|(_, mapping)| pair_of(mapping)).collect();
        for ((place, mapping), kept) in overtaken.into_iter().zip(self.map.get(&pairs).await?) {
            if let Some(kept) = kept {
                outcomes[place] = against(&kept, mapping, affirmed).1;
            }
        }
        Ok(outcomes)
    }

    /// The vehicles that are to be registered, those that somebody was quicker to register too.
    async fn register<'w>(&self, plans: &[RowPlan<'w>]) -> Result<Named<'w>, PortError> {
        let (mut names, mut vehicles, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for plan in plans {
            if let RowPlan::Write { row, vid: None, .. } = *plan
                && seen.insert(name_of(row))
            {
                names.push(name_of(row));
                vehicles.push(self.vehicle_of(row));
            }
        }
        let each = self.vehicles.register_all(&vehicles).await?;
        let answers = names.into_iter().zip(vehicles).zip(each);
        answers.map(|((name, vehicle), answer)| Ok((name, vid_of(name, vehicle, answer)?))).collect()
    }

    fn vehicle_of(&self, row: &NumberedRow) -> Vehicle {
        let now = self.clock.now();
        Vehicle {
            vid: VehicleId::from_random(self.randomness.bits()),
            details: row.row.vehicle(),
            version: 1,
            owner: None,
            retired_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// The vehicle that has that name now.
fn vid_of(
    (vin, external_id): NewName<'_>,
    vehicle: Vehicle,
    answer: Result<VehicleRegistration, PortError>,
) -> Result<Result<VehicleId, InvalidRow>, PortError> {
    match answer {
        Ok(VehicleRegistration::New) => Ok(Ok(vehicle.vid)),
        Ok(VehicleRegistration::Existing(known)) if known.details.vin.as_ref() == Some(vin) => Ok(Ok(known.vid)),
        Ok(VehicleRegistration::Existing(_)) => Ok(Err(EXTERNAL_ID_TAKEN)),
        Err(error) if error.kind() != PortErrorKind::Conflict => Ok(Err(unstorable(&error))),
        Err(_) if external_id.is_some() => Ok(Err(EXTERNAL_ID_TAKEN)),
        // Many at once were at the one name: it is known by the next run.
        Err(error) => Err(PortError::new(PortErrorKind::Unavailable, "registering a vehicle").caused_by(error)),
    }
}

fn registered(named: &Named<'_>, row: &NumberedRow) -> Result<VehicleId, InvalidRow> {
    // Each row that is to be written and has no vehicle was registered.
    named.get(&name_of(row)).cloned().unwrap_or(Err(InvalidRow::whole(RowFault::Unstorable)))
}

fn name_of(row: &NumberedRow) -> NewName<'_> {
    (&row.row.vin, row.row.described.external_id.as_ref())
}

fn pair_of(mapping: &VehicleMapping) -> (FleetId, VehicleId) {
    (mapping.fleet_id.clone(), mapping.vid.clone())
}

fn unstorable(error: &PortError) -> InvalidRow {
    tracing::warn!(error = %error, "a row is refused: {error}");
    InvalidRow::whole(RowFault::Unstorable)
}

/// What a row says of a customer and a vehicle.
pub(super) fn mapping_of(file: &BulkFile, numbered: &NumberedRow, vid: VehicleId) -> VehicleMapping {
    let row = &numbered.row;
    VehicleMapping {
        fleet_id: row.fleet_id.clone(),
        vid,
        described: row.described.clone(),
        removed: row.removed,
        version: file.version.clone(),
        line: numbered.line,
    }
}
