//! The delivery bus, the queues that its rules target, and the feed index.

use roadcast_domain::ids::FleetId;
use roadcast_ports::bus::{DeliveryBus, FleetBatch};
use roadcast_ports::clock::Clock;
use roadcast_ports::feed::{
    DELIVERIES_PER_PART, Delivery, FeedIndex, FeedPage, FeedPointer, FeedQueue, FeedRange, Message, ReceiveOptions,
    RestoredPart,
};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::Memory;
use super::refusals::check_entry;
use super::state::MemoryState;

impl DeliveryBus for Memory {
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        let now = self.clock.now();
        let mut state = self.state();
        entries.iter().map(|entry| state.deliver(entry, now)).collect()
    }
}

impl MemoryState {
    fn record(&mut self, deliveries: &[Delivery], now: Timestamp) {
        for delivery in deliveries {
            let pointers = self.pointers.entry(delivery.fleet_id.clone()).or_default();
            pointers.push(FeedPointer::new(delivery, now));
            // The stamp is the key: the same pointer in the same millisecond is stored once.
            pointers.sort_by_key(|pointer| pointer.stamp);
            pointers.dedup_by_key(|pointer| pointer.stamp);
        }
    }

    fn deliver(&mut self, entry: &FleetBatch, now: Timestamp) -> Result<(), PortError> {
        check_entry(&entry.events)?;
        self.deliveries.push(entry.clone());
        let matched = self.rules.contains(&(entry.bus.clone(), entry.fleet_id.clone()));
        // The bus accepts and drops an entry that matches no rule.
        if matched
            && self.passes_channel(&entry.fleet_id, now)
            && let Some(queue) = self.queues.get_mut(&entry.fleet_id)
        {
            let body = format!("[{}]", entry.events.join(","));
            // The bus has accepted the entry. It moves what the queue refuses to the dead-letter queue of the rule.
            if !queue.send(without_unicode_escapes(&body)) {
                self.undeliverable.push(body);
            }
        }
        Ok(())
    }
}

/// Replaces `\uXXXX` by its character where JSON permits that: EventBridge parses and writes the JSON of an entry, so an
/// escape does not reach the queue. Escapes of control characters, quotes and backslashes remain.
fn without_unicode_escapes(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let length = escape.chars().next().map_or(0, char::len_utf8);
        let unit = escape.get(1..5).filter(|_| escape.starts_with('u')).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        if let Some(c) = unit.and_then(char::from_u32).filter(|c| !matches!(c, '\0'..='\u{1F}' | '"' | '\\')) {
            text.push(c);
            rest = &escape[5..];
        } else {
            text.push('\\');
            text.push_str(&escape[..length]);
            rest = &escape[length..];
        }
    }
    text.push_str(rest);
    text
}

impl FeedQueue for Memory {
    async fn receive(&self, fleet_id: &FleetId, options: ReceiveOptions) -> Result<Vec<Message>, PortError> {
        let now = self.clock.now();
        let mut state = self.state();
        let hidden_until = now.plus_ms(state.visibility_ms);
        let Some(queue) = state.queues.get_mut(fleet_id) else { return Ok(Vec::new()) };
        Ok(queue.receive(usize::from(options.max), now, hidden_until))
    }

    async fn acknowledge(&self, fleet_id: &FleetId, ack_handles: &[String]) -> Vec<Result<(), PortError>> {
        let mut state = self.state();
        if let Some(queue) = state.queues.get_mut(fleet_id) {
            for handle in ack_handles {
                queue.delete(handle);
            }
        }
        ack_handles.iter().map(|_| Ok(())).collect()
    }

    async fn release(&self, fleet_id: &FleetId, delay_s: u16, ack_handles: &[String]) -> Vec<Result<(), PortError>> {
        let visible_at = self.clock.now().plus_ms(i64::from(delay_s) * 1000);
        let mut state = self.state();
        if let Some(queue) = state.queues.get_mut(fleet_id) {
            for handle in ack_handles {
                queue.release(handle, visible_at);
            }
        }
        ack_handles.iter().map(|_| Ok(())).collect()
    }
}

impl FeedIndex for Memory {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        self.state().record(deliveries, self.clock.now());
        Ok(())
    }

    async fn record_once(&self, part: &RestoredPart, deliveries: &[Delivery]) -> Result<bool, PortError> {
        if deliveries.len() > DELIVERIES_PER_PART {
            return Err(PortError::new(PortErrorKind::Rejected, "recording restored feed pointers"));
        }
        let mut state = self.state();
        let is_new = state.restored_parts.insert(part.clone());
        if is_new {
            state.record(deliveries, self.clock.now());
        }
        Ok(is_new)
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        let state = self.state();
        let all = state.pointers.get(&range.fleet_id).into_iter().flatten();
        let mut found = all.filter(|pointer| (range.from..=range.to).contains(&pointer.stamp));
        let pointers: Vec<FeedPointer> = found.by_ref().take(range.limit.max(1)).cloned().collect();
        Ok(FeedPage { pointers, next: found.next().map(|pointer| pointer.stamp) })
    }
}
