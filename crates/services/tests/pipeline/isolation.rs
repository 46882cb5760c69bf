//! What fails for one fleet or one vehicle does not stop the deliveries to others.

use std::collections::BTreeSet;

use proptest::prelude::*;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_services::cache::{CachedEntitlements, CachedFleets};
use roadcast_services::delivery::enrichment::{DeliveryFailure, Enrichment, EnrichmentCounts, IncompleteDelivery, LATE_MS};
use roadcast_testbed::{Fault, FaultPlan, Faulty, WithFaults};

use crate::fixture::PipelineFixture;

/// Fleets with their vehicles, and an entry of the ingest bus with an event of each vehicle.
struct Entry {
    pipeline: PipelineFixture,
    fleets: Vec<(FleetId, BTreeSet<VehicleId>)>,
    events: Vec<String>,
}

/// The faults of the ports of enrichment.
struct Faults {
    entitlements: FaultPlan,
    fleets: FaultPlan,
    bus: FaultPlan,
    index: FaultPlan,
}

impl Faults {
    fn healthy() -> Self {
        Self::all(|_| FaultPlan::healthy())
    }

    fn all(plan: impl Fn(u64) -> FaultPlan) -> Self {
        Self { entitlements: plan(1), fleets: plan(2), bus: plan(3), index: plan(4) }
    }
}

impl Entry {
    /// Each element of `vehicles_of_fleets` has the indices of the vehicles of one fleet.
    async fn new(seed: u64, vehicles_of_fleets: &[BTreeSet<usize>]) -> Self {
        let pipeline = PipelineFixture::new(seed);
        let mut vids = Vec::new();
        for number in 0..6 {
            vids.push(pipeline.vehicle(&format!("v{number}")).await);
        }
        let mut fleets = Vec::new();
        for indices in vehicles_of_fleets {
            let vehicles: Vec<VehicleId> = indices.iter().map(|index| vids[*index].clone()).collect();
            fleets.push((pipeline.fleet(&vehicles, &["telematics"]).await, vehicles.into_iter().collect()));
        }
        for vid in &vids {
            pipeline.upload(vid, "1", &[(10, 50.0)]).await;
        }
        pipeline.process_once(&|_| FaultPlan::healthy()).await;
        let events = pipeline.memory.take_published().into_iter().flat_map(|batch| batch.events).collect();
        Self { pipeline, fleets, events }
    }

    async fn deliver(&self, faults: Faults) -> Result<EnrichmentCounts, IncompleteDelivery> {
        let failing = |plan| Faulty::new(self.pipeline.memory.clone(), plan);
        let enrichment = Enrichment::<WithFaults> {
            entitlements: CachedEntitlements::new(failing(faults.entitlements), self.pipeline.clock.clone()),
            fleets: CachedFleets::new(failing(faults.fleets), self.pipeline.clock.clone()),
            bus: failing(faults.bus),
            index: failing(faults.index),
            clock: self.pipeline.clock.clone(),
        };
        enrichment.deliver(&self.events.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// The vehicles of which the queue of a fleet has events.
    async fn queued(&self, fleet_id: &FleetId) -> BTreeSet<VehicleId> {
        self.pipeline.drain_feed(fleet_id).await.into_iter().map(|event| event.vid).collect()
    }

    /// The events of a fleet in the feed index.
    fn indexed(&self, fleet_id: &FleetId) -> BTreeSet<(VehicleId, Eid)> {
        self.pipeline.memory.pointers(fleet_id).into_iter().flat_map(|pointer| pointer.events).collect()
    }
}

/// The fleets and the vehicles that failures name; `None` if all of them are affected.
fn affected(failures: &[DeliveryFailure]) -> Option<(BTreeSet<FleetId>, BTreeSet<VehicleId>)> {
    let (mut fleets, mut vehicles) = (BTreeSet::new(), BTreeSet::new());
    for failure in failures {
        match failure {
            DeliveryFailure::Packages(_) => return None,
            DeliveryFailure::Unreadable { .. } => {}
            DeliveryFailure::Vehicles { vids, .. } => vehicles.extend(vids.iter().cloned()),
            DeliveryFailure::FleetUnknown(fleet_id)
            | DeliveryFailure::Encoding { fleet_id, .. }
            | DeliveryFailure::Fleet { fleet_id, .. }
            | DeliveryFailure::Entries { fleet_id, .. }
            | DeliveryFailure::Index { fleet_id, .. } => {
                fleets.insert(fleet_id.clone());
            }
        }
    }
    Some((fleets, vehicles))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever fails: every other fleet receives all events of every other vehicle in the first attempt, the failures name
    /// no more than what failed, and a retry without faults delivers the rest.
    #[test]
    fn failure_of_a_fleet_or_vehicle_affects_no_other(
        seed in 0_u64..1_000_000,
        percent in 5_u8..60,
        vehicles_of_fleets in prop::collection::vec(prop::collection::btree_set(0_usize..6, 1..5), 2..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let entry = Entry::new(seed, &vehicles_of_fleets).await;
            let plans: Vec<FaultPlan> = (0..4).map(|n| FaultPlan::seeded(seed + n, percent)).collect();
            // The version and the packages concern everything.
            let entitlements = plans[0].clone().only(&["list_by_vehicle"]);
            let [fleets, bus, index] = [&plans[1], &plans[2], &plans[3]].map(Clone::clone);
            let result = entry.deliver(Faults { entitlements, fleets, bus, index }).await;

            let injected: usize = plans.iter().map(FaultPlan::injected).sum();
            prop_assert_eq!(result.is_err(), injected > 0);
            let failures = result.err().map(|incomplete| incomplete.failures).unwrap_or_default();
            let (failed_fleets, failed_vehicles) = affected(&failures).unwrap();
            prop_assert!(failed_fleets.len() + failed_vehicles.len() <= injected);
            for (fleet_id, vehicles) in entry.fleets.iter().filter(|(fleet_id, _)| !failed_fleets.contains(fleet_id)) {
                let expected: BTreeSet<VehicleId> = vehicles.difference(&failed_vehicles).cloned().collect();
                prop_assert_eq!(&entry.queued(fleet_id).await, &expected);
                prop_assert_eq!(entry.indexed(fleet_id).len(), expected.len());
            }

            entry.deliver(Faults::healthy()).await.unwrap();
            for (fleet_id, vehicles) in &entry.fleets {
                entry.pipeline.clock.advance_ms(60_000);
                prop_assert_eq!(&entry.queued(fleet_id).await, vehicles, "the retry repeats the entire entry");
                prop_assert_eq!(entry.indexed(fleet_id).len(), vehicles.len());
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn unreadable_event_and_refused_entry_are_reported_the_rest_delivered() {
    let two = BTreeSet::from([0, 1]);
    let mut entry = Entry::new(3, &[two.clone(), two]).await;
    entry.events.insert(1, "{}".to_owned());
    // One entry per fleet; the bus refuses the first.
    let bus = FaultPlan::script([Some(Fault::Rejected)]);
    let incomplete = entry.deliver(Faults { bus, ..Faults::healthy() }).await.unwrap_err();
    assert_eq!((incomplete.counts.entries_published, incomplete.counts.events_delivered), (1, 2));
    let reasons: Vec<String> = incomplete.failures.iter().map(ToString::to_string).collect();
    let [unreadable, refused] = reasons.as_slice() else { panic!("{reasons:?}") };
    assert_eq!(unreadable, "event 1 of the entry is not readable");
    assert!(refused.starts_with("1 entries for flt_"), "{refused}");
    assert_eq!(incomplete.to_string(), "an entry was delivered in part, with 2 failures");
}

#[tokio::test]
async fn failed_store_is_reported_once_for_all_vehicles() {
    let entry = Entry::new(4, &[BTreeSet::from([0, 1, 2, 3])]).await;
    let entitlements = FaultPlan::always(Fault::Unavailable).only(&["list_by_vehicle"]);
    let incomplete = entry.deliver(Faults { entitlements, ..Faults::healthy() }).await.unwrap_err();
    assert_eq!(incomplete.failures.len(), 1);
    assert_eq!(incomplete.failures[0].to_string(), "the entitlements to 4 vehicles cannot be read");
    let packages = FaultPlan::always(Fault::Unavailable).only(&["packages"]);
    let incomplete = entry.deliver(Faults { entitlements: packages, ..Faults::healthy() }).await.unwrap_err();
    assert!(affected(&incomplete.failures).is_none());
}

#[tokio::test]
async fn events_published_five_minutes_after_their_arrival_are_late() {
    let entry = Entry::new(5, &[BTreeSet::from([0, 1, 2])]).await;
    let in_time = entry.deliver(Faults::healthy()).await.unwrap();
    assert_eq!((in_time.events_delivered, in_time.events_delivered_late), (3, 0));
    entry.pipeline.clock.advance_ms(LATE_MS + 60_000);
    let late = entry.deliver(Faults::healthy()).await.unwrap();
    assert_eq!((late.events_delivered, late.events_delivered_late), (3, 3));
}
