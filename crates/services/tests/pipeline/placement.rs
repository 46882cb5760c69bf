//! The placement of fleets on delivery buses.

use std::collections::BTreeMap;

use futures::future::join_all;
use proptest::prelude::*;
use roadcast_domain::audit::{Author, Change};
use roadcast_domain::fleet::{FeedDisposition, Fleet};
use roadcast_domain::ids::FleetId;
use roadcast_domain::plan::Plan;
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::provisioning::FleetChannel as _;
use roadcast_services::ServiceError;
use roadcast_services::fleets::{DeliveryBuses, Onboarding};
use roadcast_testbed::{FaultPlan, InFlight, Memory, SeededRandomness, port_set};

use crate::fixture::{PipelineFixture, admin};
use crate::workflow_fixture::WorkflowFixture;

port_set! {
    /// Ports whose fleets are created concurrently.
    enum ConcurrentFleets {
        Fleets = InFlight<Memory>;
    }
}

fn onboarding(pipeline: &PipelineFixture, rules_per_bus: u32, seed: u64) -> Onboarding<ConcurrentFleets> {
    let memory = || pipeline.memory.clone();
    Onboarding {
        fleets: InFlight::new(memory()),
        clients: memory(),
        app_clients: memory(),
        subscriptions: memory(),
        vehicles: memory(),
        entitlements: memory(),
        workflow: memory(),
        delivery_buses: DeliveryBuses { first: "delivery".to_owned(), rules_per_bus },
        first_admin: None,
        clock: pipeline.clock.clone(),
        randomness: SeededRandomness::new(seed),
    }
}

async fn fleets(pipeline: &PipelineFixture) -> Vec<Fleet> {
    pipeline.memory.list(None, 1000).await.unwrap()
}

/// Returns the number of fleets with a place on each bus, by their records.
async fn placed(pipeline: &PipelineFixture) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for fleet in fleets(pipeline).await.into_iter().filter(|fleet| fleet.has_bus_place) {
        *counts.entry(fleet.delivery_bus).or_default() += 1;
    }
    counts
}

async fn offboard(pipeline: &PipelineFixture, fleet: &Fleet) {
    let offboarded = fleet.clone().begin_offboarding(FeedDisposition::Discard, pipeline.clock.now()).finish_offboarding();
    let change = Change::fleet_changed(Author::Offboarding, Some(fleet), &offboarded, pipeline.clock.now());
    pipeline.memory.release_bus(&offboarded, &change).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn concurrent_onboardings_never_exceed_the_places_of_a_bus(
        rules_per_bus in 2..8_u32,
        rounds in prop::collection::vec((1..25_u64, 0..10_usize), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (pipeline, admin_proof) = (PipelineFixture::new(7), admin());
            for (round, (created, offboarded)) in rounds.into_iter().enumerate() {
                // Each caller has its own onboarding, like the instances of the function.
                let callers: Vec<_> = (0..created).map(|n| onboarding(&pipeline, rules_per_bus, (round as u64) << 32 | n)).collect();
                let creations = callers.iter().map(|onboarding| onboarding.create_fleet(&admin_proof, "f", Plan::Standard));
                for fleet in join_all(creations).await {
                    fleet.unwrap();
                }
                let counts = placed(&pipeline).await;
                assert!(counts.values().all(|count| *count < rules_per_bus), "{counts:?}");
                let stored = pipeline.memory.bus_counts().await.unwrap();
                assert_eq!(counts, stored.into_iter().filter(|(_, count)| *count > 0).collect());
                for fleet in fleets(&pipeline).await.iter().filter(|fleet| fleet.has_bus_place).take(offboarded) {
                    offboard(&pipeline, fleet).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn fleet_beyond_the_rules_of_a_bus_is_placed_on_the_next_and_delivered() {
    let pipeline = PipelineFixture::new(8);
    let vid = pipeline.vehicle("v").await;
    let mut created = Vec::new();
    for _ in 0..301 {
        created.push(pipeline.fleet(std::slice::from_ref(&vid), &["telematics"]).await);
    }
    let rules = BTreeMap::from([("delivery".to_owned(), 299), ("delivery-2".to_owned(), 2)]);
    assert_eq!(pipeline.memory.rule_counts(), rules);
    assert_eq!(pipeline.memory.get(&created[300]).await.unwrap().unwrap().delivery_bus, "delivery-2");
    pipeline.upload(&vid, "1", &[(10, 50.0)]).await;
    pipeline.process_all(|_| FaultPlan::healthy()).await;
    let queued: Vec<usize> = created.iter().map(|fleet_id| pipeline.memory.queued(fleet_id).len()).collect();
    assert!(queued.iter().all(|messages| *messages == 1), "{queued:?}");

    // Without the placement, the rule would be refused.
    let fleet_id = FleetId::from_random_bits(1);
    let fleet = Fleet::new(fleet_id, "f".to_owned(), "delivery".to_owned(), Plan::Standard, pipeline.clock.now());
    let refused = pipeline.memory.ensure_rule(&fleet).await.map_err(|error| error.kind());
    assert_eq!(refused, Err(PortErrorKind::Throttled));
}

#[tokio::test]
async fn offboarding_frees_the_place_once_and_the_next_fleet_takes_it() {
    let fixture = WorkflowFixture::new().await;
    let (pipeline, fleet_id) = (&fixture.pipeline, &fixture.fleet.fleet_id);
    let count = async || pipeline.memory.bus_counts().await.unwrap()["delivery"];
    assert_eq!(count().await, 1);
    for _ in 0..2 {
        fixture.onboarding().offboard(&admin(), fleet_id, FeedDisposition::Discard).await.unwrap();
        fixture.succeed().await;
        assert_eq!(count().await, 0, "a repeated offboarding frees no other place");
    }
    for (seed, bus) in [(1, "delivery"), (2, "delivery-2"), (3, "delivery-3")] {
        // One rule of a bus is that of webhooks.
        let created = onboarding(pipeline, 2, seed).create_fleet(&admin(), "f", Plan::Standard).await.unwrap();
        assert_eq!(created.delivery_bus, bus);
    }
}

#[tokio::test]
async fn fleet_is_refused_when_every_bus_is_full() {
    let pipeline = PipelineFixture::new(9);
    for n in 0..90 {
        onboarding(&pipeline, 2, n).create_fleet(&admin(), "f", Plan::Standard).await.unwrap();
    }
    let refused = onboarding(&pipeline, 2, 99).create_fleet(&admin(), "f", Plan::Standard).await;
    assert!(matches!(refused, Err(ServiceError::Conflict(_))), "{refused:?}");
    onboarding(&pipeline, 3, 99).create_fleet(&admin(), "f", Plan::Standard).await.unwrap();
}
