//! The tasks of back-tests.

use roadcast_domain::alert::RuleOwner;
use roadcast_domain::back_test::BackTestTask;
use roadcast_domain::caller::Caller;
use roadcast_services::alerts::back_tests::{BackTestManagement, BackTestRequest};
use roadcast_services::authz::{Manager, Proof as _, RuleManager};
use roadcast_services::cache::CachedEntitlements;
use roadcast_testbed::{InMemory, SeededRandomness};
use serde_json::{Value, json};

use crate::contract::Contract;
use crate::golden;
use crate::pipeline::Pipeline;

/// Starts a back-test of the fleet, and returns its task.
pub(crate) async fn produce(pipeline: &Pipeline) -> Value {
    let (m, k) = (|| pipeline.memory.clone(), || pipeline.clock.clone());
    let management = BackTestManagement::<InMemory> {
        back_tests: m(),
        queue: m(),
        rules: m(),
        fleets: m(),
        vehicles: m(),
        entitlements: CachedEntitlements::new(m(), k()),
        clock: k(),
        randomness: SeededRandomness::new(9),
    };
    let fleet = Manager::prove(&Caller::Fleet(pipeline.fleet_id.clone())).expect("a client of the fleet");
    let fleet: RuleManager = fleet.of_fleet(&pipeline.fleet_id).expect("its fleet").into();
    let rule = json!({"name": "Lamp", "severity": "info", "condition": {"milOn": {}}});
    let request = json!({"rule": rule, "vehicles": [pipeline.car]}).to_string();
    management.start(&fleet, BackTestRequest::parse(&request).expect("a request")).await.expect("a back-test");
    serde_json::to_value(pipeline.memory.take_back_test_task().expect("a task")).expect("JSON")
}

#[test]
fn task_of_the_operator_has_no_fleet() {
    let contract = Contract::read();
    let task = golden::read(&contract, "BackTestTask").remove(0);
    let mut of_operator: BackTestTask = serde_json::from_value(task.clone()).expect("a task");
    assert_eq!(serde_json::to_value(&of_operator).expect("JSON"), task);
    of_operator.owner = RuleOwner::Operator;
    let of_operator = serde_json::to_value(&of_operator).expect("JSON");
    assert_eq!(of_operator, json!({"backTestId": task["backTestId"]}));
    contract.check("BackTestTask", &of_operator).unwrap_or_else(|error| panic!("{error}"));
}
