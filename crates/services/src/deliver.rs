//! A fleet's feed: taking messages off its queue, cut once more to what it may see now.

use std::collections::BTreeMap;

use roadcast_domain::caller::Caller;
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_ports::PortError;
use roadcast_ports::clock::Clock;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::feed::{FeedQueue, Message};
use serde_json::value::RawValue;

use crate::ServiceError;
use crate::cached::CachedEntitlements;

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
    /// The events with the epochs of the consent they are under; each vehicle's in `eid` order, each event once.
    pub events: Vec<(Event, u64)>,
    /// What acknowledges them; empty where there is nothing to acknowledge.
    pub receipts: Vec<String>,
    /// Messages that could not be read. They stay in the queue, and in the log.
    pub unreadable: Vec<String>,
}

impl<Q: FeedQueue, E: Entitlements, K: Clock> Deliver<Q, E, K> {
    /// Takes up to `max` messages of the fleet's feed, waiting up to `wait_s` seconds for the first. What is not
    /// acknowledged comes again.
    pub async fn feed(&self, caller: &Caller, fleet_id: &FleetId, max: u8, wait_s: u8) -> Result<Feed, ServiceError> {
        own_feed(caller, fleet_id)?;
        let messages = self.queue.receive(fleet_id, max, wait_s).await?;
        let mut feed = Feed::default();
        let mut events: BTreeMap<(VehicleId, Eid), (Event, u64)> = BTreeMap::new();
        let mut emptied = Vec::new();
        for Message { receipt, body } in messages {
            match read(&body) {
                Err(error) => feed.unreadable.push(error.to_string()),
                Ok(sent) => {
                    let mut left = false;
                    for event in sent {
                        if let Some((event, epoch)) = self.cut(fleet_id, &event).await? {
                            left = true;
                            events.insert((event.vid.clone(), event.eid), (event, epoch));
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
        self.queue.acknowledge(fleet_id, receipts).await.into_iter().collect::<Result<(), PortError>>()?;
        Ok(())
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

fn read(body: &str) -> Result<Vec<Event>, roadcast_domain::event::NotOurEvent> {
    let events: Vec<&RawValue> = serde_json::from_str(body)?;
    events.into_iter().map(|event| Event::from_cloud_event(event.get()).map(|(event, _)| event)).collect()
}
