//! Checks of the `DynamoDB` adapters that the conformance suites do not cover.

use aws_sdk_dynamodb::types::AttributeValue;
use roadcast_aws::keys::{EXPIRES_AT, Key};
use roadcast_aws::{
    DynamoEntitlements, DynamoEventLog, DynamoFeedIndex, DynamoSubscriptions, OsRandomness, Sdk, SystemClock,
};
use roadcast_domain::entitlement::Holders;
use roadcast_domain::ids::{ArrivalStamp, Eid, FleetId, VehicleId};
use roadcast_ports::PortErrorKind;
use roadcast_ports::clock::{Clock, Randomness};
use roadcast_ports::conformance::Fixtures;
use roadcast_ports::entitlements::Entitlements;
use roadcast_ports::event_log::{EventLog, EventRange, PAGE_BYTES};
use roadcast_ports::feed::{Delivery, FeedIndex, FeedRange};
use roadcast_ports::subscriptions::Subscriptions;
use roadcast_signals::Timestamp;

use crate::stack::Stack;

pub(crate) async fn check(sdk: &Sdk, stack: &Stack) {
    unsupported_item_format_is_an_error_that_names_the_item(sdk, stack).await;
    raised_epoch_survives_rewriting_the_grants(sdk, stack).await;
    feed_pointer_is_stored_with_its_expiry(sdk, stack).await;
}

async fn unsupported_item_format_is_an_error_that_names_the_item(sdk: &Sdk, stack: &Stack) {
    let log = DynamoEventLog::new(sdk.dynamodb(), &stack.vehicle_events);
    let (vid, eid) = (VehicleId::from_random_bits(OsRandomness.bits()), Eid::lower_bound(Timestamp::from_ms(1)));
    let mut item = Key::event_item(&vid, eid.to_string()).attributes();
    item.insert("fmt".to_owned(), AttributeValue::N("77".to_owned()));
    sdk.dynamodb().put_item().table_name(&stack.vehicle_events).set_item(Some(item)).send().await.unwrap();
    let range =
        EventRange { vid: vid.clone(), from: Eid::MIN, to: Eid::MAX, limit: 10, max_bytes: PAGE_BYTES, consistent: true };
    for error in [log.range(&range).await.unwrap_err(), log.get(&vid, eid).await.unwrap_err()] {
        assert_eq!(error.kind(), PortErrorKind::Internal);
        assert!(std::error::Error::source(&error).unwrap().to_string().contains(&eid.to_string()));
    }
}

async fn raised_epoch_survives_rewriting_the_grants(sdk: &Sdk, stack: &Stack) {
    let fixtures = Fixtures::new(&OsRandomness);
    let (fleet_id, vid) = (fixtures.fleet_id(), fixtures.vid());
    let subscriptions = DynamoSubscriptions::new(sdk.dynamodb(), &stack.reference);
    let entitlements = DynamoEntitlements::new(sdk.dynamodb(), &stack.reference);
    let subscription = fixtures.subscription(&fleet_id, vec![vid.clone()], &["alerts"]);
    for key in [Key::epoch_by_vehicle(&vid, &fleet_id), Key::epoch_by_fleet(&fleet_id, &vid)] {
        let mut item = key.attributes();
        item.insert("fleetId".to_owned(), AttributeValue::S(fleet_id.to_string()));
        item.insert("vid".to_owned(), AttributeValue::S(vid.to_string()));
        item.insert("epoch".to_owned(), AttributeValue::N("5".to_owned()));
        sdk.dynamodb().put_item().table_name(&stack.reference).set_item(Some(item)).send().await.unwrap();
    }
    assert_eq!(entitlements.entitlement(&fleet_id, &vid).await.unwrap(), None, "an epoch alone entitles to nothing");
    subscriptions.create(&subscription, &fixtures.change(&fleet_id)).await.unwrap();
    subscriptions.write_grants(&subscription).await.unwrap();
    let found = entitlements.entitlement(&fleet_id, &vid).await.unwrap().unwrap();
    assert_eq!((found.epoch, found.grants.len()), (5, 1));
    assert_eq!(entitlements.list_by_fleet(&fleet_id, None, 1).await.unwrap(), [found]);
    println!("epochs");
}

async fn feed_pointer_is_stored_with_its_expiry(sdk: &Sdk, stack: &Stack) {
    let now = SystemClock.now();
    let fleet_id = FleetId::from_random_bits(OsRandomness.bits());
    let index = DynamoFeedIndex::new(sdk.dynamodb(), &stack.feed_index);
    index.record(&[Delivery { fleet_id: fleet_id.clone(), events: Vec::new(), held_by: Holders::None }]).await.unwrap();
    let range =
        FeedRange { fleet_id: fleet_id.clone(), from: ArrivalStamp::lower_bound(now), to: ArrivalStamp::MAX, limit: 1 };
    let pointer = index.read(&range).await.unwrap().pointers.remove(0);
    let key = Key::feed_pointer(&fleet_id, pointer.stamp).attributes();
    let item =
        sdk.dynamodb().get_item().table_name(&stack.feed_index).set_key(Some(key)).send().await.unwrap().item.unwrap();
    assert!(item[EXPIRES_AT].as_n().unwrap().parse::<i64>().unwrap() > now.ms() / 1000);
}
