//! Notices of the operator's alerts, which are recorded.

use std::collections::BTreeMap;

use roadcast_domain::alert_notice::AlertNotice;
use roadcast_domain::ids::Eid;
use roadcast_ports::PortError;
use roadcast_ports::alert_notices::{NoticeBus, NoticeClaim, NoticeTopic, SENT_NOTICE_DAYS, SentNotices};
use roadcast_signals::Timestamp;

use super::Memory;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What the ports of notices store.
#[derive(Debug, Default)]
pub(super) struct NoticeStore {
    claims: BTreeMap<Eid, Claim>,
    on_bus: Vec<AlertNotice>,
    published: Vec<AlertNotice>,
}

#[derive(Clone, Debug)]
struct Claim {
    until: Timestamp,
    expires_at: Timestamp,
    on_bus: bool,
    sent: bool,
}

impl Memory {
    /// Returns the notices that were put on the bus.
    pub fn notices_on_bus(&self) -> Vec<AlertNotice> {
        self.state().notices.on_bus.clone()
    }

    /// Returns the notices that were published to the topic.
    pub fn published_notices(&self) -> Vec<AlertNotice> {
        self.state().notices.published.clone()
    }
}

impl SentNotices for Memory {
    async fn claim(&self, notice_id: Eid, now: Timestamp, until: Timestamp) -> Result<NoticeClaim, PortError> {
        let mut state = self.state();
        let stored = state.notices.claims.get(&notice_id).filter(|claim| claim.expires_at > now);
        let on_bus = match stored {
            Some(Claim { sent: true, .. }) => return Ok(NoticeClaim::Sent),
            Some(claim) if claim.until > now => return Ok(NoticeClaim::Held),
            stored => stored.is_some_and(|claim| claim.on_bus),
        };
        let expires_at = now.plus_ms(SENT_NOTICE_DAYS * DAY_MS);
        state.notices.claims.insert(notice_id, Claim { until, expires_at, on_bus, sent: false });
        Ok(NoticeClaim::Granted { on_bus })
    }

    async fn release(&self, notice_id: Eid, until: Timestamp, on_bus: bool) -> Result<(), PortError> {
        if let Some(claim) = self.state().notices.claims.get_mut(&notice_id)
            && claim.until == until
            && !claim.sent
        {
            (claim.until, claim.on_bus) = (Timestamp::from_ms(0), on_bus);
        }
        Ok(())
    }

    async fn finish(&self, notice_id: Eid) -> Result<(), PortError> {
        if let Some(claim) = self.state().notices.claims.get_mut(&notice_id) {
            claim.sent = true;
        }
        Ok(())
    }
}

impl NoticeBus for Memory {
    async fn put(&self, notice: &AlertNotice) -> Result<(), PortError> {
        self.state().notices.on_bus.push(notice.clone());
        Ok(())
    }
}

impl NoticeTopic for Memory {
    async fn publish(&self, notice: &AlertNotice) -> Result<(), PortError> {
        self.state().notices.published.push(notice.clone());
        Ok(())
    }
}
