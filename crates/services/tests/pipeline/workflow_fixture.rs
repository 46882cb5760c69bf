//! Runs the workflows defined in `infra/` by the model of Step Functions, on ports that fail.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use roadcast_aws_model::state_machine::{ExecutionStatus, StateMachine};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{ClientId, FleetId};
use roadcast_domain::plan::Plan;
use roadcast_domain::subscription::{DeliveryFormat, Subscription};
use roadcast_ports::clock::Clock as _;
use roadcast_ports::fleets::Fleets as _;
use roadcast_ports::provisioning::{ChannelParts, FleetChannel as _, WorkflowRun};
use roadcast_services::fleets::offboarding::Offboarding;
use roadcast_services::fleets::provisioning::{Provisioning, StepError};
use roadcast_services::fleets::{FeedProber, SubscriptionRequest};
use roadcast_testbed::{FaultPlan, Faulty, Memory, SeededRandomness, fixtures, port_set};
use serde_json::{Value, json};

use crate::fixture::{Onboarding, PipelineFixture, admin, admin_of};
use crate::relay::EnrichingBus;

const PROVISIONING: &str = include_str!("../../../../infra/provisioning.asl.json");
const OFFBOARDING: &str = include_str!("../../../../infra/offboarding.asl.json");
/// Number of consecutive failures that fail a task: it is attempted seven times.
pub(crate) const PERSISTENT: usize = 7;
/// The wait before a new feed is probed, in seconds.
const WAIT_S: u32 = 60;

port_set! {
    /// Ports that fail, with an ingest bus whose entries are enriched at once.
    pub(crate) enum WorkflowPorts {
        AlertRules = Faulty<Memory>;
        AppClients = Faulty<Memory>;
        Clients = Faulty<Memory>;
        Endpoints = Faulty<Memory>;
        FeedProofs = Faulty<Memory>;
        FeedQueue = Faulty<Memory>;
        FleetChannel = Faulty<Memory>;
        Fleets = Faulty<Memory>;
        IngestBus = Faulty<EnrichingBus>;
        Subscriptions = Faulty<Memory>;
    }
}

/// A fleet and a vehicle, and the runs of the fleet's workflows.
pub(crate) struct WorkflowFixture {
    pub(crate) pipeline: PipelineFixture,
    pub(crate) fleet: Fleet,
    rounds: SeededRandomness,
}

impl WorkflowFixture {
    /// Creates a fleet without subscriptions.
    pub(crate) async fn new() -> Self {
        let pipeline = PipelineFixture::new(61);
        pipeline.vehicle("v").await;
        let (name, bus) = ("A fleet".to_owned(), "delivery".to_owned());
        let fleet = Fleet::new(FleetId::from_random_bits(5), name, bus, Plan::Standard, pipeline.clock.now());
        pipeline.memory.create(&fleet, &fixtures::change(&fleet.fleet_id)).await.unwrap();
        Self { pipeline, fleet, rounds: SeededRandomness::new(8) }
    }

    pub(crate) fn onboarding(&self) -> Onboarding {
        self.pipeline.onboarding()
    }

    /// Requests a subscription. Its provisioning is started and not run.
    pub(crate) async fn subscribe(&self) -> Subscription {
        let request = SubscriptionRequest {
            vehicles: vec![self.pipeline.vehicle("v").await],
            packages: vec!["telematics".parse().unwrap()],
            delivery_format: DeliveryFormat::Json,
            valid_from: None,
            valid_until: None,
        };
        self.onboarding().subscribe(&admin(), &self.fleet.fleet_id, request).await.unwrap()
    }

    /// Runs the last started workflow to its end without faults.
    pub(crate) async fn succeed(&self) {
        assert_eq!(self.run(&FaultPlan::healthy(), usize::MAX).await, Some(ExecutionStatus::Succeeded));
    }

    /// Runs the last started workflow on ports that fail by `plan`. It is killed after `task_runs` runs of tasks; the result
    /// is then `None`. Waits advance the clock.
    pub(crate) async fn run(&self, plan: &FaultPlan, task_runs: usize) -> Option<ExecutionStatus> {
        let run = self.pipeline.memory.workflows().last().unwrap().clone();
        self.run_of(&run, plan, task_runs).await
    }

    /// Runs a started workflow; see [`run`](Self::run).
    pub(crate) async fn run_of(&self, run: &WorkflowRun, plan: &FaultPlan, task_runs: usize) -> Option<ExecutionStatus> {
        let (done, killed) = (AtomicUsize::new(0), Cell::new(false));
        let definition = match run {
            WorkflowRun::Provision { .. } => PROVISIONING,
            WorkflowRun::Offboard { .. } => OFFBOARDING,
            WorkflowRun::Erase { .. } => panic!("erasures have tests of their own"),
        };
        let machine = StateMachine::parse(definition).unwrap();
        let task = |payload: Value| {
            let alive = done.fetch_add(1, Ordering::Relaxed) < task_runs;
            let killed = &killed;
            async move {
                if !alive {
                    // A killed run has no further effect, whatever its definition.
                    killed.set(true);
                    return Ok(json!({ "drained": true, "proven": true, "waitSeconds": 0 }));
                }
                self.step(payload, plan).await.map_err(|error| error.name().to_owned())
            }
        };
        let wait = |seconds| self.pipeline.clock.advance_ms(i64::try_from(seconds).unwrap() * 1000);
        let end = machine.run(serde_json::to_value(run).unwrap(), task, wait).await.unwrap();
        (!killed.get()).then_some(end)
    }

    /// Runs a task like the provisioner function.
    pub(crate) async fn step(&self, mut payload: Value, plan: &FaultPlan) -> Result<Value, StepError> {
        let failing = || Faulty::new(self.pipeline.memory.clone(), plan.clone());
        let clock = self.pipeline.clock.clone();
        let (fleets, clients, app_clients) = (failing(), failing(), failing());
        let (subscriptions, channel) = (failing(), failing());
        let workflow = payload.as_object_mut().and_then(|members| members.remove("workflow"));
        match workflow.as_ref().and_then(Value::as_str) {
            Some("provisioning") => {
                let prober = FeedProber {
                    proofs: failing(),
                    bus: Faulty::new(EnrichingBus::new(&self.pipeline), plan.clone()),
                    queue: failing(),
                    clock: clock.clone(),
                    randomness: SeededRandomness::new(self.rounds.bits64()),
                    wait_seconds: WAIT_S,
                };
                let provisioning =
                    Provisioning::<WorkflowPorts> { fleets, clients, app_clients, subscriptions, channel, prober, clock };
                provisioning.step(&serde_json::from_value(payload).unwrap()).await.map(|check| json!(check))
            }
            Some("offboarding") => {
                let offboarding = Offboarding::<WorkflowPorts> {
                    fleets,
                    clients,
                    app_clients,
                    subscriptions,
                    endpoints: failing(),
                    alert_rules: failing(),
                    channel,
                    clock,
                };
                Ok(json!(offboarding.step(&serde_json::from_value(payload).unwrap()).await?))
            }
            other => panic!("a task of an unknown workflow: {other:?}"),
        }
    }

    /// Returns the stored fleet.
    pub(crate) async fn stored_fleet(&self) -> Fleet {
        self.pipeline.memory.get(&self.fleet.fleet_id).await.unwrap().unwrap()
    }

    /// Returns the stored subscription.
    pub(crate) async fn subscription(&self, subscription: &Subscription) -> Subscription {
        let id = &subscription.subscription_id;
        self.onboarding().subscription(&admin_of(&self.fleet.fleet_id), id).await.unwrap()
    }

    /// Returns the fleet's delivery channel, its app clients in the user pool, and its registered clients.
    pub(crate) async fn resources(&self) -> (ChannelParts, Vec<ClientId>, Vec<ClientId>) {
        let memory: &Memory = &self.pipeline.memory;
        let parts = memory.status(&self.fleet).await.unwrap();
        let registered = self.onboarding().clients(&admin(), &self.fleet.fleet_id, None, 100).await.unwrap();
        (parts, memory.pool_clients(), registered.into_iter().map(|client| client.client_id).collect())
    }
}
