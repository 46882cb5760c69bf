//! Checks of the fleets' queues and rules that the conformance suites do not cover.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use roadcast_aws::{FleetChannels, OsRandomness, Sdk, SqsFeedQueue};
use roadcast_domain::fleet::Fleet;
use roadcast_ports::conformance::Fixtures;
use roadcast_ports::feed::FeedQueue;
use roadcast_ports::provisioning::FleetChannel;

use crate::stack::{FEED_PREFIX, Stack};

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    fleet_queue_and_rule_have_the_intended_configuration(sdk, stack).await;
    long_poll_does_not_time_out(sdk, stack).await;
    deleted_queue_has_no_messages(sdk, stack).await;
}

fn fleet(stack: &Stack) -> Fleet {
    Fixtures::new(&OsRandomness).fleet(&stack.delivery_bus)
}

fn channels(sdk: &Sdk, stack: &Stack) -> FleetChannels {
    FleetChannels::new(sdk.sqs(), sdk.eventbridge(), FEED_PREFIX, &stack.delivery_bus_arn).unwrap()
}

async fn fleet_queue_and_rule_have_the_intended_configuration(sdk: &Sdk, stack: &Stack) {
    let (fleet, channels) = (fleet(stack), channels(sdk, stack));
    let name = format!("{FEED_PREFIX}{}", fleet.fleet_id);
    // The queue exists already, with a different configuration.
    sdk.sqs().create_queue().queue_name(&name).send().await.unwrap();
    let queue_missing = channels.ensure_rule(&fleet).await.unwrap_err();
    assert!(queue_missing.is_retryable(), "a rule without its queues fails with a retryable error");
    channels.ensure_queue(&fleet).await.unwrap();
    channels.ensure_rule(&fleet).await.unwrap();

    let rule = sdk.eventbridge().describe_rule().name(&name).event_bus_name(&stack.delivery_bus).send().await.unwrap();
    let rule_arn = rule.arn.unwrap();
    for (queue, retention) in [(name.clone(), "345600"), (format!("{name}-dlq"), "1209600")] {
        let url = sdk.sqs().get_queue_url().queue_name(queue).send().await.unwrap().queue_url.unwrap();
        let request = sdk.sqs().get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
        let attributes = request.send().await.unwrap().attributes.unwrap();
        assert_eq!(attributes[&QueueAttributeName::MessageRetentionPeriod], retention);
        assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "60");
        assert!(!attributes.contains_key(&QueueAttributeName::RedrivePolicy));
        assert!(attributes[&QueueAttributeName::Policy].contains(&rule_arn), "the policy names the actual rule");
    }
    let targets = sdk.eventbridge().list_targets_by_rule().rule(&name).event_bus_name(&stack.delivery_bus);
    let targets = targets.send().await.unwrap().targets.unwrap();
    assert_eq!(targets.len(), 1, "ensuring the rule again replaces the target");
    assert_eq!(targets[0].input_path.as_deref(), Some("$.detail.events"));
    let dlq = targets[0].dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
    assert!(dlq.is_some_and(|arn| arn.ends_with("-dlq")), "{dlq:?}");
    println!("fleet channel");
}

async fn long_poll_does_not_time_out(sdk: &Sdk, stack: &Stack) {
    let fleet = fleet(stack);
    channels(sdk, stack).ensure_queue(&fleet).await.unwrap();
    let started = Instant::now();
    let messages = SqsFeedQueue::new(sdk.sqs(), FEED_PREFIX).receive(&fleet.fleet_id, 10, 6).await.unwrap();
    assert!(messages.is_empty());
    assert!(started.elapsed() > Duration::from_secs(5), "the long poll waits longer than the timeout of other requests");
    println!("long poll");
}

async fn deleted_queue_has_no_messages(sdk: &Sdk, stack: &Stack) {
    let fleet = fleet(stack);
    channels(sdk, stack).ensure_queue(&fleet).await.unwrap();
    let queue = SqsFeedQueue::new(sdk.sqs(), FEED_PREFIX);
    assert!(queue.receive(&fleet.fleet_id, 1, 0).await.unwrap().is_empty());
    let name = format!("{FEED_PREFIX}{}", fleet.fleet_id);
    let url = sdk.sqs().get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    sdk.sqs().delete_queue().queue_url(url).send().await.unwrap();
    for _ in 0..2 {
        assert!(queue.receive(&fleet.fleet_id, 1, 0).await.unwrap().is_empty(), "the cached queue URL is evicted");
    }
    let results = queue.acknowledge(&fleet.fleet_id, &["deleted".to_owned()]).await;
    assert!(results.iter().all(Result::is_ok), "the messages were deleted with their queue");
}
