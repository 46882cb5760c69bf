//! The workflows, as `infra/` defines them, run by a model of Step Functions on ports that fail.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_aws_model::state_machine::{End, StateMachine};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel as _, WorkflowRun};
use roadcast_services::ServiceError;
use roadcast_services::fleets::SubscriptionRequest;
use roadcast_services::fleets::offboarding::Offboarding;
use roadcast_services::fleets::provisioning::Provisioning;
use roadcast_testbed::{FaultPlan, Faulty, Memory};
use serde_json::{Value, json};

use crate::world::{Onboarding, World, admin};

const PROVISIONING: &str = include_str!("../../../../infra/provisioning.asl.json");
const OFFBOARDING: &str = include_str!("../../../../infra/offboarding.asl.json");
/// Failures in a row that no task survives: it is tried seven times.
pub(crate) const PERSISTENT: usize = 7;

/// A fleet, and a vehicle for it.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) fleet: Fleet,
}

impl Case {
    /// A fleet without anything.
    pub(crate) async fn new() -> Self {
        let world = World::new(61);
        world.vehicle("v").await;
        let (name, bus) = ("A fleet".to_owned(), "delivery".to_owned());
        let fleet = Fleet::new(FleetId::from_random(5), name, bus, Plan::Standard, world.clock.now());
        world.memory.create(&fleet, None).await.unwrap();
        Self { world, fleet }
    }

    pub(crate) fn onboard(&self) -> Onboarding {
        self.world.onboard()
    }

    pub(crate) async fn subscribe(&self) -> Subscription {
        let request = SubscriptionRequest {
            vehicles: vec![self.world.vehicle("v").await],
            packages: vec!["telematics".to_owned()],
            delivery_format: DeliveryFormat::Json,
            valid_from: None,
            valid_until: None,
        };
        self.onboard().subscribe(&admin(), &self.fleet.fleet_id, request).await.unwrap()
    }

    /// Does the run that was started last to its end, and nothing fails.
    pub(crate) async fn succeed(&self) {
        assert_eq!(self.run(&FaultPlan::healthy(), usize::MAX).await, Some(End::Succeeded));
    }

    /// Does the run that was started last, on ports that fail by the plan; it is killed after so many tries of its steps. Waits
    /// pass at once.
    pub(crate) async fn run(&self, plan: &FaultPlan, tries: usize) -> Option<End> {
        let run = self.world.memory.workflows().last().unwrap().clone();
        self.run_of(&run, plan, tries).await
    }

    /// Does a run that was started.
    pub(crate) async fn run_of(&self, run: &WorkflowRun, plan: &FaultPlan, tries: usize) -> Option<End> {
        let (done, killed) = (AtomicUsize::new(0), Cell::new(false));
        let definition = match run {
            WorkflowRun::Provision { .. } => PROVISIONING,
            WorkflowRun::Offboard { .. } => OFFBOARDING,
        };
        let machine = StateMachine::read(definition).unwrap();
        let task = |payload: Value| {
            let alive = done.fetch_add(1, Ordering::Relaxed) < tries;
            let killed = &killed;
            async move {
                if !alive {
                    // What is killed does nothing more, whatever its definition says.
                    killed.set(true);
                    return Ok(json!({ "drained": true, "waitSeconds": 0 }));
                }
                self.step(payload, plan).await.map_err(|error| error.to_string())
            }
        };
        let wait = |seconds| self.world.clock.advance_ms(i64::try_from(seconds).unwrap() * 1000);
        let end = machine.run(serde_json::to_value(run).unwrap(), task, wait).await.unwrap();
        (!killed.get()).then_some(end)
    }

    /// A task, as the provisioner does it.
    async fn step(&self, mut payload: Value, plan: &FaultPlan) -> Result<Value, ServiceError> {
        let failing = || Faulty::new(self.world.memory.clone(), plan.clone());
        let clock = self.world.clock.clone();
        let (fleets, clients, app_clients) = (failing(), failing(), failing());
        let (subscriptions, channel) = (failing(), failing());
        let workflow = payload.as_object_mut().and_then(|members| members.remove("workflow"));
        match workflow.as_ref().and_then(Value::as_str) {
            Some("provisioning") => {
                let provision = Provisioning { fleets, clients, app_clients, subscriptions, channel, clock };
                provision.step(&serde_json::from_value(payload).unwrap()).await.map(|()| Value::Null)
            }
            Some("offboarding") => {
                let offboard = Offboarding { fleets, clients, app_clients, subscriptions, channel, clock };
                offboard.step(&serde_json::from_value(payload).unwrap()).await.map(|draining| json!(draining))
            }
            other => panic!("a task of {other:?}"),
        }
    }

    /// The fleet as it is kept.
    pub(crate) async fn kept(&self) -> Fleet {
        self.world.memory.get(&self.fleet.fleet_id).await.unwrap().unwrap()
    }

    /// The subscription as it is kept.
    pub(crate) async fn subscription(&self, subscription: &Subscription) -> Subscription {
        let id = &subscription.subscription_id;
        self.onboard().subscription(&admin(), &self.fleet.fleet_id, id).await.unwrap()
    }

    /// What the fleet has on AWS, and its app clients: in the user pool, and in the reference data.
    pub(crate) async fn resources(&self) -> (ChannelParts, Vec<ClientId>, Vec<ClientId>) {
        let memory: &Memory = &self.world.memory;
        let parts = memory.status(&self.fleet).await.unwrap();
        let known = self.onboard().clients(&admin(), &self.fleet.fleet_id, None, 100).await.unwrap();
        (parts, memory.pool_clients(), known.into_iter().map(|client| client.client_id).collect())
    }
}
