//! Notices of the operator's alerts.

use std::future::Future;

use roadcast_domain::alert_notice::AlertNotice;
use roadcast_domain::ids::Eid;
use roadcast_signals::Timestamp;

use crate::PortError;

/// How long it is known that a notice was sent, in days: as long as its queue keeps messages.
pub const SENT_NOTICE_DAYS: i64 = 14;

/// Whether a notice may be sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NoticeClaim {
    /// It may: the caller has it until the end of the claim.
    Granted {
        /// Whether it is on the bus already.
        on_bus: bool,
    },
    /// Another caller is sending it, or was interrupted while it did.
    Held,
    /// It was sent.
    Sent,
}

/// Which notices were sent.
pub trait SentNotices: Send + Sync {
    /// Claims a notice from `now` until `until`, unless it was sent or another claim has not ended.
    fn claim(
        &self,
        notice_id: Eid,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = Result<NoticeClaim, PortError>> + Send;

    /// Ends the claim until `until`, so that the notice can be claimed again, and states whether it is on the bus. Has no effect if
    /// the notice was claimed again meanwhile.
    fn release(&self, notice_id: Eid, until: Timestamp, on_bus: bool) -> impl Future<Output = Result<(), PortError>> + Send;

    /// States that the notice was sent. This is known for [`SENT_NOTICE_DAYS`] after its claim.
    fn finish(&self, notice_id: Eid) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The ingest bus, whose rules send notices to incident tools.
pub trait NoticeBus: Send + Sync {
    /// Puts a notice on the bus.
    fn put(&self, notice: &AlertNotice) -> impl Future<Output = Result<(), PortError>> + Send;
}

/// The topic of the operator's alerts, to which mail, SMS and programs are subscribed.
pub trait NoticeTopic: Send + Sync {
    /// Publishes a notice: its texts for mail and SMS, and the notice itself as JSON for all other subscribers.
    fn publish(&self, notice: &AlertNotice) -> impl Future<Output = Result<(), PortError>> + Send;
}
