//! Executes the plans of a window: registers new vehicles, then writes mappings.

use std::collections::{HashMap, HashSet};

use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::vehicle::Vehicle;
use roadcast_domain::vehicle_mapping::{ConfirmedVersions, InvalidRow, RowFault, VehicleMapping};
use roadcast_domain::vin::Vin;
use roadcast_ports::bulk::{BulkFile, PutOutcome, VehicleMappings};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::{VehicleRegistration, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use super::reader::NumberedRow;
use super::row_outcome::{EXTERNAL_ID_TAKEN, MappingOutcome, RowOutcome, compare_with_stored, mapping_of};
use super::row_plan::RowPlan;
use super::vehicle_import::VehicleImport;

/// The names of a new vehicle. Rows with equal names describe one vehicle, even if their fleets differ.
type NewVehicleName<'w> = (&'w Vin, Option<&'w ExternalId>);
/// The results of registering vehicles, by new name.
type NameRegistrations<'w> = HashMap<NewVehicleName<'w>, NameRegistration>;

/// The result of registering a vehicle with a new name.
enum NameRegistration {
    /// This vehicle has the name now.
    Registered(VehicleId),
    /// No vehicle can have the name: every row with it has this fault.
    Refused(InvalidRow),
}

impl<Ports: PortSet> VehicleImport<Ports> {
    /// Executes the plans of a window and returns the outcomes, in order. If a store rejects a row permanently, the row is
    /// invalid, not the file.
    pub(super) async fn execute_plans(
        &self,
        file: &BulkFile,
        confirmed: &ConfirmedVersions,
        plans: Vec<RowPlan<'_>>,
    ) -> Result<Vec<MappingOutcome>, PortError> {
        let vehicles = self.register_new(&plans).await?;
        let (mut outcomes, mut indices, mut mappings) = (Vec::with_capacity(plans.len()), Vec::new(), Vec::new());
        for plan in plans {
            outcomes.push(match plan {
                RowPlan::Settled(outcome) => outcome,
                RowPlan::Write { row, vid, outcome } => match vid.map_or_else(|| registered_vid(&vehicles, row), Ok) {
                    Ok(vid) => {
                        indices.push(outcomes.len());
                        mappings.push(mapping_of(file, row, vid));
                        outcome
                    }
                    Err(fault) => RowOutcome::Invalid(fault),
                },
            });
        }
        let mut not_newer = Vec::new();
        for ((index, mapping), put) in indices.into_iter().zip(&mappings).zip(self.mappings.put_all(&mappings).await?) {
            match put {
                Ok(PutOutcome::Stored) => {}
                Ok(PutOutcome::NotNewer) => not_newer.push((index, mapping)),
                Err(error) => outcomes[index] = RowOutcome::Invalid(unstorable(&error)),
            }
        }
        // Lost a concurrent update: the outcome depends on the mapping that is stored now.
        let pairs: Vec<_> = not_newer.iter().map(|(_, mapping)| pair_of(mapping)).collect();
        for ((index, mapping), stored) in not_newer.into_iter().zip(self.mappings.get(&pairs).await?) {
            if let Some(stored) = stored {
                outcomes[index] = compare_with_stored(&stored, mapping, confirmed).1;
            }
        }
        Ok(outcomes)
    }

    /// Registers the vehicles of new names. Includes vehicles that were registered concurrently.
    async fn register_new<'w>(&self, plans: &[RowPlan<'w>]) -> Result<NameRegistrations<'w>, PortError> {
        let (mut names, mut vehicles, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for plan in plans {
            if let RowPlan::Write { row, vid: None, .. } = *plan
                && seen.insert(name_of(row))
            {
                names.push(name_of(row));
                vehicles.push(self.vehicle_of(row));
            }
        }
        let results = self.vehicles.register_all(&vehicles).await?;
        let registrations = names.into_iter().zip(vehicles).zip(results);
        registrations.map(|((name, vehicle), result)| Ok((name, name_registration(name, vehicle, result)?))).collect()
    }

    /// Returns the new vehicle that a row describes.
    fn vehicle_of(&self, row: &NumberedRow) -> Vehicle {
        let now = self.clock.now();
        Vehicle {
            vid: VehicleId::from_random_bits(self.randomness.bits()),
            details: row.row.vehicle(),
            version: 1,
            owner: None,
            retired_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Returns the vehicle that has the name now, or the fault of the rows with that name. Fails if a retry can change this.
fn name_registration(
    (vin, external_id): NewVehicleName<'_>,
    vehicle: Vehicle,
    result: Result<VehicleRegistration, PortError>,
) -> Result<NameRegistration, PortError> {
    use NameRegistration::{Refused, Registered};
    match result {
        Ok(VehicleRegistration::New) => Ok(Registered(vehicle.vid)),
        Ok(VehicleRegistration::Existing(existing)) if existing.details.vin.as_ref() == Some(vin) => {
            Ok(Registered(existing.vid))
        }
        Ok(VehicleRegistration::Existing(_)) => Ok(Refused(EXTERNAL_ID_TAKEN)),
        Err(error) if error.kind() != PortErrorKind::Conflict => Ok(Refused(unstorable(&error))),
        Err(_) if external_id.is_some() => Ok(Refused(EXTERNAL_ID_TAKEN)),
        // Concurrent registrations of the same name: the next run finds the registered vehicle.
        Err(error) => Err(PortError::new(PortErrorKind::Unavailable, "register a vehicle").caused_by(error)),
    }
}

fn registered_vid(vehicles: &NameRegistrations<'_>, row: &NumberedRow) -> Result<VehicleId, InvalidRow> {
    match vehicles.get(&name_of(row)) {
        Some(NameRegistration::Registered(vid)) => Ok(vid.clone()),
        Some(NameRegistration::Refused(fault)) => Err(*fault),
        // Cannot happen: `register_new` has registered the vehicle of every row without one.
        None => Err(InvalidRow::entire_row(RowFault::Unstorable)),
    }
}

fn name_of(row: &NumberedRow) -> NewVehicleName<'_> {
    (&row.row.vin, row.row.details.external_id.as_ref())
}

fn pair_of(mapping: &VehicleMapping) -> (FleetId, VehicleId) {
    (mapping.fleet_id.clone(), mapping.vid.clone())
}

fn unstorable(error: &PortError) -> InvalidRow {
    tracing::warn!(error = %error, "a store rejected a row: {error}");
    InvalidRow::entire_row(RowFault::Unstorable)
}
