//! A fleet's feed: receives messages from the fleet's queue and redacts their events to the current entitlements.
//!
//! A message that contains data of a suspended subscription stays in the queue until the subscription resumes. Its visible
//! part is returned, and returned again with each redelivery. See `docs/decisions/0018-suspended-subscriptions.md`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use roadcast_codec::bus_entry::{self, Probe};
use roadcast_domain::entitlement::Entitlement;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::feed::{FeedQueue, Message, ReceiveOptions};
use roadcast_ports::port_set::PortSet;
use serde_json::value::RawValue;

mod poll_interval;

pub use self::poll_interval::PollInterval;
use crate::ServiceError;
use crate::authz::FleetOwner;
use crate::cache::CachedEntitlements;
use crate::response_budget::{ResponseBudget, escaped_bytes};

/// The time that is reserved after receiving, to read entitlements and to redact.
const REDACTION_TIME: Duration = Duration::from_secs(3);
/// The remaining time with which a request for further messages may follow: that of two requests without a wait.
const REPEAT_TIME: Duration = Duration::from_secs(11);

/// The delay after which a probe is visible again, in seconds: long enough for other readers of the queue.
const PROBE_DELAY_S: u16 = 1;

/// Maximum bytes of the events of a response in memory: ten messages of full blocks of real telemetry take about 40 MiB. Messages
/// beyond it are hidden until their visibility timeout, so the limit must not apply to real data.
const HELD_BYTES: usize = 64 * 1024 * 1024;

/// Reads and acknowledges the fleets' feeds.
pub struct FeedReader<Ports: PortSet> {
    /// The fleets' queues.
    pub queue: Ports::FeedQueue,
    /// The fleets' entitlements.
    pub entitlements: CachedEntitlements<Ports>,
    /// The clock.
    pub clock: Ports::Clock,
}

/// A batch of events read from a feed.
#[derive(Debug, Default)]
pub struct FeedBatch {
    /// The events, each once; the events of a vehicle in `eid` order.
    pub events: Vec<FeedEvent>,
    /// The handles that acknowledge the events; empty if there is nothing to acknowledge.
    pub ack_handles: Vec<String>,
    /// Errors of messages that could not be decoded. The messages stay in the queue, their events in the log.
    pub unreadable: Vec<String>,
}

/// An event redacted for the fleet.
#[derive(Default)]
struct RedactedEvent {
    /// The visible part and its consent epoch; `None` if no part is visible.
    visible: Option<(Event, u64)>,
    /// Whether a suspended subscription covers more of the event.
    is_retained: bool,
}

/// An event of a feed.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedEvent {
    /// The event, redacted to the fleet's entitlement.
    pub event: Event,
    /// The consent epoch of the entitlement.
    pub consent_epoch: u64,
    /// The delivery format of the subscription.
    pub format: DeliveryFormat,
}

impl FeedBatch {
    /// Encodes the events as CloudEvents in JSON; telemetry as blocks if the subscription's delivery format is blocks.
    pub fn cloud_events(&self) -> serde_json::Result<Vec<Box<RawValue>>> {
        let mut cloud_events = Vec::new();
        let same_group = |a: &FeedEvent, b: &FeedEvent| {
            a.event.vid == b.event.vid && a.consent_epoch == b.consent_epoch && a.format == b.format
        };
        for group in self.events.chunk_by(same_group) {
            let events: Vec<&Event> = group.iter().map(|delivered| &delivered.event).collect();
            for cloud_event in bus_entry::encode_for_fleet(&events, group[0].format, Some(group[0].consent_epoch))? {
                cloud_events.push(RawValue::from_string(cloud_event.json)?);
            }
        }
        Ok(cloud_events)
    }
}

impl<Ports: PortSet> FeedReader<Ports> {
    /// Reads messages of the fleet's feed, within `options.timeout`. Messages that are not acknowledged are redelivered after
    /// the visibility timeout of the queue: also those of a response that was lost, and received messages that exceed the
    /// size limit of the response. Continues to wait after messages of which the fleet may see nothing: the duration must not
    /// reveal their number. Only clients of the fleet may read its feed, not even admins.
    pub async fn read(&self, fleet: &FleetOwner, options: ReceiveOptions) -> Result<FeedBatch, ServiceError> {
        let started = self.clock.now();
        loop {
            let elapsed = Duration::from_millis(self.clock.now().ms_since(started).max(0).unsigned_abs());
            let waited_s = u8::try_from(elapsed.as_secs()).unwrap_or(u8::MAX);
            let wait_s = options.wait_s.saturating_sub(waited_s);
            let timeout = options.timeout.saturating_sub(elapsed);
            let messages = self.receive(fleet, ReceiveOptions { wait_s, timeout, ..options }).await?;
            // Without enough time for another request, an empty response is better than one that times out.
            let is_last = messages.is_empty() || wait_s == 0 || timeout < REPEAT_TIME;
            let feed = self.redact_messages(fleet, messages).await?;
            if is_last || !feed.events.is_empty() || !feed.unreadable.is_empty() {
                return Ok(feed);
            }
        }
    }

    /// Receives messages, and leaves time to redact them.
    async fn receive(&self, fleet: &FleetOwner, options: ReceiveOptions) -> Result<Vec<Message>, PortError> {
        let timeout = options.timeout.saturating_sub(REDACTION_TIME);
        self.queue.receive(fleet.fleet_id(), ReceiveOptions { timeout, ..options }).await
    }

    /// Returns the events of messages as the fleet may see them. Deletes messages that stay invisible.
    async fn redact_messages(&self, fleet: &FleetOwner, messages: Vec<Message>) -> Result<FeedBatch, ServiceError> {
        let fleet_id = fleet.fleet_id();
        let mut feed = FeedBatch::default();
        let mut decoded: Vec<(String, Vec<(Event, DeliveryFormat)>)> = Vec::with_capacity(messages.len());
        let mut budget = ResponseBudget::holding(HELD_BYTES);
        let (mut stray, mut useful) = (Vec::new(), Vec::new());
        for Message { ack_handle, body } in messages {
            if let Some(probe) = Probe::decode_message(&body) {
                if probe.is_stray(self.clock.now()) {
                    stray.push(ack_handle);
                } else {
                    useful.push(ack_handle);
                }
                continue;
            }
            let delivered = decode(&body);
            let held = delivered.iter().flatten().map(|(event, _)| event.memory_bytes()).sum();
            if !budget.try_reserve(escaped_bytes(&body), held) {
                // The message is hidden, and the queue redelivers it after its visibility timeout.
                continue;
            }
            match delivered {
                Err(error) => feed.unreadable.push(error.to_string()),
                Ok(delivered) => decoded.push((ack_handle, delivered)),
            }
        }
        self.settle_probes(fleet_id, &stray, &useful).await;
        let entitlements = self.entitlements_to(fleet_id, &decoded).await?;
        let mut events: BTreeMap<(VehicleId, Eid), FeedEvent> = BTreeMap::new();
        let mut invisible = Vec::new();
        for (ack_handle, delivered) in decoded {
            let (mut is_visible, mut must_stay) = (false, false);
            for (event, format) in delivered {
                let redacted = self.redact(entitlements.get(&event.vid), &event).await?;
                must_stay |= redacted.is_retained;
                if let Some((event, consent_epoch)) = redacted.visible {
                    is_visible = true;
                    must_stay |= !insert_or_replace(&mut events, FeedEvent { event, consent_epoch, format });
                }
            }
            match (must_stay, is_visible) {
                (true, _) => {}
                (false, true) => feed.ack_handles.push(ack_handle),
                (false, false) => invisible.push(ack_handle),
            }
        }
        self.delete_invisible(fleet_id, &invisible).await?;
        feed.events = events.into_values().collect();
        Ok(feed)
    }

    /// Deletes messages from the feed permanently. May be repeated: a message that is deleted stays deleted. A handle that
    /// is outdated, because its message was received again, has no effect.
    pub async fn acknowledge(&self, fleet: &FleetOwner, ack_handles: &[String]) -> Result<(), ServiceError> {
        let deleted: Result<(), PortError> =
            self.queue.acknowledge(fleet.fleet_id(), ack_handles).await.into_iter().collect();
        Ok(deleted?)
    }

    /// Returns the fleet's entitlements to the vehicles of these messages.
    async fn entitlements_to(
        &self,
        fleet_id: &FleetId,
        messages: &[(String, Vec<(Event, DeliveryFormat)>)],
    ) -> Result<BTreeMap<VehicleId, Entitlement>, PortError> {
        let events = messages.iter().flat_map(|(_, events)| events);
        let vids = events.map(|(event, _)| event.vid.clone()).collect();
        let mut of_fleet = BTreeMap::new();
        for (vid, entitlements) in self.entitlements.list_by_vehicles(vids).await {
            if let Some(own) = entitlements?.into_iter().find(|entitlement| entitlement.fleet_id == *fleet_id) {
                of_fleet.insert(vid, own);
            }
        }
        Ok(of_fleet)
    }

    /// Redacts the event again: the fleet's entitlement may have become narrower between delivery and reading.
    async fn redact(&self, entitlement: Option<&Entitlement>, event: &Event) -> Result<RedactedEvent, PortError> {
        let Some(entitlement) = entitlement else { return Ok(RedactedEvent::default()) };
        let packages = self.entitlements.packages().await?;
        let now = self.clock.now();
        let visible = entitlement.redact(event, &packages, now);
        let is_retained = entitlement.redact_retained(event, &packages, now) != visible;
        Ok(RedactedEvent { visible: visible.map(|event| (event, entitlement.epoch)), is_retained })
    }

    /// Deletes stray probes, and leaves those of a round in progress to provisioning: the fleet may read its feed while it is
    /// being probed. A probe whose request fails becomes visible again by itself, so the failure is no failure of the feed.
    async fn settle_probes(&self, fleet_id: &FleetId, stray: &[String], useful: &[String]) {
        if !stray.is_empty() {
            self.queue.acknowledge(fleet_id, stray).await;
        }
        if !useful.is_empty() {
            self.queue.release(fleet_id, PROBE_DELAY_S, useful).await;
        }
    }

    /// Deletes messages of which the fleet may no longer see anything; otherwise the queue would redeliver them
    /// indefinitely.
    async fn delete_invisible(&self, fleet_id: &FleetId, ack_handles: &[String]) -> Result<(), PortError> {
        if ack_handles.is_empty() {
            return Ok(());
        }
        self.queue.acknowledge(fleet_id, ack_handles).await.into_iter().collect()
    }
}

/// Inserts an event into a batch that contains each event once, in its most complete form. Returns whether the batch then
/// covers the entire event.
fn insert_or_replace(events: &mut BTreeMap<(VehicleId, Eid), FeedEvent>, delivered: FeedEvent) -> bool {
    match events.entry((delivered.event.vid.clone(), delivered.event.eid)) {
        Entry::Vacant(entry) => {
            entry.insert(delivered);
            true
        }
        Entry::Occupied(mut entry) if covers(&delivered.event, &entry.get().event) => {
            entry.insert(delivered);
            true
        }
        Entry::Occupied(entry) => covers(&entry.get().event, &delivered.event),
    }
}

/// Whether one form of an event contains everything that the other contains.
fn covers(event: &Event, other: &Event) -> bool {
    let (Body::Telemetry(all), Body::Telemetry(some)) = (&event.body, &other.body) else { return true };
    let all = all.samples.to_rows();
    some.samples.to_rows().iter().all(|sample| {
        let mut candidates = all.iter().filter(|candidate| candidate.at == sample.at);
        candidates.any(|candidate| sample.signals.iter().all(|(path, value)| candidate.signals.get(path) == Some(value)))
    })
}

/// Decodes a message into its events and their delivery formats.
fn decode(body: &str) -> Result<Vec<(Event, DeliveryFormat)>, bus_entry::DecodeError> {
    let cloud_events: Vec<&RawValue> = serde_json::from_str(body)?;
    let mut events = Vec::with_capacity(cloud_events.len());
    for cloud_event in cloud_events {
        let decoded = bus_entry::decode(cloud_event.get())?;
        events.extend(decoded.events.into_iter().map(|event| (event, decoded.format)));
    }
    Ok(events)
}
