//! A fleet is offboarded while clients and subscriptions of it are created and changed.

use std::collections::BTreeSet;

use futures::future::{join_all, join3};
use roadcast_domain::ids::FleetId;
use roadcast_ports::clock::Clock as _;
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_ports::fleets::Fleets;
use roadcast_ports::provisioning::{ChannelParts, FeedProofs, FleetChannel as _, WorkflowRun};
use roadcast_services::fleets::{offboarding, provisioning};
use serde_json::json;

use super::services::Services;
use super::{ALL, SEEDS};
use crate::deployment::{Deployment, FleetIds};
use crate::request::{Answer, Request, request};

/// How often a step of a workflow is attempted.
const ATTEMPTS: usize = 7;

fn of_fleet(fleet: &FleetIds, method: &'static str, resource: &'static str) -> Request {
    request(method, resource).path("fleetId", &fleet.fleet_id)
}

/// Stores the proof of a feed, as a round of probes does.
async fn prove_feed(services: &Services, fleet_id: &FleetId) {
    let prober = &services.provisioning.prober;
    let proof = FeedProofs::get(&prober.proofs, fleet_id).await.unwrap();
    // Another run may change the channel in between.
    let _ = prober.proofs.prove(fleet_id, proof.generation, prober.clock.now()).await;
}

/// Runs a workflow. Returns whether it succeeded; otherwise its failure was handled.
async fn run(services: &Services, run: &WorkflowRun) -> bool {
    match run {
        WorkflowRun::Provision { fleet_id, subscription_id, attempt } => {
            use provisioning::Step::{Activate, EnsureClient, EnsureQueue, EnsureRule, HandleFailure};
            let task = |step| {
                let (fleet_id, subscription_id) = (fleet_id.clone(), subscription_id.clone());
                provisioning::Task { step, fleet_id, subscription_id, attempt: *attempt, error: None }
            };
            'steps: for step in [EnsureQueue, EnsureRule, EnsureClient, Activate] {
                for _ in 0..ATTEMPTS {
                    if step == Activate {
                        prove_feed(services, fleet_id).await;
                    }
                    if services.provisioning.step(&task(step)).await.is_ok() {
                        continue 'steps;
                    }
                }
                for _ in 0..ATTEMPTS {
                    if services.provisioning.step(&task(HandleFailure)).await.is_ok() {
                        break;
                    }
                }
                return false;
            }
            true
        }
        WorkflowRun::Offboard { fleet_id, attempt } => {
            use offboarding::Step::{Drain, Finish, HandleFailure, RemoveClients, RemoveQueue, Revoke, StopDelivery};
            let task = |step| offboarding::Task { step, fleet_id: fleet_id.clone(), attempt: *attempt, error: None };
            'steps: for step in [StopDelivery, Drain, Revoke, RemoveQueue, RemoveClients, Finish] {
                for _ in 0..ATTEMPTS {
                    if services.offboarding.step(&task(step)).await.is_ok() {
                        continue 'steps;
                    }
                }
                let _ = services.offboarding.step(&task(HandleFailure)).await;
                return false;
            }
            true
        }
        // The fleets of these races have no erasures.
        WorkflowRun::Erase { .. } => true,
    }
}

/// Sends a request of the admin, and runs the workflow that it starts.
async fn send_and_run(deployment: &Deployment, services: &Services, request: Request) -> Answer {
    let answer = services.send(&request.by(&deployment.admin)).await;
    if answer.is_success() {
        let subscription = answer.text.contains("subscriptionId").then(|| answer.json()["subscriptionId"].clone());
        let runs = deployment.memory.workflows();
        let is_own = |run: &&WorkflowRun| match run {
            WorkflowRun::Provision { subscription_id, .. } => subscription == Some(json!(subscription_id)),
            WorkflowRun::Offboard { .. } => subscription.is_none(),
            WorkflowRun::Erase { .. } => false,
        };
        if let Some(started) = runs.iter().rev().find(is_own) {
            run(services, started).await;
        }
    }
    answer
}

pub(crate) async fn offboarded_fleet_has_nothing_left() {
    let (mut created, mut refused, mut repeated) = (0, 0, 0);
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        let fleet = deployment.first_fleet(&ALL).await;
        let services: Vec<Services> = (0..10).map(|number| Services::new(&deployment, seed * 100 + number)).collect();
        let offboard = || of_fleet(&fleet, "DELETE", "/fleets/{fleetId}").query("feed", "discard");
        let client = json!({"name": "An app", "kind": "fleet", "fleetId": fleet.fleet_id});
        let create_client = || request("POST", "/clients").json(&client);
        let subscription = json!({"vehicles": [fleet.vid], "packages": ["telematics"]});
        let subscribe = || of_fleet(&fleet, "POST", "/fleets/{fleetId}/subscriptions").json(&subscription);
        let with_ids = |request: Request| {
            request.path("subscriptionId", &fleet.subscription_id).path("clientId", &fleet.token.client_id)
        };
        let change = |method, resource| with_ids(of_fleet(&fleet, method, resource));
        let starts = [offboard(), subscribe(), subscribe(), subscribe()];
        let starts = starts.into_iter().zip(&services).map(|(request, of)| send_and_run(&deployment, of, request));
        let changes = [
            create_client(),
            create_client(),
            change("POST", "/clients/{clientId}/credentials"),
            change("POST", "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend"),
            change("POST", "/fleets/{fleetId}/subscriptions/{subscriptionId}/resume"),
            change("PUT", "/fleets/{fleetId}/subscriptions/{subscriptionId}").header("if-match", "*").json(&subscription),
        ];
        let changes = changes
            .into_iter()
            .zip(&services[4..])
            .map(|(request, services)| async { services.send(&request.by(&deployment.admin)).await });
        // The last app client is created a little later than the others.
        let late = async {
            for _ in 0..seed {
                tokio::task::yield_now().await;
            }
            deployment.send(&create_client().by(&deployment.admin)).await
        };
        let (started, updated, late) = join3(join_all(starts), join_all(changes), late).await;
        for answer in started.iter().chain(&updated).chain([&late]) {
            assert!(answer.status < 500, "seed {seed}: {answer:?}");
            *(if answer.is_success() { &mut created } else { &mut refused }) += 1;
        }
        assert_eq!(started[0].status, 202, "seed {seed}: {:?}", started[0]);
        // If a concurrent change made the workflow fail, the admin starts it again.
        while state(&deployment, &fleet).await != "offboarded" {
            repeated += 1;
            assert!(repeated < 2 * SEEDS, "seed {seed}: the fleet cannot be offboarded");
            send_and_run(&deployment, &services[0], offboard()).await;
        }
        check_removed(&deployment, &fleet, seed).await;
    }
    println!(
        "{SEEDS} offboardings against {created} changes that succeeded and {refused} that were refused: nothing is left, \
         {repeated} had to be repeated"
    );
}

async fn state(deployment: &Deployment, fleet: &FleetIds) -> String {
    let answer = deployment.send(&of_fleet(fleet, "GET", "/fleets/{fleetId}").by(&deployment.admin)).await;
    answer.json()["state"].as_str().unwrap().to_owned()
}

async fn check_removed(deployment: &Deployment, fleet: &FleetIds, seed: u64) {
    let read = async |resource| {
        let answer = deployment.send(&of_fleet(fleet, "GET", resource).by(&deployment.admin)).await;
        assert_eq!(answer.status, 200, "seed {seed}: {answer:?}");
        answer.json()
    };
    let clients = read("/fleets/{fleetId}/clients").await;
    assert_eq!(clients["items"], json!([]), "seed {seed}");
    let subscriptions = read("/fleets/{fleetId}/subscriptions").await;
    for subscription in subscriptions["items"].as_array().unwrap() {
        assert_eq!(subscription["state"], "revoked", "seed {seed}: {subscription:#}");
    }
    let fleet_id: FleetId = fleet.fleet_id.parse().unwrap();
    let record = Fleets::get(&deployment.memory, &fleet_id).await.unwrap().unwrap();
    assert_eq!(deployment.memory.status(&record).await.unwrap(), ChannelParts::NONE, "seed {seed}");
    let entitlement = deployment.memory.entitlement(&fleet_id, &fleet.vid.parse().unwrap()).await.unwrap();
    assert_eq!(entitlement, None, "seed {seed}");
    // Only the ingest client is in the user pool.
    let pool: BTreeSet<String> = deployment.memory.pool_clients().iter().map(ToString::to_string).collect();
    assert_eq!(pool, BTreeSet::from([deployment.ingest.client_id.clone()]), "seed {seed}");
}
