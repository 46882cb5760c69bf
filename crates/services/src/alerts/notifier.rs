//! Sends notices of the operator's alerts: to the topic of mail and SMS, and to the bus for incident tools.
//!
//! The bus and the queue deliver at least once. A notice is claimed before it is sent, and it is stored that it was sent, so that
//! a repeated message sends nothing (`docs/decisions/0075-notices-of-the-operators-alerts.md`).

use roadcast_codec::alert_notice::{self, InvalidNoticeMessage, NoticeMessage};
use roadcast_domain::alert_notice::AlertNotice;
use roadcast_domain::ids::Eid;
use roadcast_ports::alert_notices::{NoticeBus as _, NoticeClaim, NoticeTopic as _, SentNotices as _};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::port_set::PortSet;
use roadcast_ports::{PortError, error_chain};

/// How long a claim lasts, in milliseconds: twice as long as the function may run.
const CLAIM_MS: i64 = 60 * 1000;

/// Sends notices.
pub struct AlertNotifier<Ports: PortSet> {
    /// Which notices were sent.
    pub sent: Ports::SentNotices,
    /// The bus, from which incident tools get notices.
    pub bus: Ports::NoticeBus,
    /// The topic, from which people get notices.
    pub topic: Ports::NoticeTopic,
    /// The clock.
    pub clock: Ports::Clock,
    /// The stage, which notices state.
    pub stage: String,
}

/// The outcome of a message.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifierCounts {
    /// Notices that were sent.
    pub sent: usize,
    /// Notices that were sent before.
    pub repeated: usize,
    /// Events that are no alerts of the operator.
    pub ignored: usize,
}

/// Why a message must be delivered again.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// The message is not readable.
    #[error(transparent)]
    Message(#[from] InvalidNoticeMessage),
    /// Another invocation is sending the notice, or was interrupted while it did.
    #[error("notice {0} is being sent by another invocation, or one that was interrupted")]
    Held(Eid),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl<Ports: PortSet> AlertNotifier<Ports> {
    /// Sends the notices of a message of the queue. Can be repeated. What fails does not affect the rest of the message.
    pub async fn notify(&self, message: &str) -> Result<NotifierCounts, NotifierError> {
        let mut counts = NotifierCounts::default();
        let events = match alert_notice::decode(message)? {
            // It was published to the topic when it was first put on the bus.
            NoticeMessage::Notice(notice) => {
                self.bus.put(&notice).await?;
                return Ok(NotifierCounts { sent: 1, ..counts });
            }
            NoticeMessage::Events(events) => events,
        };
        let mut failed = None;
        for event in &events {
            let Some(notice) = AlertNotice::of_event(event, &self.stage) else {
                counts.ignored += 1;
                continue;
            };
            match self.send_once(&notice).await {
                Ok(true) => counts.sent += 1,
                Ok(false) => counts.repeated += 1,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(counts), Err)
    }

    /// Sends a notice, unless it was sent before. Returns whether it was sent now.
    async fn send_once(&self, notice: &AlertNotice) -> Result<bool, NotifierError> {
        let id = notice.notice_id;
        let now = self.clock.now();
        let until = now.plus_ms(CLAIM_MS);
        let mut on_bus = match self.sent.claim(id, now, until).await? {
            NoticeClaim::Granted { on_bus } => on_bus,
            NoticeClaim::Held => return Err(NotifierError::Held(id)),
            NoticeClaim::Sent => return Ok(false),
        };
        if let Err(error) = self.send(notice, &mut on_bus).await {
            if let Err(error) = self.sent.release(id, until, on_bus).await {
                let error = error_chain(&error);
                tracing::warn!(notice_id = %id, error, "notice {id} stays claimed until {until}: {error}");
            }
            return Err(error.into());
        }
        // If this fails, only another message about the same alert sends it again.
        if let Err(error) = self.sent.finish(id).await {
            let error = error_chain(&error);
            tracing::warn!(notice_id = %id, error, "it is not stored that notice {id} was sent: {error}");
        }
        Ok(true)
    }

    async fn send(&self, notice: &AlertNotice, on_bus: &mut bool) -> Result<(), PortError> {
        if !*on_bus {
            self.bus.put(notice).await?;
            *on_bus = true;
        }
        self.topic.publish(notice).await
    }
}

#[cfg(test)]
mod tests;
