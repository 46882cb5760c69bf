//! A fleet's feed: taking messages off its queue, cut once more to what it may see now.
//!
//! A message with something that a suspended subscription covers stays in the queue, for when it goes on; what the fleet may see
//! of it is handed out, and comes again with it. See `docs/decisions/0018-suspended-subscriptions.md`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use roadcast_codec::bus_entry;
use roadcast_domain::caller::Caller;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{FeedQueue, Message};
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::value::RawValue;

use crate::ServiceError;
use crate::cache::CachedEntitlements;
use crate::response_budget::ResponseBudget;

/// What is wrong with an acknowledgement that names no message of the feed.
pub const NOT_A_TOKEN: &str = "is not a token of this feed: send it as it was given";

/// Hands out fleets' feeds.
pub struct FeedReader<Q, E, K> {
    /// The fleets' queues.
    pub queue: Q,
    /// Who may see what.
    pub entitlements: CachedEntitlements<E, K>,
    /// The time.
    pub clock: K,
}

/// An answer of the feed.
#[derive(Debug, Default)]
pub struct Feed {
    /// The events; each vehicle's in `eid` order, each event once.
    pub events: Vec<FeedBatch>,
    /// What acknowledges them; empty where there is nothing to acknowledge.
    pub receipts: Vec<String>,
    /// Messages that could not be read. They stay in the queue, and in the log.
    pub unreadable: Vec<String>,
}

/// How much of an event the fleet may see.
#[derive(Default)]
struct Cut {
    /// What it may see now, under which epoch.
    seen: Option<(Event, u64)>,
    /// Whether a suspended subscription covers more of it.
    held: bool,
}

/// An event as it is handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedBatch {
    /// The event, cut to what the fleet may see.
    pub event: Event,
    /// The epoch of the consent it is under.
    pub consent_epoch: u64,
    /// The form that the fleet chose.
    pub format: DeliveryFormat,
}

impl Feed {
    /// The events as CloudEvents in JSON, telemetry as blocks where the fleet chose so.
    pub fn cloud_events(&self) -> serde_json::Result<Vec<Box<RawValue>>> {
        let mut written = Vec::new();
        let alike = |a: &FeedBatch, b: &FeedBatch| {
            a.event.vid == b.event.vid && a.consent_epoch == b.consent_epoch && a.format == b.format
        };
        for run in self.events.chunk_by(alike) {
            let events: Vec<&Event> = run.iter().map(|delivered| &delivered.event).collect();
            for cloud_event in bus_entry::write(&events, run[0].format, Some(run[0].consent_epoch))? {
                written.push(RawValue::from_string(cloud_event.json)?);
            }
        }
        Ok(written)
    }
}

impl<Q: FeedQueue, E: Entitlements, K: Clock> FeedReader<Q, E, K> {
    /// Takes up to `max` messages of the fleet's feed, waiting up to `wait_s` seconds for the first. What is not
    /// acknowledged comes again.
    pub async fn feed(&self, caller: &Caller, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Feed, ServiceError> {
        own_feed(caller, fleet_id)?;
        let messages = self.queue.receive(fleet_id, max, wait_s).await?;
        let mut feed = Feed::default();
        let mut events: BTreeMap<(VehicleId, Eid), FeedBatch> = BTreeMap::new();
        let (mut emptied, mut room) = (Vec::new(), ResponseBudget::new());
        for Message { receipt, body } in messages {
            if !room.takes(body.len()) {
                // It comes again, once the queue has hidden it for long enough.
                continue;
            }
            match read(&body) {
                Err(error) => feed.unreadable.push(error.to_string()),
                Ok(sent) => {
                    let (mut left, mut stays) = (false, false);
                    for (event, format) in sent {
                        let cut = self.redact(fleet_id, &event).await?;
                        stays |= cut.held;
                        if let Some((event, consent_epoch)) = cut.seen {
                            left = true;
                            stays |= !take(&mut events, FeedBatch { event, consent_epoch, format });
                        }
                    }
                    match (stays, left) {
                        (true, _) => {}
                        (false, true) => feed.receipts.push(receipt),
                        (false, false) => emptied.push(receipt),
                    }
                }
            }
        }
        self.drop_emptied(fleet_id, &emptied).await?;
        feed.events = events.into_values().collect();
        Ok(feed)
    }

    /// Removes what was handed out from the feed for good.
    pub async fn acknowledge(&self, caller: &Caller, fleet_id: &FleetId, receipts: &[String]) -> Result<(), ServiceError> {
        own_feed(caller, fleet_id)?;
        let done: Result<(), PortError> = self.queue.acknowledge(fleet_id, receipts).await.into_iter().collect();
        done.map_err(|error| match error.kind() {
            PortErrorKind::Conflict => ServiceError::invalid("/ack", NOT_A_TOKEN),
            _ => error.into(),
        })
    }

    /// The event cut to what the fleet may see now: between delivery and reading, something may have been taken away.
    async fn redact(&self, fleet_id: &FleetId, event: &Event) -> Result<Cut, PortError> {
        let Some(entitlement) = self.entitlements.of_fleet_to_vehicle(fleet_id, &event.vid).await? else {
            return Ok(Cut::default());
        };
        let packages = self.entitlements.packages().await?;
        let now = self.clock.now();
        let seen = entitlement.redact(event, &packages, now);
        let held = entitlement.redact_retained(event, &packages, now) != seen;
        Ok(Cut { seen: seen.map(|event| (event, entitlement.epoch)), held })
    }

    /// A message of which the fleet may see nothing any more would come again for ever.
    async fn drop_emptied(&self, fleet_id: &FleetId, receipts: &[String]) -> Result<(), PortError> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.queue.acknowledge(fleet_id, receipts).await.into_iter().collect()
    }
}

/// A feed is its fleet's own: not even an admin reads it, and to others it is not there.
fn own_feed(caller: &Caller, fleet_id: &FleetId) -> Result<(), ServiceError> {
    match caller {
        Caller::Fleet(own) if own == fleet_id => Ok(()),
        Caller::Fleet(_) => Err(ServiceError::NotFound),
        Caller::Admin(_) | Caller::Ingest(_) => Err(ServiceError::Forbidden("a feed is read by its fleet's own clients")),
    }
}

/// Takes an event into an answer that has each once, in its fullest form; says whether nothing of it is left out.
fn take(events: &mut BTreeMap<(VehicleId, Eid), FeedBatch>, delivered: FeedBatch) -> bool {
    match events.entry((delivered.event.vid.clone(), delivered.event.eid)) {
        Entry::Vacant(place) => {
            place.insert(delivered);
            true
        }
        Entry::Occupied(mut place) if covers(&delivered.event, &place.get().event) => {
            place.insert(delivered);
            true
        }
        Entry::Occupied(place) => covers(&place.get().event, &delivered.event),
    }
}

/// Whether one form of an event holds all that another holds.
fn covers(event: &Event, other: &Event) -> bool {
    let (Body::Telemetry(all), Body::Telemetry(some)) = (&event.body, &other.body) else { return true };
    some.samples.iter().all(|sample| {
        let mut there = all.samples.iter().filter(|kept| kept.at == sample.at);
        there.any(|kept| sample.signals.iter().all(|(path, value)| kept.signals.get(path) == Some(value)))
    })
}

fn read(body: &str) -> Result<Vec<(Event, DeliveryFormat)>, bus_entry::Unreadable> {
    let cloud_events: Vec<&RawValue> = serde_json::from_str(body)?;
    let mut events = Vec::with_capacity(cloud_events.len());
    for cloud_event in cloud_events {
        let read = bus_entry::read(cloud_event.get())?;
        events.extend(read.events.into_iter().map(|event| (event, read.format)));
    }
    Ok(events)
}
