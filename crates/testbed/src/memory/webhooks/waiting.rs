use std::collections::BTreeMap;
use std::ops::Bound;

use roadcast_domain::ids::DeliveryId;
use roadcast_ports::PortError;
use roadcast_ports::webhooks::{DueLine, LineContent, WaitingDeliveries, WaitingDelivery, WaitingLine};
use roadcast_signals::Timestamp;

use crate::memory::Memory;

/// A line. It is kept when it is empty, because its revision must never repeat.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// When it is due; `None` if it is not scheduled.
    due_at: Option<Timestamp>,
    revision: u64,
    waiting: BTreeMap<DeliveryId, WaitingDelivery>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn due_at(&self) -> Option<Timestamp> {
        self.due_at
    }
}

impl WaitingDeliveries for Memory {
    async fn add(&self, line: &WaitingLine, waiting: &WaitingDelivery) -> Result<(), PortError> {
        let mut state = self.state();
        let stored = state.webhooks.lines.entry(line.clone()).or_default();
        stored.waiting.insert(waiting.delivery_id, waiting.clone());
        stored.due_at = Some(stored.due_at.map_or(waiting.due_at, |due_at| due_at.min(waiting.due_at)));
        stored.revision += 1;
        Ok(())
    }

    async fn first(&self, line: &WaitingLine, limit: usize) -> Result<LineContent, PortError> {
        let state = self.state();
        let Some(stored) = state.webhooks.lines.get(line) else { return Ok(LineContent::default()) };
        let mut waiting: Vec<WaitingDelivery> = stored.waiting.values().cloned().collect();
        if line.vid.is_none() {
            waiting.sort_by_key(|waiting| (waiting.due_at, waiting.delivery_id));
        }
        waiting.truncate(limit);
        Ok(LineContent { revision: stored.revision, waiting })
    }

    async fn remove(&self, line: &WaitingLine, waiting: &[WaitingDelivery]) -> Result<(), PortError> {
        if let Some(stored) = self.state().webhooks.lines.get_mut(line) {
            for removed in waiting {
                if stored.waiting.get(&removed.delivery_id).is_some_and(|current| current.due_at == removed.due_at) {
                    stored.waiting.remove(&removed.delivery_id);
                }
            }
        }
        Ok(())
    }

    async fn lines(&self, now: Timestamp, after: Option<&WaitingLine>, limit: usize) -> Result<Vec<DueLine>, PortError> {
        let state = self.state();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let following = state
            .webhooks
            .lines
            .range((start, Bound::Unbounded))
            .filter(|(_, line)| line.due_at.is_some_and(|due_at| due_at <= now));
        let due_line = |(line, stored): (&WaitingLine, &Line)| DueLine { line: line.clone(), revision: stored.revision };
        Ok(following.take(limit).map(due_line).collect())
    }

    async fn reschedule(&self, line: &WaitingLine, due_at: Option<Timestamp>, revision: u64) -> Result<(), PortError> {
        let mut state = self.state();
        if let Some(stored) = state.webhooks.lines.get_mut(line).filter(|stored| stored.revision == revision) {
            stored.due_at = due_at;
        }
        Ok(())
    }
}
