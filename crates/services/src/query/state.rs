//! A vehicle's last-known values, redacted to what the caller may see.

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::EventLog;
use roadcast_ports::state::StateStore;
use roadcast_ports::vehicles::Vehicles;

use super::vehicle_events::{VehicleQueries, Visibility};
use crate::{ServiceError, log_scan};

impl<V: Vehicles, E: Entitlements, L: EventLog, S: StateStore, K: Clock> VehicleQueries<V, E, L, S, K> {
    /// Returns the last-known values that the caller may see, and the time of reading.
    pub async fn state(&self, caller: &Caller, vid: &VehicleId) -> Result<(VehicleState, Timestamp), ServiceError> {
        let visibility = self.visibility(caller, vid).await?;
        let mut state = self.merged_state(vid).await?;
        let now = self.clock.now();
        if let Visibility::Redacted(entitlement, packages) = &visibility {
            state.signals.retain(|path, last_known| {
                path.def().is_some()
                    && entitlement.coverage(packages, last_known.received, now).contains_signal(path.as_str())
            });
        }
        Ok((state, now))
    }

    /// Returns the stored state merged with the unmerged tail of the log.
    async fn merged_state(&self, vid: &VehicleId) -> Result<VehicleState, ServiceError> {
        let mut state = self.state.read(vid).await?.state;
        if let Some(watermark) = state.watermark {
            for stored in log_scan::unmerged_tail(&self.log, vid, watermark).await? {
                state.merge_event(&stored.event);
            }
        }
        Ok(state)
    }
}
