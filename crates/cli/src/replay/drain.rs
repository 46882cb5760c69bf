//! Draining the fleets' feeds while and after a recording is sent, to count what was really delivered.

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
use tokio::task::JoinSet;

use crate::api::{Api, Subscription};
use crate::console::Console;
use crate::simulator::now_ms;
use crate::stack::layout::Layout;
use crate::stack::{Stack, onboard};

/// How long one call of a feed waits for messages, in seconds.
const WAIT_S: u8 = 2;
/// A feed in which nothing of the run came for so long holds no more of it, where nothing is missing.
const QUIET: Duration = Duration::from_secs(4);
/// How long to wait for what should come and does not.
const GIVE_UP_AFTER: Duration = Duration::from_mins(1);

/// The feeds being drained.
pub(super) struct Drain {
    fleets: Vec<Drained>,
    /// As they were when it began.
    packages: Packages,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<()>>,
}

struct Drained {
    fleet_id: String,
    subscriptions: Vec<Subscription>,
    seen: Arc<Mutex<Seen>>,
}

/// What came out of a feed of the run's vehicles: event → samples.
struct Seen {
    samples: HashMap<Eid, u64>,
    last: Instant,
}

/// What was delivered to each fleet.
#[derive(Default)]
pub(super) struct Delivered {
    /// Distinct samples, by fleet.
    pub(super) samples: BTreeMap<String, u64>,
    /// Events that a fleet is entitled to and did not get, by fleet.
    pub(super) missing: BTreeMap<String, usize>,
}

impl Drain {
    /// Begins with every fleet that has an active subscription.
    pub(super) async fn start(
        stack: &mut Stack,
        layout: &Layout,
        admin: &Api,
        vehicles: &BTreeSet<VehicleId>,
    ) -> Result<Self> {
        let packages = admin.packages().await?.into_iter().collect();
        let mut drain = Self { fleets: Vec::new(), packages, stop: Arc::default(), tasks: JoinSet::new() };
        let vehicles = Arc::new(vehicles.clone());
        for fleet in admin.fleets().await? {
            let mut subscriptions = admin.subscriptions(&fleet.id).await?;
            subscriptions.retain(|subscription| subscription.state == "active");
            if subscriptions.is_empty() {
                continue;
            }
            let app = onboard::feed_client(stack, layout, admin, &fleet.id).await?;
            let seen = Arc::new(Mutex::new(Seen { samples: HashMap::new(), last: Instant::now() }));
            let fleet_id = fleet.id;
            drain.tasks.spawn(pump(
                app,
                fleet_id.clone(),
                Arc::clone(&vehicles),
                Arc::clone(&seen),
                Arc::clone(&drain.stop),
            ));
            drain.fleets.push(Drained { fleet_id, subscriptions, seen });
        }
        Ok(drain)
    }

    /// Waits until the feeds hold nothing more of the run, and counts.
    pub(super) async fn finish(
        mut self,
        new: &BTreeSet<Eid>,
        events: &BTreeMap<Eid, Event>,
        console: &Console,
    ) -> Result<Delivered> {
        let mut step = console.step("Draining the feeds");
        let began = Instant::now();
        let new_events: Vec<&Event> = new.iter().filter_map(|eid| events.get(eid)).collect();
        let expected: Vec<BTreeSet<Eid>> =
            self.fleets.iter().map(|fleet| entitled(&fleet.subscriptions, &new_events, &self.packages)).collect();
        let mut delivered = Delivered::default();
        loop {
            let mut settled = true;
            let mut missing_total = 0;
            for (fleet, expected) in self.fleets.iter().zip(&expected) {
                let seen = fleet.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let missing = expected.iter().filter(|eid| !seen.samples.contains_key(eid)).count();
                let since = seen.last.max(began).elapsed();
                settled &= since > if missing == 0 { QUIET } else { GIVE_UP_AFTER };
                missing_total += missing;
                let samples = new.iter().filter_map(|eid| seen.samples.get(eid)).sum();
                delivered.samples.insert(fleet.fleet_id.clone(), samples);
                delivered.missing.insert(fleet.fleet_id.clone(), missing);
            }
            step.at(&format!("{missing_total} events to come"));
            if settled {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
                // A pump ends before it is asked to only by failing.
                Some(failed) = self.tasks.join_next() => failed??,
            }
        }
        self.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.tasks.join_next().await {
            done??;
        }
        delivered.missing.retain(|_, missing| *missing > 0);
        step.done(&format!("{} feeds are drained", self.fleets.len()));
        Ok(delivered)
    }
}

/// Takes events off a feed and acknowledges them until it is told to stop, which it does between two calls.
async fn pump(
    app: Api,
    fleet_id: String,
    vehicles: Arc<BTreeSet<VehicleId>>,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let feed = app.feed(&fleet_id, WAIT_S).await?;
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for event in &feed.events {
                // A form that this tool cannot read is nothing it waits for: it shows up as missing.
                for (vid, eid, samples) in counted(event).unwrap_or_default() {
                    if !vehicles.contains(&vid) {
                        continue;
                    }
                    // The same event may come more than once; its samples are the same ones.
                    let known = seen.samples.entry(eid).or_default();
                    *known = samples.max(*known);
                    seen.last = Instant::now();
                }
            }
        }
        match feed.ack {
            Some(ack) => app.acknowledge(&fleet_id, &ack).await?,
            None => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
    Ok(())
}

/// Of each event in a CloudEvent the vehicle, the id and the number of samples; a diagnosis counts as one.
fn counted(cloud_event: &Value) -> Result<Vec<(VehicleId, Eid, u64)>> {
    let read = bus_entry::read(&cloud_event.to_string())?;
    Ok(read.events.into_iter().map(|event| (event.vid.clone(), event.eid, event.sample_count() as u64)).collect())
}

/// Which of the events a fleet with these subscriptions should get. It only decides how long to wait.
fn entitled(subscriptions: &[Subscription], events: &[&Event], packages: &Packages) -> BTreeSet<Eid> {
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
    let is_due = |event: &&&Event| {
        grants.get(event.vid.as_str()).is_some_and(|grants| {
            let entitlement = Entitlement {
                fleet_id: roadcast_domain::ids::FleetId::from_random(0),
                vid: event.vid.clone(),
                epoch: 0,
                grants: grants.clone(),
            };
            entitlement.redact(event, packages, now).is_some()
        })
    };
    events.iter().filter(is_due).map(|event| event.eid).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use roadcast_domain::event::{Body, Telemetry};
    use roadcast_signals::{Sample, SignalPath, Value as Reading};

    #[test]
    fn a_fleet_is_due_what_its_subscriptions_cover_and_nothing_else() {
        let at = Timestamp::from_ms(1_700_000_000_000);
        let event = |n: u128, path: &str| {
            let vid = VehicleId::from_random(n);
            let signals = [(SignalPath::parse(path).unwrap(), Reading::number(50.0).unwrap())].into_iter().collect();
            let body = Body::Telemetry(Telemetry { samples: vec![Sample { at, signals }] });
            Event { eid: Eid::of(&vid, "s", path, at), vid, received: at, body }
        };
        let (speed, place, other) =
            (event(1, "Vehicle.Speed"), event(1, "Vehicle.CurrentLocation.Latitude"), event(2, "Vehicle.Speed"));
        let subscription: Subscription = serde_json::from_value(json!({
            "subscriptionId": "sub_0123456789abcdef",
            "vehicles": [speed.vid],
            "packages": ["track-and-trace"],
            "validFrom": "2020-01-01T00:00:00.000Z",
            "state": "active",
        }))
        .unwrap();
        let due = entitled(&[subscription], &[&speed, &place, &other], &Packages::built_in());
        assert_eq!(due, BTreeSet::from([place.eid]));
    }

    #[test]
    fn a_diagnosis_counts_as_one_sample() {
        let at = "2026-11-03T10:00:00.000Z";
        let event = json!({
            "specversion": "1.0", "id": "01KAFQ4J50B3T9W6Y2N8D5R7XE", "source": "urn:roadcast", "time": at,
            "type": "roadcast.diagnostic.v1", "subject": "veh_0123456789abcdef", "receivedtime": at,
            "data": {"at": at, "dtcs": []},
        });
        assert_eq!(counted(&event).unwrap()[0].2, 1);
        assert!(counted(&json!({})).is_err());
    }
}
