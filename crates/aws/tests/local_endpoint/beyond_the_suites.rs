//! What a port's suite cannot see: how it is stored, and what the services were told.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use roadcast_aws::keys::{EXPIRES_AT, Key};
use roadcast_aws::{
    DynamoEntitlements, DynamoEventLog, DynamoFeedIndex, DynamoSubscriptions, FleetChannels, KinesisTelemetryStream,
    OsRandomness, Sdk, SqsFeedQueue, SystemClock,
};
use roadcast_domain::fleet::Fleet;
use roadcast_domain::ids::{Eid, FleetId, VehicleId};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::conformance::Fresh;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange};
use roadcast_ports::feed::{Delivery, FeedIndex, FeedQueue, FeedRange};
use roadcast_ports::provisioning::FleetChannel;
use roadcast_ports::stream::{StreamRecord, TelemetryStream};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_signals::Timestamp;

use crate::stack::{FEED_PREFIX, Stack};

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    an_item_of_a_form_not_known_is_an_error_that_names_it(sdk, stack).await;
    a_raised_epoch_outlasts_writing_the_grants_again(sdk, stack).await;
    a_pointer_is_stored_with_its_expiry(sdk, stack).await;
    one_record_too_large_is_refused_alone(sdk, stack).await;
    a_fleets_queue_is_made_as_decided(sdk, stack).await;
    a_long_wait_is_no_timeout(sdk, stack).await;
    a_queue_that_is_gone_has_no_messages(sdk, stack).await;
}

fn fleet(stack: &Stack) -> Fleet {
    Fresh::new(&OsRandomness).fleet(&stack.delivery_bus)
}

fn channels(sdk: &Sdk, stack: &Stack) -> FleetChannels {
    FleetChannels::new(sdk.sqs(), sdk.eventbridge(), FEED_PREFIX, &stack.delivery_bus_arn).unwrap()
}

async fn an_item_of_a_form_not_known_is_an_error_that_names_it(sdk: &Sdk, stack: &Stack) {
    let log = DynamoEventLog::new(sdk.dynamodb(), &stack.vehicle_events);
    let (vid, eid) = (VehicleId::from_random(OsRandomness.bits()), Eid::first_at(Timestamp::from_ms(1)));
    let mut item = Key::event_item(&vid, eid.to_string()).attributes();
    item.insert("fmt".to_owned(), AttributeValue::N("77".to_owned()));
    sdk.dynamodb().put_item().table_name(&stack.vehicle_events).set_item(Some(item)).send().await.unwrap();
    let range = EventRange { vid: vid.clone(), from: Eid::MIN, to: Eid::MAX, limit: 10, consistent: true };
    for error in [log.range(&range).await.unwrap_err(), log.get(&vid, eid).await.unwrap_err()] {
        assert_eq!(error.kind(), PortErrorKind::Rejected);
        assert!(std::error::Error::source(&error).unwrap().to_string().contains(&eid.to_string()));
    }
}

async fn a_raised_epoch_outlasts_writing_the_grants_again(sdk: &Sdk, stack: &Stack) {
    let fresh = Fresh::new(&OsRandomness);
    let (fleet_id, vid) = (fresh.fleet_id(), fresh.vid());
    let subscriptions = DynamoSubscriptions::new(sdk.dynamodb(), &stack.reference);
    let entitlements = DynamoEntitlements::new(sdk.dynamodb(), &stack.reference);
    let subscription = fresh.subscription(&fleet_id, vec![vid.clone()], &["alerts"]);
    for key in [Key::epoch_by_vehicle(&vid, &fleet_id), Key::epoch_by_fleet(&fleet_id, &vid)] {
        let mut item = key.attributes();
        item.insert("fleetId".to_owned(), AttributeValue::S(fleet_id.to_string()));
        item.insert("vid".to_owned(), AttributeValue::S(vid.to_string()));
        item.insert("epoch".to_owned(), AttributeValue::N("5".to_owned()));
        sdk.dynamodb().put_item().table_name(&stack.reference).set_item(Some(item)).send().await.unwrap();
    }
    assert_eq!(entitlements.of_fleet_to_vehicle(&fleet_id, &vid).await.unwrap(), None, "an epoch entitles to nothing");
    subscriptions.create(&subscription, None).await.unwrap();
    subscriptions.write_grants(&subscription).await.unwrap();
    let found = entitlements.of_fleet_to_vehicle(&fleet_id, &vid).await.unwrap().unwrap();
    assert_eq!((found.epoch, found.grants.len()), (5, 1));
    assert_eq!(entitlements.of_fleet(&fleet_id, None, 1).await.unwrap(), [found]);
    println!("epochs");
}

async fn a_pointer_is_stored_with_its_expiry(sdk: &Sdk, stack: &Stack) {
    let now = SystemClock.now();
    let fleet_id = FleetId::from_random(OsRandomness.bits());
    let index = DynamoFeedIndex::new(sdk.dynamodb(), &stack.feed_index);
    index.record(&[Delivery { fleet_id: fleet_id.clone(), events: Vec::new() }]).await.unwrap();
    let range = FeedRange { fleet_id: fleet_id.clone(), from: Eid::first_at(now), to: Eid::MAX, limit: 1 };
    let pointer = index.read(&range).await.unwrap().pointers.remove(0);
    let key = Key::feed_pointer(&fleet_id, pointer.stamp).attributes();
    let item =
        sdk.dynamodb().get_item().table_name(&stack.feed_index).set_key(Some(key)).send().await.unwrap().item.unwrap();
    assert!(item[EXPIRES_AT].as_n().unwrap().parse::<i64>().unwrap() > now.ms() / 1000);
}

async fn one_record_too_large_is_refused_alone(sdk: &Sdk, stack: &Stack) {
    let record = |bytes| StreamRecord { vid: VehicleId::from_random(OsRandomness.bits()), data: vec![b' '; bytes] };
    let records = [record(1), record(1024 * 1024), record(1)];
    let answers = KinesisTelemetryStream::new(sdk.kinesis(), &stack.stream).put(&records).await;
    let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(roadcast_ports::PortError::kind)).collect();
    assert_eq!(kinds, [None, Some(PortErrorKind::Rejected), None]);
}

async fn a_fleets_queue_is_made_as_decided(sdk: &Sdk, stack: &Stack) {
    let (fleet, channels) = (fleet(stack), channels(sdk, stack));
    let name = format!("{FEED_PREFIX}{}", fleet.fleet_id);
    // There already, and otherwise than it should be.
    sdk.sqs().create_queue().queue_name(&name).send().await.unwrap();
    let no_rule_yet = channels.ensure_rule(&fleet).await.unwrap_err();
    assert!(no_rule_yet.is_retryable(), "a rule without its queues is tried again");
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
        assert!(attributes[&QueueAttributeName::Policy].contains(&rule_arn), "the policy names the rule as it is");
    }
    let targets = sdk.eventbridge().list_targets_by_rule().rule(&name).event_bus_name(&stack.delivery_bus);
    let targets = targets.send().await.unwrap().targets.unwrap();
    assert_eq!(targets.len(), 1, "making it again replaces the target");
    assert_eq!(targets[0].input_path.as_deref(), Some("$.detail.events"));
    let dlq = targets[0].dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
    assert!(dlq.is_some_and(|arn| arn.ends_with("-dlq")), "{dlq:?}");
    println!("fleet channel");
}

async fn a_long_wait_is_no_timeout(sdk: &Sdk, stack: &Stack) {
    let fleet = fleet(stack);
    channels(sdk, stack).ensure_queue(&fleet).await.unwrap();
    let started = Instant::now();
    let messages = SqsFeedQueue::new(sdk.sqs(), FEED_PREFIX).receive(&fleet.fleet_id, 10, 6).await.unwrap();
    assert!(messages.is_empty());
    assert!(started.elapsed() > Duration::from_secs(5), "it waits for longer than other requests may take");
    println!("long poll");
}

async fn a_queue_that_is_gone_has_no_messages(sdk: &Sdk, stack: &Stack) {
    let fleet = fleet(stack);
    channels(sdk, stack).ensure_queue(&fleet).await.unwrap();
    let queue = SqsFeedQueue::new(sdk.sqs(), FEED_PREFIX);
    assert!(queue.receive(&fleet.fleet_id, 1, 0).await.unwrap().is_empty());
    let name = format!("{FEED_PREFIX}{}", fleet.fleet_id);
    let url = sdk.sqs().get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    sdk.sqs().delete_queue().queue_url(url).send().await.unwrap();
    for _ in 0..2 {
        assert!(queue.receive(&fleet.fleet_id, 1, 0).await.unwrap().is_empty(), "its remembered address is forgotten");
    }
    let answers = queue.acknowledge(&fleet.fleet_id, &["gone".to_owned()]).await;
    assert!(answers.iter().all(Result::is_ok), "with the queue its messages are gone");
}
