//! Provisioning: a subscription becomes active after probes passed through the whole path, and its fleet sees none of them.

use serde_json::{Value, json};

use crate::consent::vehicle;
use crate::shared::Shared;
use crate::stack::Stack;

/// Returns the number of messages in the queue of a fleet, including those that are received and not acknowledged.
fn queued(stack: &Stack, fleet_id: &str) -> Vec<String> {
    let name = format!("roadcast-local-feed-{fleet_id}");
    let url = stack.aws("sqs", "AmazonSQS.GetQueueUrl", &json!({ "QueueName": name }))["QueueUrl"].clone();
    let counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
    let request = json!({ "QueueUrl": url, "AttributeNames": counts });
    let attributes = stack.aws("sqs", "AmazonSQS.GetQueueAttributes", &request);
    let count = |name: &str| attributes["Attributes"][name].as_str().expect("a count").to_owned();
    counts.map(count).into()
}

/// Returns the states that the last execution of the provisioning of a subscription entered.
fn entered_states(stack: &Stack, subscription_id: &str) -> Vec<String> {
    let machine = json!({ "stateMachineArn": stack.resource("ProvisioningStateMachineArn") });
    let executions = stack.aws("states", "AWSStepFunctions.ListExecutions", &machine);
    let is_own = |execution: &&Value| execution["name"].as_str().is_some_and(|name| name.starts_with(subscription_id));
    let execution = executions["executions"].as_array().expect("executions").iter().find(is_own).expect("an execution");
    let request = json!({ "executionArn": execution["executionArn"], "maxResults": 1000 });
    let history = stack.aws("states", "AWSStepFunctions.GetExecutionHistory", &request);
    let name = |event: &Value| event["stateEnteredEventDetails"]["name"].as_str().map(str::to_owned);
    history["events"].as_array().expect("events").iter().filter_map(name).collect()
}

pub(crate) fn new_feed_is_probed_and_stays_empty(shared: &Shared) {
    let stack = shared.stack();
    let vid = vehicle(stack, "probed");
    let (fleet_id, token) = stack.fleet(&[&vid], &["telematics"]);
    let subscriptions = stack.all(stack.admin(), &format!("/fleets/{fleet_id}/subscriptions"), "items");
    let [subscription] = subscriptions.as_slice() else { panic!("{subscriptions:?}") };
    assert_eq!(subscription["state"], "active");
    let states = entered_states(stack, subscription["subscriptionId"].as_str().expect("an id"));
    assert!(states.ends_with(&["WaitForFeed", "ProbeFeed", "Activate"].map(str::to_owned)), "{states:?}");
    assert_eq!(queued(stack, &fleet_id), ["0", "0"], "no probe remains in the queue");
    let feed = stack.feed(&token, &fleet_id, 2);
    assert_eq!(feed["events"], json!([]), "{feed}");
    let arrivals = stack.json(&token, "/events");
    assert_eq!(arrivals["events"], json!([]), "{arrivals}");
}
