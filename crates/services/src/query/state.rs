//! A vehicle's last-known values, redacted to what the caller may see.

use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_domain::ids::VehicleId;
use roadcast_domain::state::VehicleState;
use roadcast_ports::clock::Clock;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::state::StateStore;

use super::vehicle_queries::VehicleQueries;
use super::visibility::Visibility;
use crate::authz::Reader;
use crate::{ServiceError, log_scan};

/// Queries the last-known values of vehicles.
pub struct StateQueries<Ports: PortSet> {
    /// The queries of the log, which holds the newest events that are not merged into the state.
    pub queries: VehicleQueries<Ports>,
    /// The stored last-known values.
    pub state: Ports::StateStore,
}

impl<Ports: PortSet> StateQueries<Ports> {
    /// Returns the last-known values that the caller may see, and the time of reading.
    pub async fn state(&self, reader: &Reader, vid: &VehicleId) -> Result<(VehicleState, Timestamp), ServiceError> {
        let read = async |visibility: Visibility| {
            let mut state = self.merged_state(vid).await?;
            let now = self.queries.clock.now();
            if let Visibility::Redacted { entitlement, packages, .. } = &visibility {
                state.signals.retain(|path, last_known| {
                    path.def().is_some()
                        && entitlement.coverage(packages, last_known.received, now).contains_signal(path.as_str())
                });
            }
            Ok((state, now))
        };
        self.queries.with_visibility(reader, vid, read).await
    }

    /// Returns the stored state merged with the unmerged tail of the log.
    async fn merged_state(&self, vid: &VehicleId) -> Result<VehicleState, ServiceError> {
        let mut state = self.state.read(vid).await?.state;
        if let Some(watermark) = state.watermark {
            let merge = |stored: StoredEvent| {
                state.merge_event(&stored.event);
            };
            log_scan::scan_unmerged_tail(&self.queries.log, vid, watermark, merge).await?;
        }
        Ok(state)
    }
}
