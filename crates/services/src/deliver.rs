//! A fleet's feed: taking messages off its queue, cut once more to what it may see now.

use std::collections::BTreeMap;

use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_packing::wire;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{FeedQueue, Message};
use roadcast_ports::{PortError, PortErrorKind};
use serde_json::value::RawValue;

use crate::ServiceError;
use crate::cached::CachedEntitlements;

/// What is wrong with an acknowledgement that names no message of the feed.
pub const NOT_A_TOKEN: &str = "is not a token of this feed: send it as it was given";

/// Hands out fleets' feeds.
pub struct Deliver<Q, E, K> {
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
    pub events: Vec<Delivered>,
    /// What acknowledges them; empty where there is nothing to acknowledge.
    pub receipts: Vec<String>,
    /// Messages that could not be read. They stay in the queue, and in the log.
    pub unreadable: Vec<String>,
}

/// An event as it is handed out.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
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
        let alike = |a: &Delivered, b: &Delivered| {
            a.event.vid == b.event.vid && a.consent_epoch == b.consent_epoch && a.format == b.format
        };
        for run in self.events.chunk_by(alike) {
            let events: Vec<&Event> = run.iter().map(|delivered| &delivered.event).collect();
            for cloud_event in wire::write(&events, run[0].format, Some(run[0].consent_epoch))? {
                written.push(RawValue::from_string(cloud_event.json)?);
            }
        }
        Ok(written)
    }
}

impl<Q: FeedQueue, E: Entitlements, K: Clock> Deliver<Q, E, K> {
    /// Takes up to `max` messages of the fleet's feed, waiting up to `wait_s` seconds for the first. What is not
    /// acknowledged comes again.
    pub async fn feed(&self, caller: &Caller, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Feed, ServiceError> {
        own_feed(caller, fleet_id)?;
        let messages = self.queue.receive(fleet_id, max, wait_s).await?;
        let mut feed = Feed::default();
        let mut events: BTreeMap<(VehicleId, Eid), Delivered> = BTreeMap::new();
        let mut emptied = Vec::new();
        for Message { receipt, body } in messages {
            match read(&body) {
                Err(error) => feed.unreadable.push(error.to_string()),
                Ok(sent) => {
                    let mut left = false;
                    for (event, format) in sent {
                        if let Some((event, consent_epoch)) = self.cut(fleet_id, &event).await? {
                            left = true;
                            let key = (event.vid.clone(), event.eid);
                            events.insert(key, Delivered { event, consent_epoch, format });
                        }
                    }
                    if left { feed.receipts.push(receipt) } else { emptied.push(receipt) }
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
    async fn cut(&self, fleet_id: &FleetId, event: &Event) -> Result<Option<(Event, u64)>, PortError> {
        let Some(entitlement) = self.entitlements.of_fleet_to_vehicle(fleet_id, &event.vid).await? else {
            return Ok(None);
        };
        let packages = self.entitlements.packages().await?;
        Ok(entitlement.cut(event, &packages, self.clock.now()).map(|cut| (cut, entitlement.epoch)))
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

fn read(body: &str) -> Result<Vec<(Event, DeliveryFormat)>, wire::Unreadable> {
    let cloud_events: Vec<&RawValue> = serde_json::from_str(body)?;
    let mut events = Vec::with_capacity(cloud_events.len());
    for cloud_event in cloud_events {
        let read = wire::read(cloud_event.get())?;
        events.extend(read.events.into_iter().map(|event| (event, read.format)));
    }
    Ok(events)
}
