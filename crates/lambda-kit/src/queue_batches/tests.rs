#![allow(clippy::unwrap_used)]
use serde_json::json;

use super::*;

fn messages(queue: &str, groups: &[(&str, &str)]) -> Vec<SqsMessage> {
    let message = |(id, group): &(&str, &str)| json!({ "messageId": id, "eventSourceARN": queue, "attributes": { "MessageGroupId": group } });
    let records: Vec<_> = groups.iter().map(message).collect();
    serde_json::from_value::<SqsEvent>(json!({ "Records": records })).unwrap().records
}

fn ids(groups: Vec<Vec<SqsMessage>>) -> Vec<Vec<String>> {
    groups.into_iter().map(|group| group.into_iter().map(|message| message.message_id).collect()).collect()
}

#[test]
fn messages_of_a_group_of_a_fifo_queue_stay_in_order() {
    let ordered = messages("arn:aws:sqs:eu:1:q.fifo", &[("1", "a"), ("2", "b"), ("3", "a")]);
    assert_eq!(ids(groups(ordered)), [vec!["1", "3"], vec!["2"]]);
}

#[test]
fn messages_of_a_fair_queue_are_independent() {
    let fair = messages("arn:aws:sqs:eu:1:q", &[("1", "a"), ("2", "a")]);
    assert_eq!(ids(groups(fair)), [["1"], ["2"]]);
}
