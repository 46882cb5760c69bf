//! [`FleetChannel`], [`DeliveryBus`] and [`FeedQueue`] together, and [`FeedIndex`]

use roadcast_domain::entitlement::Holders;
use roadcast_domain::ids::{ArrivalStamp, FleetId, SubscriptionId};
use serde_json::Value;

use super::fixtures::{Fixtures, NOON};
use crate::PortErrorKind;
use crate::bus::{DeliveryBus, ENTRY_BYTES, FleetBatch};
use crate::clock::{Clock, Randomness};
use crate::feed::{
    DELIVERIES_PER_PART, Delivery, FeedIndex, FeedPointer, FeedQueue, FeedRange, Message, ReceiveOptions, RestoredPart,
};
use crate::provisioning::FleetChannel;

/// Maximum number of receive calls until an asynchronous bus has delivered.
const MAX_RECEIVES: usize = 15;

/// Checks every implementation of [`FeedQueue`] with its [`FleetChannel`] and [`DeliveryBus`]. The delivery bus
/// `bus_name` must exist.
pub async fn feed(
    queue: &impl FeedQueue,
    channel: &impl FleetChannel,
    bus: &impl DeliveryBus,
    bus_name: &str,
    random: &impl Randomness,
) {
    let fixtures = Fixtures::new(random);
    let (mine, other) = (fixtures.fleet(bus_name), fixtures.fleet(bus_name));
    let messages = queue.receive(&mine.fleet_id, ReceiveOptions::default()).await.expect("receive succeeds");
    assert!(messages.is_empty(), "a fleet without a queue has no messages");
    assert!(bus.publish(&[]).await.is_empty(), "publishing no entries returns no results");

    let event = || {
        let stored = fixtures.telemetry(&fixtures.vid(), NOON);
        serde_json::to_string(&stored.event.to_cloud_event().with_consent_epoch(3)).expect("an event is JSON")
    };
    let batch = |fleet_id: &FleetId, events: usize| FleetBatch {
        fleet_id: fleet_id.clone(),
        bus: bus_name.to_owned(),
        for_webhooks: false,
        events: (0..events).map(|_| event()).collect(),
    };
    let too_large = FleetBatch { events: vec!["0".repeat(ENTRY_BYTES)], ..batch(&mine.fleet_id, 0) };
    let rejected = bus.publish(&[too_large]).await.remove(0);
    assert_eq!(
        rejected.map_err(|error| error.kind()),
        Err(PortErrorKind::Rejected),
        "an entry that is too large is rejected"
    );
    let without_rule = batch(&mine.fleet_id, 1);
    publish(bus, &[without_rule]).await;

    for fleet in [&mine, &other, &mine] {
        channel.ensure_queue(fleet).await.expect("creating a queue is idempotent");
        channel.ensure_rule(fleet).await.expect("creating a rule is idempotent");
    }
    // More entries than one PutEvents request accepts.
    let batches: Vec<FleetBatch> = (0..12).map(|n| batch(&mine.fleet_id, 1 + n % 3)).collect();
    publish(bus, &batches).await;
    publish(bus, &[batch(&other.fleet_id, 2)]).await;

    let expected: Vec<Value> = batches.iter().map(body).collect();
    let received = drain(queue, &mine.fleet_id, expected.len()).await;
    for batch in &expected {
        assert!(received.contains(batch), "every entry is one message with its events in order");
    }
    for message in &received {
        assert!(expected.contains(message), "a fleet receives only its own events since the rule exists");
    }
    assert_eq!(drain(queue, &other.fleet_id, 1).await.len(), 1, "the other fleet receives its own events");
    let remaining = queue.receive(&mine.fleet_id, ReceiveOptions::default()).await.expect("receive succeeds");
    assert!(remaining.is_empty(), "an acknowledged message is not received again");
    released_messages_are_received_again(queue, bus, &batch(&mine.fleet_id, 1)).await;
    let unknown = queue.acknowledge(&mine.fleet_id, &["unknown".to_owned()]).await.remove(0);
    unknown.expect("acknowledging an unknown handle has no effect");
    let results = queue.acknowledge(&mine.fleet_id, &[]).await;
    assert!(results.is_empty(), "acknowledging no handles returns no results");
}

async fn released_messages_are_received_again(queue: &impl FeedQueue, bus: &impl DeliveryBus, batch: &FleetBatch) {
    let fleet_id = &batch.fleet_id;
    publish(bus, std::slice::from_ref(batch)).await;
    let options = ReceiveOptions { wait_s: 5, ..ReceiveOptions::default() };
    let receive = async || {
        for _ in 0..MAX_RECEIVES {
            let messages = queue.receive(fleet_id, options).await.expect("receive succeeds");
            if !messages.is_empty() {
                return messages.into_iter().map(|message| message.ack_handle).collect::<Vec<_>>();
            }
        }
        Vec::new()
    };
    let first = receive().await;
    assert_eq!(first.len(), 1, "the message is received");
    let released = queue.release(fleet_id, 0, &first).await;
    assert!(released.len() == 1 && released[0].is_ok(), "a received message can be released");
    let second = receive().await;
    assert_eq!(second.len(), 1, "a released message is received at once");
    let results = queue.release(fleet_id, 0, &["unknown".to_owned()]).await;
    assert!(results.iter().all(Result::is_ok), "releasing an unknown handle has no effect");
    assert!(queue.release(fleet_id, 0, &[]).await.is_empty(), "releasing no handles returns no results");
    assert!(queue.acknowledge(fleet_id, &second).await.iter().all(Result::is_ok), "it can be acknowledged");
    let results = queue.release(fleet_id, 0, &second).await;
    assert!(results.iter().all(Result::is_ok), "releasing a deleted message has no effect");
}

/// Checks every implementation of [`FeedIndex`]. `clock` is the clock that the index uses for its stamps.
pub async fn feed_index(index: &impl FeedIndex, clock: &impl Clock, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    index.record(&[]).await.expect("recording no deliveries succeeds");
    let before = clock.now();
    let (mine, other) = (fixtures.fleet_id(), fixtures.fleet_id());
    // More than any service writes in one request.
    let deliveries: Vec<Delivery> =
        (0..60).flat_map(|n| [&mine, &other].map(|fleet_id| delivery(&fixtures, fleet_id, 1 + n % 3))).collect();
    // The same events as of another delivery, which subscriptions hold back.
    let subscriptions = || [random.bits(), random.bits()].map(SubscriptionId::from_random_bits).into();
    let held = [Holders::any(subscriptions()), Holders::all(subscriptions())];
    let held = held.map(|held_by| Delivery { held_by, ..deliveries[0].clone() });
    let deliveries: Vec<Delivery> = deliveries.into_iter().chain(held).collect();
    index.record(&deliveries).await.expect("deliveries are recorded");
    let repeated = &deliveries[..2];
    index.record(repeated).await.expect("the same deliveries are recorded again");

    let range = |limit, from| FeedRange {
        fleet_id: mine.clone(),
        from,
        to: ArrivalStamp::from_time_and_salt(clock.now(), u128::MAX),
        limit,
    };
    for limit in [1, 7, 1000] {
        let mut read = Vec::new();
        let mut next = Some(ArrivalStamp::lower_bound(before));
        while let Some(from) = next {
            let page = index.read(&range(limit, from)).await.expect("the index is read");
            assert!(page.pointers.len() <= limit, "a page has at most `limit` items: {limit}");
            read.extend(page.pointers);
            next = page.next;
        }
        assert!(read.is_sorted_by_key(|pointer| pointer.stamp), "pointers are ordered by stamp");
        assert!(read.iter().all(|pointer| pointer.stamp.time() >= before), "a stamp has the time of writing");
        for Delivery { events, held_by, .. } in deliveries.iter().filter(|delivery| delivery.fleet_id == mine) {
            let is_of_delivery = |pointer: &&FeedPointer| pointer.events == *events && pointer.held_by == *held_by;
            let found = read.iter().filter(is_of_delivery).count();
            let expected = if *events == repeated[0].events && held_by.is_none() { 1..=2 } else { 1..=1 };
            assert!(expected.contains(&found), "pages of {limit} contain a pointer once per recording");
        }
        assert!(read.len() <= 63, "a fleet has only its own pointers");
    }
    let yesterday = before.plus_ms(-24 * 60 * 60 * 1000);
    let mut page = index.read(&range(10, ArrivalStamp::lower_bound(yesterday))).await.expect("the index is read");
    while let (true, Some(next)) = (page.pointers.is_empty(), page.next) {
        page = index.read(&range(10, next)).await.expect("the index is read");
    }
    assert_eq!(page.pointers.len(), 10, "hours without pointers are skipped");
    let other_fleet = FeedRange { fleet_id: fixtures.fleet_id(), ..range(10, ArrivalStamp::lower_bound(before)) };
    assert_eq!(
        index.read(&other_fleet).await.expect("the index is read").pointers,
        [],
        "a fleet without deliveries has no pointers"
    );
}

/// Checks [`FeedIndex::record_once`] of every implementation.
pub async fn restored_feed_index(index: &impl FeedIndex, clock: &impl Clock, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let before = clock.now();
    let (mine, other) = (fixtures.fleet_id(), fixtures.fleet_id());
    let part = |fleet_id: &FleetId, digest| RestoredPart { fleet_id: fleet_id.clone(), digest };
    let first: Vec<Delivery> = (0..DELIVERIES_PER_PART).map(|n| delivery(&fixtures, &mine, 1 + n % 3)).collect();
    let second = [delivery(&fixtures, &mine, 2)];
    let of_other = [delivery(&fixtures, &other, 1)];
    assert!(index.record_once(&part(&mine, 1), &first).await.expect("a part is recorded"), "a new part is recorded");
    for deliveries in [&first[..], &second[..]] {
        let is_new = index.record_once(&part(&mine, 1), deliveries).await.expect("a part is recorded again");
        assert!(!is_new, "a part is recorded once, whatever its deliveries are");
    }
    assert!(index.record_once(&part(&mine, 2), &second).await.expect("another part is recorded"), "parts are distinct");
    assert!(
        index.record_once(&part(&other, 1), &of_other).await.expect("a part of another fleet is recorded"),
        "parts of different fleets are distinct"
    );
    let too_many = vec![delivery(&fixtures, &mine, 1); DELIVERIES_PER_PART + 1];
    let refused = index.record_once(&part(&mine, 3), &too_many).await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(PortErrorKind::Rejected), "too many deliveries are rejected");

    for (fleet_id, deliveries) in [(&mine, [&first[..], &second[..]].concat()), (&other, of_other.to_vec())] {
        let (from, to) = (ArrivalStamp::lower_bound(before), ArrivalStamp::from_time_and_salt(clock.now(), u128::MAX));
        let range = FeedRange { fleet_id: fleet_id.clone(), from, to, limit: 1000 };
        let mut page = index.read(&range).await.expect("the index is read");
        let mut read = std::mem::take(&mut page.pointers);
        while let Some(from) = page.next {
            page = index.read(&FeedRange { from, ..range.clone() }).await.expect("the index is read");
            read.append(&mut page.pointers);
        }
        assert_eq!(read.len(), deliveries.len(), "each delivery has one pointer");
        assert!(read.iter().all(|pointer| pointer.stamp.time() >= before), "a stamp has the time of writing");
        let is_read = |delivery: &Delivery| read.iter().any(|pointer| pointer.events == delivery.events);
        assert!(deliveries.iter().all(is_read), "every delivery is in the index");
    }
}

fn delivery(fixtures: &Fixtures<'_, impl Randomness>, fleet_id: &FleetId, count: usize) -> Delivery {
    let event = |_| {
        let stored = fixtures.telemetry(&fixtures.vid(), NOON);
        (stored.event.vid, stored.event.eid)
    };
    Delivery { fleet_id: fleet_id.clone(), events: (0..count).map(event).collect(), held_by: Holders::None }
}

async fn publish(bus: &impl DeliveryBus, batches: &[FleetBatch]) {
    let results = bus.publish(batches).await;
    assert_eq!(results.len(), batches.len(), "each entry has a result");
    for result in results {
        result.expect("an entry is published");
    }
}

/// Receives and acknowledges messages until `expected` different ones are received.
async fn drain(queue: &impl FeedQueue, fleet_id: &FleetId, expected: usize) -> Vec<Value> {
    let mut bodies: Vec<Value> = Vec::new();
    for round in 0..MAX_RECEIVES {
        // The first round requests fewer messages than exist.
        let max = if round == 0 { 3 } else { 10 };
        let options = ReceiveOptions { max, wait_s: 2, ..ReceiveOptions::default() };
        let messages = queue.receive(fleet_id, options).await.expect("receive succeeds");
        assert!(messages.len() <= usize::from(max), "at most {max} messages are received");
        let ack_handles: Vec<String> = messages.iter().map(|message| message.ack_handle.clone()).collect();
        let results = queue.acknowledge(fleet_id, &ack_handles).await;
        assert_eq!(results.len(), ack_handles.len(), "each acknowledgement has a result");
        assert!(results.iter().all(Result::is_ok), "a received message can be acknowledged");
        let repeated = queue.acknowledge(fleet_id, &ack_handles).await;
        assert!(repeated.iter().all(Result::is_ok), "an acknowledgement can be repeated");
        for Message { body, .. } in messages {
            let body = serde_json::from_str(&body).expect("a message is JSON");
            // Delivery is at least once: a message may be received twice.
            if !bodies.contains(&body) {
                bodies.push(body);
            }
        }
        if bodies.len() >= expected {
            break;
        }
    }
    bodies
}

fn body(batch: &FleetBatch) -> Value {
    batch.events.iter().map(|event| serde_json::from_str::<Value>(event).expect("an event is JSON")).collect()
}
