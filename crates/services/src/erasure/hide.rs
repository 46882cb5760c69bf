//! The first step of an erasure: hides the vehicles.

use roadcast_domain::Timestamp;
use roadcast_domain::erasure::{ErasedName, ErasedStore, Erasure};
use roadcast_domain::ids::VehicleId;
use roadcast_domain::name_history::RELEASE_DELAY_MS;
use roadcast_domain::subject::VehicleName;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::erasure::VehicleErasure as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::vehicles::Vehicles as _;

use super::run::ErasureRun;

/// The end of the time of a name while its vehicle has it.
const UNKNOWN_END: Timestamp = Timestamp::from_ms(i64::MAX);

impl<Ports: PortSet> ErasureRun<Ports> {
    /// Stores the names of the vehicles in the record, so that archived records are found by them, and then hides the vehicles.
    /// Their grants are removed at once, because fleets read by grants.
    pub(super) async fn hide(&self, erasure: &mut Erasure) -> Result<(), PortError> {
        let mut visible = Vec::new();
        for vid in &erasure.vehicles {
            visible.extend(self.vehicles.get(vid).await?);
        }
        let before = erasure.names.len();
        for vehicle in &visible {
            for name in vehicle.names() {
                let since = self.held_since(&name, &vehicle.vid).await?.unwrap_or(vehicle.created_at);
                if !erasure.names.iter().any(|erased| erased.name == name && erased.since == since) {
                    erasure.names.push(ErasedName { name, since, until: UNKNOWN_END });
                }
            }
        }
        if erasure.names.len() > before {
            self.save(erasure).await?;
        }
        for vehicle in &visible {
            self.erasure.hide(vehicle, self.clock.now()).await?;
        }
        let hidden_at = self.clock.now();
        let mut next: Option<String> = None;
        loop {
            next = self.erasure.erase(ErasedStore::Grants, &erasure.scope(), next.as_deref()).await?.next;
            if next.is_none() {
                break;
            }
        }
        for index in 0..erasure.names.len() {
            let erased = &erasure.names[index];
            let until = self.end(&erased.name, hidden_at).await?.min(erased.until);
            erasure.names[index].until = until;
        }
        erasure.hidden_at = Some(hidden_at);
        erasure.second_pass_at = Some(hidden_at.plus_ms(self.second_pass_after_ms));
        Ok(())
    }

    /// Returns since when a vehicle has a name.
    async fn held_since(&self, name: &VehicleName, vid: &VehicleId) -> Result<Option<Timestamp>, PortError> {
        let history = self.vehicles.history(&name.clone().into()).await?;
        Ok(history.filter(|history| history.current() == Some(vid)).and_then(|history| history.current_since()))
    }

    /// Returns until when a name is one of the erased vehicles: until another vehicle took it.
    async fn end(&self, name: &VehicleName, hidden_at: Timestamp) -> Result<Timestamp, PortError> {
        let taken_at = self.vehicles.history(&name.clone().into()).await?.and_then(|history| history.current_since());
        let released_at = hidden_at.plus_ms(RELEASE_DELAY_MS);
        Ok(taken_at.map_or(released_at, |taken_at| taken_at.min(released_at)))
    }
}
