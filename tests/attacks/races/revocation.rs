//! A subscription is revoked, or loses a vehicle, while other requests repeat what it was before.

use futures::future::{join, join_all};
use roadcast_domain::ids::{FleetId, SubscriptionId, VehicleId};
use roadcast_ports::entitlements::Entitlements as _;
use roadcast_services::fleets::provisioning::{Step, Task};
use serde_json::{Value, json};

use super::services::Services;
use super::{ALL, SEEDS};
use crate::deployment::{Deployment, FleetIds};
use crate::request::{Request, request};

/// The number of repetitions of each kind.
const REPETITIONS: usize = 3;

fn of_subscription(fleet: &FleetIds, method: &'static str, resource: &'static str) -> Request {
    request(method, resource).path("fleetId", &fleet.fleet_id).path("subscriptionId", &fleet.subscription_id)
}

fn replace(fleet: &FleetIds, vehicles: &[&str]) -> Request {
    let body: Value = json!({"vehicles": vehicles, "packages": ALL.packages});
    let request = of_subscription(fleet, "PUT", "/fleets/{fleetId}/subscriptions/{subscriptionId}");
    request.header("if-match", "*").json(&body)
}

/// Sends a request that takes something away until it succeeds, while requests and steps repeat the state before it.
async fn take_away(deployment: &Deployment, fleet: &FleetIds, seed: u64, take: &Request) {
    let services: Vec<Services> = (0..10).map(|number| Services::new(deployment, seed * 100 + number)).collect();
    let taken = async {
        for _ in 0..20 {
            let answer = services[0].send(&take.clone().by(&deployment.admin)).await;
            assert!([200, 409, 412].contains(&answer.status), "seed {seed}: {answer:?}");
            if answer.status == 200 {
                return;
            }
        }
        panic!("seed {seed}: the request did not succeed");
    };
    let repeat = async |services: &Services, number: usize| match number % 3 {
        0 => {
            let resume = of_subscription(fleet, "POST", "/fleets/{fleetId}/subscriptions/{subscriptionId}/resume");
            services.send(&resume.by(&deployment.admin)).await;
        }
        1 => {
            services.send(&of_subscription(fleet, "POST", SUSPEND).by(&deployment.admin)).await;
        }
        _ => {
            let fleet_id: FleetId = fleet.fleet_id.parse().unwrap();
            let subscription_id: SubscriptionId = fleet.subscription_id.parse().unwrap();
            let task = Task { step: Step::Activate, fleet_id, subscription_id, attempt: 1, error: None };
            let _ = services.provisioning.step(&task).await;
        }
    };
    let repeated = services[1..].iter().take(3 * REPETITIONS).enumerate().map(|(number, services)| repeat(services, number));
    join(taken, join_all(repeated)).await;
}

const SUSPEND: &str = "/fleets/{fleetId}/subscriptions/{subscriptionId}/suspend";

async fn is_entitled(deployment: &Deployment, fleet: &FleetIds, vid: &str) -> bool {
    let (fleet_id, vid): (FleetId, VehicleId) = (fleet.fleet_id.parse().unwrap(), vid.parse().unwrap());
    deployment.memory.entitlement(&fleet_id, &vid).await.unwrap().is_some()
}

pub(crate) async fn what_was_taken_away_is_not_granted_again() {
    for seed in 0..SEEDS {
        let deployment = Deployment::start().await;
        let fleet = deployment.first_fleet(&ALL).await;
        let other = deployment.fleet("other", "WVWZZZ3CZEE000002", "11", &ALL).await;
        let both = replace(&fleet, &[&fleet.vid, &other.vid]).by(&deployment.admin);
        assert_eq!(deployment.send(&both).await.status, 200);
        take_away(&deployment, &fleet, seed, &replace(&fleet, &[&fleet.vid])).await;
        assert!(!is_entitled(&deployment, &fleet, &other.vid).await, "seed {seed}: the removed vehicle is granted");
        let revoke = of_subscription(&fleet, "POST", "/fleets/{fleetId}/subscriptions/{subscriptionId}/revoke");
        take_away(&deployment, &fleet, seed + SEEDS, &revoke).await;
        assert!(!is_entitled(&deployment, &fleet, &fleet.vid).await, "seed {seed}: the revoked subscription grants");
    }
    println!(
        "{SEEDS} removed vehicles and {SEEDS} revocations against {} repetitions each: nothing is granted",
        3 * REPETITIONS
    );
}
