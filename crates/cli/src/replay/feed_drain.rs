//! Drains the feed of the fleet during and after sending, to count the delivered samples.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use roadcast_codec::bus_entry;
use roadcast_domain::Timestamp;
use roadcast_domain::entitlement::{Entitlement, Grant};
use roadcast_domain::event::Event;
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_domain::package::Packages;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::api::{Api, Subscription};
use crate::confirmation::Confirmation;
use crate::console::Console;
use crate::stack::{Stack, tool_clients};
use crate::wall_clock::now_ms;

/// How long one feed request waits for messages, in seconds.
const WAIT_S: u8 = 2;
/// The time without an event of the run after which a feed without missing events is complete.
const SILENCE_BEFORE_COMPLETE: Duration = Duration::from_secs(4);
/// The time without an event of the run after which the wait for missing events ends.
const MISSING_TIMEOUT: Duration = Duration::from_mins(1);

/// The feed that is drained.
pub(super) struct FeedDrain {
    fleet_id: String,
    /// The active subscriptions of the fleet.
    subscriptions: Vec<Subscription>,
    /// The packages at the start of the run.
    packages: Packages,
    received: Arc<Mutex<ReceivedEvents>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Result<()>>,
}

/// The events of the run's vehicles that the feed returned.
struct ReceivedEvents {
    /// Number of samples by event.
    samples: HashMap<Eid, u64>,
    last_arrival: Instant,
}

/// The deliveries to the fleet.
#[derive(Debug, Default)]
pub(super) struct DeliveryCounts {
    pub(super) fleet_id: String,
    /// The number of distinct samples.
    pub(super) samples: u64,
    /// The number of events that the fleet is entitled to but did not receive.
    pub(super) missing: usize,
}

impl Drop for FeedDrain {
    /// Ends the reading if the run failed.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FeedDrain {
    /// Starts to drain the feed of a fleet. Feeds of other fleets are left alone: an acknowledged event is gone for its fleet.
    pub(super) async fn start(
        stack: &mut Stack,
        admin: &Api,
        fleet_id: String,
        confirmation: Confirmation,
        vehicles: &BTreeSet<VehicleId>,
    ) -> Result<Self> {
        let packages = admin.packages().await?.into_iter().collect();
        let mut subscriptions = admin.subscriptions(&fleet_id).await?;
        subscriptions.retain(|subscription| subscription.state == "active");
        let app = tool_clients::feed_client(stack, admin, &fleet_id, confirmation).await?;
        let received = Arc::new(Mutex::new(ReceivedEvents { samples: HashMap::new(), last_arrival: Instant::now() }));
        let stop = Arc::<AtomicBool>::default();
        let task = tokio::spawn(drain_feed(
            app,
            fleet_id.clone(),
            Arc::new(vehicles.clone()),
            Arc::clone(&received),
            Arc::clone(&stop),
        ));
        Ok(Self { fleet_id, subscriptions, packages, received, stop, task })
    }

    /// Waits until the feed has no more events of the run, and counts the deliveries.
    pub(super) async fn finish(
        mut self,
        new: &BTreeSet<Eid>,
        events: &BTreeMap<Eid, Event>,
        console: &Console,
    ) -> Result<DeliveryCounts> {
        let mut step = console.step("Draining the feed");
        let started = Instant::now();
        let new_events: Vec<&Event> = new.iter().filter_map(|eid| events.get(eid)).collect();
        let expected = entitled_events(&self.subscriptions, &new_events, &self.packages);
        let mut delivered = DeliveryCounts { fleet_id: self.fleet_id.clone(), ..DeliveryCounts::default() };
        loop {
            let since = {
                let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
                delivered.missing = expected.iter().filter(|eid| !received.samples.contains_key(eid)).count();
                delivered.samples = new.iter().filter_map(|eid| received.samples.get(eid)).sum();
                received.last_arrival.max(started).elapsed()
            };
            step.set_message(&format!("waiting for {} events", delivered.missing));
            if since > if delivered.missing == 0 { SILENCE_BEFORE_COMPLETE } else { MISSING_TIMEOUT } {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
                // Before the stop flag is set, the task ends only with an error.
                failed = &mut self.task => failed??,
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.task).await??;
        step.finish(&format!("the feed of {} is drained", self.fleet_id));
        Ok(delivered)
    }
}

/// Reads and acknowledges a feed until `stop` is set. It stops only between two requests.
async fn drain_feed(
    app: Api,
    fleet_id: String,
    vehicles: Arc<BTreeSet<VehicleId>>,
    received: Arc<Mutex<ReceivedEvents>>,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let feed = app.feed(&fleet_id, WAIT_S).await?;
        {
            let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &feed.events {
                // An event that cannot be decoded is ignored and counts as missing.
                for (vid, eid, samples) in sample_counts(event).unwrap_or_default() {
                    if !vehicles.contains(&vid) {
                        continue;
                    }
                    // An event may be delivered more than once, with the same samples.
                    let count = received.samples.entry(eid).or_default();
                    *count = samples.max(*count);
                    received.last_arrival = Instant::now();
                }
            }
        }
        if let Some(ack) = &feed.ack {
            app.acknowledge(&fleet_id, ack).await?;
        }
        tokio::time::sleep(feed.next_poll()).await;
    }
    Ok(())
}

/// Vehicle, id and number of samples of each event in a CloudEvent. A diagnostic event counts as one sample.
fn sample_counts(cloud_event: &Value) -> Result<Vec<(VehicleId, Eid, u64)>> {
    let decoded = bus_entry::decode(&cloud_event.to_string())?;
    Ok(decoded.events.into_iter().map(|event| (event.vid.clone(), event.eid, event.sample_count() as u64)).collect())
}

/// The events that a fleet with these subscriptions should receive. The result decides only how long to wait.
fn entitled_events(subscriptions: &[Subscription], events: &[&Event], packages: &Packages) -> BTreeSet<Eid> {
    let now = Timestamp::from_ms(now_ms());
    let mut grants: BTreeMap<&str, Vec<Grant>> = BTreeMap::new();
    for subscription in subscriptions {
        let grant = json!({
            "subscriptionId": subscription.id,
            "packages": subscription.packages,
            "validFrom": subscription.valid_from,
            "validUntil": subscription.valid_until,
        });
        let Ok(grant) = serde_json::from_value::<Grant>(grant) else { continue };
        for vid in &subscription.vehicles {
            grants.entry(vid).or_default().push(grant.clone());
        }
    }
    let is_entitled = |event: &&&Event| {
        grants.get(event.vid.as_str()).is_some_and(|grants| {
            let entitlement = Entitlement {
                fleet_id: roadcast_domain::ids::FleetId::from_random_bits(0),
                vid: event.vid.clone(),
                epoch: 0,
                grants: grants.clone(),
            };
            entitlement.redact(event, packages, now).is_some()
        })
    };
    events.iter().filter(is_entitled).map(|event| event.eid).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use roadcast_domain::event::{Body, Telemetry};
    use roadcast_signals::{Sample, SignalPath, Value as Reading};

    #[test]
    fn fleet_is_entitled_to_events_that_its_subscriptions_cover() {
        let at = Timestamp::from_ms(1_700_000_000_000);
        let event = |n: u128, path: &str| {
            let vid = VehicleId::from_random_bits(n);
            let signals = [(SignalPath::parse(path).unwrap(), Reading::number(50.0).unwrap())].into_iter().collect();
            let body = Body::Telemetry(Telemetry { samples: [Sample { at, signals }].into() });
            Event { eid: Eid::for_event(&vid, "s", path, at), vid, received: at, body }
        };
        let (speed, position, other) =
            (event(1, "Vehicle.Speed"), event(1, "Vehicle.CurrentLocation.Latitude"), event(2, "Vehicle.Speed"));
        let subscription: Subscription = serde_json::from_value(json!({
            "subscriptionId": "sub_0123456789abcdef",
            "vehicles": [speed.vid],
            "packages": ["track-and-trace"],
            "validFrom": "2020-01-01T00:00:00.000Z",
            "state": "active",
        }))
        .unwrap();
        let entitled = entitled_events(&[subscription], &[&speed, &position, &other], &Packages::built_in());
        assert_eq!(entitled, BTreeSet::from([position.eid]));
    }

    #[test]
    fn diagnostic_event_counts_as_one_sample() {
        let at = "2026-11-03T10:00:00.000Z";
        let event = json!({
            "specversion": "1.0", "id": "01KAFQ4J50B3T9W6Y2N8D5R7XE", "source": "urn:roadcast", "time": at,
            "type": "roadcast.diagnostic.v1", "subject": "veh_0123456789abcdef", "receivedtime": at,
            "data": {"at": at, "dtcs": []},
        });
        assert_eq!(sample_counts(&event).unwrap()[0].2, 1);
        assert!(sample_counts(&json!({})).is_err());
    }
}
