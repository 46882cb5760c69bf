//! All use cases of the data flow on ports in memory.

mod alerts;
mod events;
mod processing;
mod reading;
mod restoring;

use roadcast_domain::Timestamp;
use roadcast_domain::caller::Caller;
use roadcast_domain::external_id::ExternalId;
use roadcast_domain::ids::{ClientId, FleetId, SubscriptionId, VehicleId};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_domain::vehicle::VehicleDetails;
use roadcast_services::authz::{FleetReader, Proof, Reader};
use roadcast_services::fleets::provisioning::{Provisioning, Step, Task};
use roadcast_services::fleets::{self, SubscriptionRequest};
use roadcast_services::vehicles::registry::VehicleRegistry;
use roadcast_testbed::{FaultPlan, Faulty, InMemory, ManualClock, Memory, MemoryItems, SeededRandomness, WithFaults};
use serde_json::json;

pub(crate) use events::{NOON, delivered_events, event, signal_paths};
pub(crate) use processing::record;
pub(crate) use restoring::{Snapshot, restorer};

/// Onboarding whose subscriptions port can fail.
pub(crate) type Onboarding = fleets::Onboarding<WithFaults>;

/// The data flow in memory: the ports, their clock and the use cases on them.
pub(crate) struct PipelineFixture {
    pub(crate) memory: Memory,
    pub(crate) clock: ManualClock,
    pub(crate) items: MemoryItems,
    /// Delivery format of new subscriptions: blocks for even seeds, JSON for odd ones.
    pub(crate) delivery_format: DeliveryFormat,
    seed: u64,
}

/// Returns the proof of an admin.
pub(crate) fn admin<P: Proof>() -> P {
    P::prove(&Caller::Admin(ClientId::new("admin"))).unwrap()
}

/// Returns the proof of a client of the fleet.
pub(crate) fn client_of<P: Proof>(fleet_id: &FleetId) -> P {
    P::prove(&Caller::Fleet(fleet_id.clone())).unwrap()
}

/// Returns the proof of an admin who reads the fleet.
pub(crate) fn admin_of(fleet_id: &FleetId) -> FleetReader {
    admin::<Reader>().of_fleet(fleet_id).unwrap()
}

impl PipelineFixture {
    pub(crate) fn new(seed: u64) -> Self {
        let clock = ManualClock::at(Timestamp::parse_rfc3339(NOON).unwrap());
        let memory = Memory::with_shards(clock.clone(), 2);
        let delivery_format = if seed.is_multiple_of(2) { DeliveryFormat::Blocks } else { DeliveryFormat::Json };
        Self { memory, clock, items: MemoryItems::default(), delivery_format, seed }
    }

    /// Registers a vehicle with the external id `test:NAME`.
    pub(crate) async fn vehicle(&self, name: &str) -> VehicleId {
        let registry = VehicleRegistry::<InMemory> {
            vehicles: self.memory.clone(),
            entitlements: self.memory.clone(),
            clock: self.clock.clone(),
            randomness: SeededRandomness::new(self.seed ^ name.bytes().map(u64::from).sum::<u64>()),
        };
        let details =
            VehicleDetails { external_ids: vec![ExternalId::new("test", name).unwrap()], ..VehicleDetails::default() };
        registry.register(&admin(), details).await.unwrap().0.vid
    }

    /// Creates a fleet with an `active` subscription, or without one if `vehicles` is empty.
    pub(crate) async fn fleet(&self, vehicles: &[VehicleId], packages: &[&str]) -> FleetId {
        let fleet_id = self.onboarding().create_fleet(&admin(), "A fleet", Plan::Standard).await.unwrap().fleet_id;
        if vehicles.is_empty() {
            return fleet_id;
        }
        let request = SubscriptionRequest {
            vehicles: vehicles.to_vec(),
            packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
            delivery_format: self.delivery_format,
            valid_from: None,
            valid_until: None,
        };
        self.subscribe(&fleet_id, request).await;
        fleet_id
    }

    pub(crate) fn onboarding(&self) -> Onboarding {
        self.onboarding_with(FaultPlan::healthy())
    }

    /// Returns onboarding whose subscriptions port fails by `plan`.
    pub(crate) fn onboarding_with(&self, plan: FaultPlan) -> Onboarding {
        let healthy = || Faulty::healthy(self.memory.clone());
        Onboarding {
            fleets: healthy(),
            clients: healthy(),
            app_clients: healthy(),
            subscriptions: Faulty::new(self.memory.clone(), plan),
            vehicles: healthy(),
            entitlements: healthy(),
            workflow: healthy(),
            delivery_buses: roadcast_services::fleets::DeliveryBuses { first: "delivery".to_owned(), rules_per_bus: 300 },
            first_admin: None,
            clock: self.clock.clone(),
            randomness: SeededRandomness::new(self.seed ^ (self.memory.workflows().len() as u64 + 77)),
        }
    }

    /// Creates a subscription and provisions it to `active`.
    pub(crate) async fn subscribe(&self, fleet_id: &FleetId, request: SubscriptionRequest) -> SubscriptionId {
        let memory = || self.memory.clone();
        let onboarding = self.onboarding();
        let subscription = onboarding.subscribe(&admin(), fleet_id, request).await.unwrap();
        let provisioning = Provisioning::<InMemory> {
            fleets: memory(),
            clients: memory(),
            app_clients: memory(),
            subscriptions: memory(),
            channel: memory(),
            prober: roadcast_services::fleets::FeedProber {
                proofs: memory(),
                bus: memory(),
                queue: memory(),
                clock: self.clock.clone(),
                randomness: SeededRandomness::new(5),
                wait_seconds: 0,
            },
            clock: self.clock.clone(),
        };
        // Some steps run twice: a workflow may repeat them.
        let steps = [Step::EnsureQueue, Step::EnsureRule, Step::EnsureRule, Step::EnsureClient, Step::EnsureClient];
        for step in steps.into_iter().chain([Step::Activate, Step::Activate]) {
            if step == Step::Activate {
                self.memory.mark_feed_proven(fleet_id);
            }
            let subscription_id = subscription.subscription_id.clone();
            provisioning
                .step(&Task { step, fleet_id: fleet_id.clone(), subscription_id, attempt: 1, error: None })
                .await
                .unwrap();
        }
        let fleet = client_of::<Reader>(fleet_id).of_fleet(fleet_id).unwrap();
        let stored = onboarding.subscription(&fleet, &subscription.subscription_id).await;
        assert_eq!(serde_json::to_value(stored.unwrap().state).unwrap(), json!("active"));
        subscription.subscription_id
    }
}
