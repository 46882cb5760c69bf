//! A stretch of a vehicle's log, read to its end.

use roadcast_domain::event::StoredEvent;
use roadcast_ports::PortError;
use roadcast_ports::event_log::{EventLog, EventRange};

/// Events of one page.
pub(crate) const PAGE: usize = 1000;

/// Hands every event of the range to `take`, page by page, so that no more than a page is held beside what is taken.
pub(crate) async fn read(
    log: &impl EventLog,
    mut range: EventRange,
    mut take: impl FnMut(StoredEvent) + Send,
) -> Result<(), PortError> {
    while range.from <= range.to {
        let page = log.range(&range).await?;
        page.events.into_iter().for_each(&mut take);
        let Some(next) = page.next else { break };
        range.from = next;
    }
    Ok(())
}
