//! The delivery bus, its rules' queues, and the feed's side of them.

use roadcast_domain::ids::FleetId;
use roadcast_ports::bus::{DeliveryBus, FleetBatch};
use roadcast_ports::clock::Clock;
use roadcast_ports::feed::{Delivery, FeedIndex, FeedPage, FeedPointer, FeedQueue, FeedRange, Message};
use roadcast_ports::{PortError, PortErrorKind};
use roadcast_signals::Timestamp;

use super::sink::check_size;
use super::{Memory, World};

/// A fleet's queue. It keeps its messages in order, which SQS does not promise.
#[derive(Debug, Default)]
pub(super) struct Queue {
    messages: Vec<Queued>,
    sent: u64,
}

#[derive(Debug)]
struct Queued {
    id: u64,
    body: String,
    visible_at: Option<Timestamp>,
    taken: u64,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        self.messages.iter().map(|message| message.body.clone()).collect()
    }

    fn send(&mut self, body: String) {
        self.sent += 1;
        self.messages.push(Queued { id: self.sent, body, visible_at: None, taken: 0 });
    }
}

impl DeliveryBus for Memory {
    async fn publish(&self, entries: &[FleetBatch]) -> Vec<Result<(), PortError>> {
        let mut world = self.world();
        entries.iter().map(|entry| world.deliver(entry)).collect()
    }
}

impl World {
    fn deliver(&mut self, entry: &FleetBatch) -> Result<(), PortError> {
        check_size(&entry.events)?;
        self.deliveries.push(entry.clone());
        let caught = self.rules.contains(&(entry.bus.clone(), entry.fleet_id.clone()));
        // An entry that no rule catches is taken all the same, and gone.
        if caught && let Some(queue) = self.queues.get_mut(&entry.fleet_id) {
            queue.send(format!("[{}]", entry.events.join(",")));
        }
        Ok(())
    }
}

impl FeedQueue for Memory {
    async fn receive(&self, fleet_id: &FleetId, max: u8, _wait_s: u8) -> Result<Vec<Message>, PortError> {
        let now = self.clock.now();
        let mut world = self.world();
        let hidden_until = now.plus_ms(world.visibility_ms);
        let Some(queue) = world.queues.get_mut(fleet_id) else { return Ok(Vec::new()) };
        let visible = queue.messages.iter_mut().filter(|message| message.visible_at.is_none_or(|at| at <= now));
        let take = |message: &mut Queued| {
            message.visible_at = Some(hidden_until);
            message.taken += 1;
            Message { receipt: format!("{}-{}", message.id, message.taken), body: message.body.clone() }
        };
        Ok(visible.take(usize::from(max)).map(take).collect())
    }

    async fn acknowledge(&self, fleet_id: &FleetId, receipts: &[String]) -> Vec<Result<(), PortError>> {
        let mut world = self.world();
        let mut queue = world.queues.get_mut(fleet_id);
        let mut acknowledge = |receipt: &String| {
            let read = receipt.split_once('-').and_then(|(id, taken)| Some((id.parse().ok()?, taken.parse().ok()?)));
            let (id, taken): (u64, u64) = read.ok_or(PortError::new(PortErrorKind::Conflict, "acknowledging a message"))?;
            if let Some(queue) = queue.as_deref_mut() {
                // A receipt from before the message was taken again is accepted and does nothing, as in SQS.
                queue.messages.retain(|message| (message.id, message.taken) != (id, taken));
            }
            Ok(())
        };
        receipts.iter().map(&mut acknowledge).collect()
    }
}

impl FeedIndex for Memory {
    async fn record(&self, deliveries: &[Delivery]) -> Result<(), PortError> {
        let now = self.clock.now();
        let mut world = self.world();
        for Delivery { fleet_id, events } in deliveries {
            let pointers = world.pointers.entry(fleet_id.clone()).or_default();
            pointers.push(FeedPointer::stamped(events.clone(), now));
            // One stamp is one key: the same pointer in the same millisecond stands there once.
            pointers.sort_by_key(|pointer| pointer.stamp);
            pointers.dedup_by_key(|pointer| pointer.stamp);
        }
        Ok(())
    }

    async fn read(&self, range: &FeedRange) -> Result<FeedPage, PortError> {
        let world = self.world();
        let all = world.pointers.get(&range.fleet_id).into_iter().flatten();
        let mut found = all.filter(|pointer| (range.from..=range.to).contains(&pointer.stamp));
        let pointers: Vec<FeedPointer> = found.by_ref().take(range.limit.max(1)).cloned().collect();
        Ok(FeedPage { pointers, next: found.next().map(|pointer| pointer.stamp) })
    }
}
