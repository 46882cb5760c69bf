//! Checks of the fleets' queues and rules that the conformance suites do not cover.

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use roadcast_aws::{FleetChannels, OsRandomness, Sdk, SqsFeedQueue, SqsMessageDelay};
use roadcast_domain::fleet::Fleet;
use roadcast_ports::clock::Randomness as _;
use roadcast_ports::conformance::{self as suites, Fixtures};
use roadcast_ports::feed::{FeedQueue, ReceiveOptions};
use roadcast_ports::provisioning::FleetChannel;

use crate::stack::{DEAD_LETTERS, FEED_PREFIX, Stack, webhook_rule};

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    fleet_queue_and_rule_have_the_intended_configuration(sdk, stack).await;
    further_bus_has_the_rule_of_webhooks(sdk, stack).await;
    long_poll_does_not_time_out(sdk, stack).await;
    deleted_queue_has_no_messages(sdk, stack).await;
    failed_message_is_visible_after_its_delay(sdk).await;
}

async fn failed_message_is_visible_after_its_delay(sdk: &Sdk) {
    let name = format!("message-delay-{:x}", OsRandomness.bits());
    let request = sdk.sqs().create_queue().queue_name(&name).attributes(QueueAttributeName::VisibilityTimeout, "3600");
    let url = request.send().await.unwrap().queue_url.unwrap();
    sdk.sqs().send_message().queue_url(&url).message_body("message").send().await.unwrap();
    let receive = async || {
        let request = sdk.sqs().receive_message().queue_url(&url).max_number_of_messages(1).wait_time_seconds(1);
        let message = request.send().await.unwrap().messages.unwrap_or_default().pop()?;
        message.receipt_handle
    };
    let port = SqsMessageDelay::new(sdk.sqs(), [url.clone()]);
    suites::message_delay(&port, &format!("arn:aws:sqs:us-east-1:000000000000:{name}"), receive).await;
    println!("message delay");
}

fn fleet(stack: &Stack) -> Fleet {
    Fixtures::new(&OsRandomness).fleet(&stack.delivery_bus)
}

fn channels(sdk: &Sdk, stack: &Stack) -> FleetChannels {
    FleetChannels::new(sdk.sqs(), sdk.eventbridge(), FEED_PREFIX, &stack.delivery_bus_arn, DEAD_LETTERS, webhook_rule())
        .unwrap()
}

async fn fleet_queue_and_rule_have_the_intended_configuration(sdk: &Sdk, stack: &Stack) {
    let (fleet, channels) = (fleet(stack), channels(sdk, stack));
    let name = format!("{FEED_PREFIX}{}", fleet.fleet_id);
    let queue_missing = channels.ensure_rule(&fleet).await.unwrap_err();
    assert!(queue_missing.is_retryable(), "a rule without its queue fails with a retryable error");
    // The queue exists already, with a different configuration.
    sdk.sqs().create_queue().queue_name(&name).send().await.unwrap();
    channels.ensure_queue(&fleet).await.unwrap();
    channels.ensure_rule(&fleet).await.unwrap();

    let rule = sdk.eventbridge().describe_rule().name(&name).event_bus_name(&stack.delivery_bus).send().await.unwrap();
    let rule_arn = rule.arn.unwrap();
    let url = sdk.sqs().get_queue_url().queue_name(&name).send().await.unwrap().queue_url.unwrap();
    let request = sdk.sqs().get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let attributes = request.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::MessageRetentionPeriod], "345600");
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "60");
    assert!(!attributes.contains_key(&QueueAttributeName::RedrivePolicy));
    assert!(attributes[&QueueAttributeName::Policy].contains(&rule_arn), "the policy names the actual rule");
    let targets = sdk.eventbridge().list_targets_by_rule().rule(&name).event_bus_name(&stack.delivery_bus);
    let targets = targets.send().await.unwrap().targets.unwrap();
    assert_eq!(targets.len(), 1, "ensuring the rule again replaces the target");
    assert_eq!(targets[0].input_path.as_deref(), Some("$.detail.events"));
    let dlq = targets[0].dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
    assert_eq!(dlq, Some(DEAD_LETTERS));

    assert!(channels.is_current(&fleet).await.unwrap());
    let change = sdk.sqs().set_queue_attributes().queue_url(url).attributes(QueueAttributeName::VisibilityTimeout, "5");
    change.send().await.unwrap();
    assert!(!channels.is_current(&fleet).await.unwrap(), "the queue was changed");
    channels.ensure_queue(&fleet).await.unwrap();
    assert!(channels.is_current(&fleet).await.unwrap(), "the queue is corrected");
    let disable = sdk.eventbridge().disable_rule().name(&name).event_bus_name(&stack.delivery_bus);
    disable.send().await.unwrap();
    assert!(!channels.is_current(&fleet).await.unwrap(), "the rule was changed");
    channels.ensure_rule(&fleet).await.unwrap();
    assert!(channels.is_current(&fleet).await.unwrap(), "the rule is corrected");
    println!("fleet channel");
}

async fn further_bus_has_the_rule_of_webhooks(sdk: &Sdk, stack: &Stack) {
    let bus = format!("{}-3", stack.delivery_bus);
    let (fleet, channels, rule) = (Fixtures::new(&OsRandomness).fleet(&bus), channels(sdk, stack), webhook_rule());
    channels.ensure_queue(&fleet).await.unwrap();
    channels.ensure_rule(&fleet).await.unwrap();
    let targets = sdk.eventbridge().list_targets_by_rule().rule(&rule.name).event_bus_name(&bus);
    let targets = targets.send().await.unwrap().targets.unwrap();
    assert_eq!((targets.len(), targets[0].arn()), (1, rule.queue_arn.as_str()));
    assert_eq!(targets[0].input_path, None, "the fan-out needs the fleet of the entry");
    assert!(channels.is_current(&fleet).await.unwrap());

    let disable = sdk.eventbridge().disable_rule().name(&rule.name).event_bus_name(&bus);
    disable.send().await.unwrap();
    assert!(!channels.is_current(&fleet).await.unwrap(), "no event would reach the endpoints of its fleets");
    channels.ensure_rule(&fleet).await.unwrap();
    assert!(channels.is_current(&fleet).await.unwrap());
    println!("rule of webhooks on a further bus");
}

async fn long_poll_does_not_time_out(sdk: &Sdk, stack: &Stack) {
    let fleet = fleet(stack);
    channels(sdk, stack).ensure_queue(&fleet).await.unwrap();
    let started = Instant::now();
    let options = ReceiveOptions { max: 10, wait_s: 6, timeout: Duration::from_secs(20) };
    let messages = SqsFeedQueue::new(sdk.sqs(), FEED_PREFIX).receive(&fleet.fleet_id, options).await.unwrap();
    assert!(messages.is_empty());
    assert!(started.elapsed() > Duration::from_secs(5), "the long poll waits longer than the timeout of other requests");
    println!("long poll");
}

async fn deleted_queue_has_no_messages(sdk: &Sdk, stack: &Stack) {
    let fleet = fleet(stack);
    channels(sdk, stack).ensure_queue(&fleet).await.unwrap();
    let queue = SqsFeedQueue::new(sdk.sqs(), FEED_PREFIX);
    assert!(queue.receive(&fleet.fleet_id, ReceiveOptions::default()).await.unwrap().is_empty());
    let name = format!("{FEED_PREFIX}{}", fleet.fleet_id);
    let url = sdk.sqs().get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    sdk.sqs().delete_queue().queue_url(url).send().await.unwrap();
    for _ in 0..2 {
        assert!(
            queue.receive(&fleet.fleet_id, ReceiveOptions::default()).await.unwrap().is_empty(),
            "the cached queue URL is evicted"
        );
    }
    let results = queue.acknowledge(&fleet.fleet_id, &["deleted".to_owned()]).await;
    assert!(results.iter().all(Result::is_ok), "the messages were deleted with their queue");
}
