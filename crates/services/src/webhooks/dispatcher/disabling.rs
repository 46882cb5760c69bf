//! Disables endpoints, and notifies the fleet.

use roadcast_domain::Timestamp;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::webhook::{DisabledReason, Endpoint, EndpointStatus};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::webhooks::Endpoints as _;
use roadcast_ports::{PortError, PortErrorKind};

use super::Dispatcher;
use super::report::TaskReport;
use crate::webhooks::notices::{disabled_notice, send_notice};

/// How long after an endpoint was disabled its notices are sent again with each delivery that fails because of it, in
/// milliseconds: the function may have been interrupted before it sent them. A repeated notice is one delivery.
const NOTICE_MS: i64 = 15 * 60 * 1000;

impl<Ports: PortSet> Dispatcher<Ports> {
    /// Disables an endpoint, unless the fleet changed it since. Does not write the fleet.
    pub(super) async fn disable(
        &self,
        attempted: &Endpoint,
        reason: DisabledReason,
        report: &mut TaskReport,
    ) -> Result<(), PortError> {
        let stored = self.stored_endpoints.get(&attempted.fleet_id, &attempted.endpoint_id).await?;
        // A fleet that changed the endpoint since the attempt started may have corrected the cause.
        let Some(stored) = stored.filter(|stored| stored.version == attempted.version) else { return Ok(()) };
        if stored.status != EndpointStatus::Active {
            return Ok(());
        }
        let at = self.clock.now();
        let disabled = Endpoint { status: EndpointStatus::Disabled { reason, at }, updated_at: at, ..stored.clone() };
        let change = Change::endpoint_changed(Author::Delivery, Some(&stored), &disabled, at);
        match self.stored_endpoints.replace(&disabled, None, &change).await {
            Ok(()) => {}
            Err(error) if error.kind() == PortErrorKind::Conflict => return Ok(()),
            Err(error) => return Err(error),
        }
        self.endpoints.forget(&stored);
        report.disabled = Some((stored.endpoint_id.clone(), reason));
        self.send_notices(&disabled, reason, at).await
    }

    /// Sends the notices again if the endpoint was disabled a short time ago.
    pub(super) async fn repeat_notices(
        &self,
        disabled: &Endpoint,
        reason: DisabledReason,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<(), PortError> {
        if now.ms_since(at) < NOTICE_MS { self.send_notices(disabled, reason, at).await } else { Ok(()) }
    }

    /// Makes a delivery of the notice for each other endpoint of the fleet that names its type.
    async fn send_notices(&self, disabled: &Endpoint, reason: DisabledReason, at: Timestamp) -> Result<(), PortError> {
        let endpoints = self.endpoints.list(&disabled.fleet_id).await?;
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.endpoint_id != disabled.endpoint_id) {
            if let Some(notice) = disabled_notice(endpoint, &disabled.endpoint_id, reason, at)? {
                send_notice(&self.deliveries, &self.queue, endpoint, &notice).await?;
            }
        }
        Ok(())
    }
}
