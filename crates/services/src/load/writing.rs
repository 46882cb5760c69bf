//! Writing what is to be written of a window: first the vehicles that nobody knows, then the mappings.

use std::collections::{HashMap, HashSet};

use roadcast_domain::ids::{FleetId, VehicleId};
use roadcast_domain::mapping::{Affirmed, Mapping, RowFault, WrongRow};
use roadcast_domain::vehicle::{ExternalId, Vehicle};
use roadcast_domain::vin::Vin;
use roadcast_ports::bulk::{BulkFile, BulkFiles, Loads, Put, VehicleMap};
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::fleets::Fleets;
use roadcast_ports::vehicles::{Names, Registered, Vehicles};
use roadcast_ports::{PortError, PortErrorKind};

use super::Load;
use super::judge::{EXTERNAL_ID_TAKEN, Fate, Plan, against};
use super::reading::Numbered;

/// What a new vehicle is known by. Rows that name the same are one vehicle, whichever customers they are of.
type NewName<'w> = (&'w Vin, Option<&'w ExternalId>);
/// The vehicles of names that were new, or what is wrong with the rows that name them.
type Named<'w> = HashMap<NewName<'w>, Result<VehicleId, WrongRow>>;

impl<B: BulkFiles, M: VehicleMap, L: Loads, V: Vehicles + Names, F: Fleets, K: Clock, R: Randomness>
    Load<B, M, L, V, F, K, R>
{
    /// Does what is to be done for each row of a window, and answers in their order. What the stores refuse for good is the
    /// row's fault, not the file's.
    pub(super) async fn carry_out(
        &self,
        file: &BulkFile,
        affirmed: &Affirmed,
        plans: Vec<Plan<'_>>,
    ) -> Result<Vec<Fate>, PortError> {
        let named = self.register(&plans).await?;
        let (mut fates, mut places, mut mappings) = (Vec::with_capacity(plans.len()), Vec::new(), Vec::new());
        for plan in plans {
            fates.push(match plan {
                Plan::Settled(fate) => fate,
                Plan::Write { row, vid, fate } => match vid.map_or_else(|| registered(&named, row), Ok) {
                    Ok(vid) => {
                        places.push(fates.len());
                        mappings.push(mapping_of(file, row, vid));
                        fate
                    }
                    Err(wrong) => Fate::Wrong(wrong),
                },
            });
        }
        let mut overtaken = Vec::new();
        for ((place, mapping), put) in places.into_iter().zip(&mappings).zip(self.map.put_all(&mappings).await?) {
            match put {
                Ok(Put::Kept) => {}
                Ok(Put::Older) => overtaken.push((place, mapping)),
                Err(error) => fates[place] = Fate::Wrong(unstorable(&error)),
            }
        }
        // Somebody was there in between: what is kept now decides.
        let pairs: Vec<_> = overtaken.iter().map(|(_, mapping)| pair_of(mapping)).collect();
        for ((place, mapping), kept) in overtaken.into_iter().zip(self.map.get(&pairs).await?) {
            if let Some(kept) = kept {
                fates[place] = against(&kept, mapping, affirmed).1;
            }
        }
        Ok(fates)
    }

    /// The vehicles that are to be registered, those that somebody was quicker to register too.
    async fn register<'w>(&self, plans: &[Plan<'w>]) -> Result<Named<'w>, PortError> {
        let (mut names, mut vehicles, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for plan in plans {
            if let Plan::Write { row, vid: None, .. } = *plan
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

    fn vehicle_of(&self, row: &Numbered) -> Vehicle {
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
    answer: Result<Registered, PortError>,
) -> Result<Result<VehicleId, WrongRow>, PortError> {
    match answer {
        Ok(Registered::New) => Ok(Ok(vehicle.vid)),
        Ok(Registered::Known(known)) if known.details.vin.as_ref() == Some(vin) => Ok(Ok(known.vid)),
        Ok(Registered::Known(_)) => Ok(Err(EXTERNAL_ID_TAKEN)),
        Err(error) if error.kind() != PortErrorKind::Conflict => Ok(Err(unstorable(&error))),
        Err(_) if external_id.is_some() => Ok(Err(EXTERNAL_ID_TAKEN)),
        // Many at once were at the one name: it is known by the next run.
        Err(error) => Err(PortError::new(PortErrorKind::Unavailable, "registering a vehicle").caused_by(error)),
    }
}

fn registered(named: &Named<'_>, row: &Numbered) -> Result<VehicleId, WrongRow> {
    // Each row that is to be written and has no vehicle was registered.
    named.get(&name_of(row)).cloned().unwrap_or(Err(WrongRow::whole(RowFault::Unstorable)))
}

fn name_of(row: &Numbered) -> NewName<'_> {
    (&row.row.vin, row.row.described.external_id.as_ref())
}

fn pair_of(mapping: &Mapping) -> (FleetId, VehicleId) {
    (mapping.fleet_id.clone(), mapping.vid.clone())
}

fn unstorable(error: &PortError) -> WrongRow {
    tracing::warn!(error = %error, "a row is refused: {error}");
    WrongRow::whole(RowFault::Unstorable)
}

/// What a row says of a customer and a vehicle.
pub(super) fn mapping_of(file: &BulkFile, numbered: &Numbered, vid: VehicleId) -> Mapping {
    let row = &numbered.row;
    Mapping {
        fleet_id: row.fleet_id.clone(),
        vid,
        described: row.described.clone(),
        removed: row.removed,
        version: file.version.clone(),
        line: numbered.line,
    }
}
