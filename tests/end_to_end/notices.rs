//! Notices of the operator's alerts: at a queue that is subscribed to the topic, and at an incident endpoint on this machine.

use std::collections::BTreeSet;

use roadcast_aws::Sdk;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::alerts::{ALERT, ALERT_TIMEOUT, CHANGE_TIMEOUT, drive};
use crate::consent::{until, vehicle};
use crate::shared::Shared;
use crate::stack::Stack;
use crate::webhooks::receiver::{INCIDENT_PORT, Receiver};

/// The path to which the stack posts notices.
pub(crate) const INCIDENT_PATH: &str = "/incidents";
const REGION: &str = "eu-central-1";

/// A queue that is subscribed to the topic of the operator's alerts.
struct Subscriber {
    sdk: Sdk,
    runtime: Runtime,
    queue_url: String,
    received: Vec<Value>,
}

impl Subscriber {
    fn subscribe(stack: &Stack) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sdk = Sdk::for_local_endpoint(&stack.endpoint, REGION);
        let queue_url = runtime.block_on(async {
            let topic = stack.resource("OperatorAlertsTopicArn");
            let name = "operator-alerts-of-the-check";
            let arn = format!("arn:aws:sqs:{REGION}:000000000000:{name}");
            let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}]});
            let queue = sdk.sqs().create_queue().queue_name(name).attributes("Policy".into(), policy.to_string());
            let queue_url = queue.send().await.expect("a queue").queue_url.expect("a URL");
            let subscription = sdk.sns().subscribe().topic_arn(topic).protocol("sqs").endpoint(arn);
            subscription.send().await.expect("a subscription");
            queue_url
        });
        Self { sdk, runtime, queue_url, received: Vec::new() }
    }

    /// Receives what has arrived, and returns all messages so far.
    fn receive(&mut self) -> &[Value] {
        let received = self.runtime.block_on(async {
            let request = self.sdk.sqs().receive_message().queue_url(&self.queue_url).max_number_of_messages(10);
            let messages = request.send().await.expect("messages").messages.unwrap_or_default();
            for message in &messages {
                let delete = self.sdk.sqs().delete_message().queue_url(&self.queue_url);
                delete.receipt_handle(message.receipt_handle().unwrap_or_default()).send().await.expect("deleted");
            }
            messages
        });
        let parsed = received.iter().map(|message| serde_json::from_str(message.body().unwrap_or_default()).expect("JSON"));
        self.received.extend(parsed);
        &self.received
    }

    /// Sends a message to the queue of notices, as its rule does.
    fn repeat(&self, stack: &Stack, message: &Value) {
        let request = self.sdk.sqs().send_message().queue_url(stack.resource("AlertNoticesQueueUrl"));
        self.runtime.block_on(request.message_body(message.to_string()).send()).expect("sent");
    }
}

/// Creates a rule of the operator that concerns one vehicle, and returns its path.
fn rule(stack: &Stack, vid: &str) -> String {
    let rule = json!({"name": "Öl \"heiß\" and too fast", "severity": "critical", "scope": {"vehicles": [vid]},
        "condition": {"threshold": {"signal": "Vehicle.Speed", "above": 130, "hysteresis": 10}}});
    let created = stack.post(stack.admin(), "/alert-rules", &rule);
    assert_eq!(created.status, 201, "{}", created.body);
    std::thread::sleep(CHANGE_TIMEOUT);
    format!("/alert-rules/{}", created.json()["ruleId"].as_str().expect("an id"))
}

fn remove(stack: &Stack, rule: &str) {
    assert_eq!(stack.call("DELETE", rule, Some(stack.admin()), &[("if-match", "*")], "").status, 204);
}

/// The notices that the endpoint took or refused, by request.
fn posted(receiver: &Receiver) -> Vec<Value> {
    let requests = receiver.requests(INCIDENT_PATH);
    requests.iter().map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect()
}

pub(crate) fn operator_is_notified_at_the_topic_and_the_incident_endpoint(shared: &Shared) {
    let stack = shared.stack();
    let mut subscriber = Subscriber::subscribe(stack);
    // The first two attempts fail, whichever notice is first.
    let receiver = Receiver::start_at(INCIDENT_PORT, &[503, 500, 200]);
    let vid = vehicle(stack, "notices");
    let rule = rule(stack, &vid);
    drive(stack, &vid, "fast", &[100.0, 135.0, 140.0, 125.0, 110.0]);

    until("both notices are at the topic", ALERT_TIMEOUT, || subscriber.receive().len() >= 2);
    until("both notices are at the endpoint", ALERT_TIMEOUT, || posted(&receiver).len() >= 4);
    let of_topic: Vec<Value> = subscriber.received.clone();
    let notice = |message: &Value| -> Value {
        serde_json::from_str(message["Message"].as_str().expect("a text")).expect("the notice is JSON")
    };
    let mut changes = BTreeSet::new();
    for message in &of_topic {
        let notice = notice(message);
        assert_eq!((&notice["vid"], &notice["severity"]), (&json!(vid), &json!("critical")), "{notice}");
        assert_eq!(notice["ruleName"], "Öl \"heiß\" and too fast");
        let change = notice["change"].as_str().expect("a change").to_owned();
        let subject = format!("Roadcast local: critical alert {change}: Oel \"heiss\" and too fast");
        assert_eq!(message["Subject"], subject, "{message}");
        let attributes = &message["MessageAttributes"];
        assert_eq!(attributes["severity"]["Value"], "critical", "{message}");
        assert_eq!(attributes["change"]["Value"], change.as_str(), "{message}");
        assert!(!message.to_string().contains("Vehicle.Speed"), "no signal: {message}");
        changes.insert(change);
    }
    assert_eq!(changes.iter().map(String::as_str).collect::<Vec<_>>(), ["cleared", "raised"]);

    let ids =
        |notices: &[Value]| -> BTreeSet<String> { notices.iter().map(|notice| notice["noticeId"].to_string()).collect() };
    let notices: Vec<Value> = of_topic.iter().map(notice).collect();
    let of_endpoint = posted(&receiver);
    assert_eq!(ids(&of_endpoint), ids(&notices), "the same notices");
    for posted in &of_endpoint {
        assert!(notices.contains(posted), "{posted}");
    }
    for request in receiver.requests(INCIDENT_PATH) {
        assert_eq!(request.header("authorization"), Some("Bearer local"));
        assert!(request.header("content-type").unwrap_or_default().starts_with("application/json"));
    }

    // The bus and the queue deliver at least once.
    let events = stack.json(stack.admin(), &format!("/vehicles/{vid}/events?type={ALERT}"));
    for event in events["events"].as_array().expect("events") {
        subscriber.repeat(stack, &json!({"notice": true, "events": [event]}));
    }
    std::thread::sleep(CHANGE_TIMEOUT);
    assert_eq!(subscriber.receive().len(), 2, "no notice is published again");
    assert_eq!(posted(&receiver).len(), 4, "and none is posted again");
    remove(stack, &rule);
}

pub(crate) fn refused_notice_is_redriven(shared: &Shared) {
    let stack = shared.stack();
    let receiver = Receiver::start_at(INCIDENT_PORT, &[400, 200]);
    let vid = vehicle(stack, "refused-notice");
    let rule = rule(stack, &vid);
    drive(stack, &vid, "fast", &[100.0, 135.0, 140.0]);
    let mut letters = Vec::new();
    until("the refused notice is a dead letter", ALERT_TIMEOUT, || {
        letters = stack.all(stack.admin(), "/dead-letters?hop=notice&state=kept", "items");
        !letters.is_empty()
    });
    assert_eq!((letters.len(), &letters[0]["reason"]), (1, &json!("error_from_target")), "{letters:?}");
    assert_eq!(letters[0]["pointers"]["source"], "roadcast-local-alert-notices-endpoint");
    let headers = [("content-type", "application/json")];
    let body = json!({"deadLetterIds": [letters[0]["deadLetterId"]]}).to_string();
    let redrive = stack.call("PUT", "/redrives/refused-notice", Some(stack.admin()), &headers, body);
    assert_eq!((redrive.status, &redrive.json()["redriven"]), (200, &json!(1)), "{}", redrive.body);
    until("the redriven notice is at the endpoint", ALERT_TIMEOUT, || posted(&receiver).len() >= 2);
    let posted = posted(&receiver);
    assert_eq!((posted.len(), &posted[0]), (2, &posted[1]));
    assert_eq!(posted[0]["vid"], json!(vid));
    remove(stack, &rule);
}
