//! [`FleetChannel`], [`DeliveryBus`] and [`FeedQueue`] together, and [`FeedIndex`]

use roadcast_domain::ids::{Eid, FleetId};
use serde_json::Value;

use super::fresh::{Fresh, NOON};
use crate::PortErrorKind;
use crate::bus::{DeliveryBus, ENTRY_BYTES, FleetBatch};
use crate::clock::{Clock, Randomness};
use crate::feed::{Delivery, FeedIndex, FeedQueue, FeedRange, Message};
use crate::provisioning::FleetChannel;

/// How often an asynchronous bus is given the time to deliver.
const PATIENCE: usize = 15;

/// What every [`FeedQueue`] does behind its [`FleetChannel`] and [`DeliveryBus`]; `bus_name` is a delivery bus that exists.
pub async fn feed(
    queue: &impl FeedQueue,
    channel: &impl FleetChannel,
    bus: &impl DeliveryBus,
    bus_name: &str,
    random: &impl Randomness,
) {
    let fresh = Fresh::new(random);
    let (mine, other) = (fresh.fleet(bus_name), fresh.fleet(bus_name));
    let nothing = queue.receive(&mine.fleet_id, 10, 0).await.expect("receive answers");
    assert!(nothing.is_empty(), "a fleet without a queue has no messages");
    assert!(bus.publish(&[]).await.is_empty(), "publishing nothing answers nothing");

    let event = || {
        let stored = fresh.telemetry(&fresh.vid(), NOON);
        serde_json::to_string(&stored.event.to_cloud_event().under_consent(3)).expect("an event is JSON")
    };
    let batch = |fleet_id: &FleetId, events: usize| FleetBatch {
        fleet_id: fleet_id.clone(),
        bus: bus_name.to_owned(),
        events: (0..events).map(|_| event()).collect(),
    };
    let too_large = FleetBatch { events: vec!["0".repeat(ENTRY_BYTES)], ..batch(&mine.fleet_id, 0) };
    let refused = bus.publish(&[too_large]).await.remove(0);
    assert_eq!(refused.map_err(|error| error.kind()), Err(PortErrorKind::Rejected), "an entry too large is refused");
    let unheard = batch(&mine.fleet_id, 1);
    publish(bus, &[unheard]).await;

    for fleet in [&mine, &other, &mine] {
        channel.ensure_queue(fleet).await.expect("a queue is made, or found made");
        channel.ensure_rule(fleet).await.expect("a rule is made, or found made");
    }
    // More entries than PutEvents takes at once.
    let batches: Vec<FleetBatch> = (0..12).map(|n| batch(&mine.fleet_id, 1 + n % 3)).collect();
    publish(bus, &batches).await;
    publish(bus, &[batch(&other.fleet_id, 2)]).await;

    let expected: Vec<Value> = batches.iter().map(body).collect();
    let received = drain(queue, &mine.fleet_id, expected.len()).await;
    for batch in &expected {
        assert!(received.contains(batch), "every entry is one message: an array of its events, in their order");
    }
    for message in &received {
        assert!(expected.contains(message), "a fleet receives its own events, and none from before it had a rule");
    }
    assert_eq!(drain(queue, &other.fleet_id, 1).await.len(), 1, "the other fleet receives its own");
    let left = queue.receive(&mine.fleet_id, 10, 0).await.expect("receive answers");
    assert!(left.is_empty(), "what was acknowledged does not come again");
    let made_up = queue.acknowledge(&mine.fleet_id, &["made up".to_owned()]).await.remove(0);
    assert_eq!(made_up.map_err(|error| error.kind()), Err(PortErrorKind::Conflict), "a receipt that is none is a conflict");
    let answers = queue.acknowledge(&mine.fleet_id, &[]).await;
    assert!(answers.is_empty(), "acknowledging nothing answers nothing");
}

/// What every [`FeedIndex`] does, under a clock that tells the time that it stamps with.
pub async fn feed_index(index: &impl FeedIndex, clock: &impl Clock, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    index.record(&[]).await.expect("recording nothing is fine");
    let before = clock.now();
    let (mine, other) = (fresh.fleet_id(), fresh.fleet_id());
    // More than any service writes in one request.
    let deliveries: Vec<Delivery> =
        (0..60).flat_map(|n| [&mine, &other].map(|fleet_id| delivery(&fresh, fleet_id, 1 + n % 3))).collect();
    index.record(&deliveries).await.expect("deliveries are recorded");
    let again = &deliveries[..2];
    index.record(again).await.expect("the same are recorded again");

    let range = |limit, from| FeedRange { fleet_id: mine.clone(), from, to: Eid::stamped(clock.now(), u128::MAX), limit };
    for limit in [1, 7, 1000] {
        let mut read = Vec::new();
        let mut next = Some(Eid::first_at(before));
        while let Some(from) = next {
            let page = index.read(&range(limit, from)).await.expect("the index is read");
            assert!(page.pointers.len() <= limit, "a page holds at most its limit of {limit}");
            read.extend(page.pointers);
            next = page.next;
        }
        assert!(read.is_sorted_by_key(|pointer| pointer.stamp), "pointers come in the order of their stamps");
        assert!(read.iter().all(|pointer| pointer.stamp.time() >= before), "a stamp is the time of writing");
        for Delivery { events, .. } in deliveries.iter().filter(|delivery| delivery.fleet_id == mine) {
            let found = read.iter().filter(|pointer| pointer.events == *events).count();
            let expected = if *events == again[0].events { 1..=2 } else { 1..=1 };
            assert!(expected.contains(&found), "pages of {limit} hold each pointer once for each time it was recorded");
        }
        assert!(read.len() <= 61, "a fleet's pointers are its own");
    }
    let yesterday = before.plus_ms(-24 * 60 * 60 * 1000);
    let mut page = index.read(&range(10, Eid::first_at(yesterday))).await.expect("the index is read");
    while let (true, Some(next)) = (page.pointers.is_empty(), page.next) {
        page = index.read(&range(10, next)).await.expect("the index is read");
    }
    assert_eq!(page.pointers.len(), 10, "hours without pointers are passed over");
    let nobody = FeedRange { fleet_id: fresh.fleet_id(), ..range(10, Eid::first_at(before)) };
    assert_eq!(index.read(&nobody).await.expect("the index is read").pointers, [], "another fleet has none");
}

fn delivery(fresh: &Fresh<'_, impl Randomness>, fleet_id: &FleetId, count: usize) -> Delivery {
    let event = |_| {
        let stored = fresh.telemetry(&fresh.vid(), NOON);
        (stored.event.vid, stored.event.eid)
    };
    Delivery { fleet_id: fleet_id.clone(), events: (0..count).map(event).collect() }
}

async fn publish(bus: &impl DeliveryBus, batches: &[FleetBatch]) {
    let answers = bus.publish(batches).await;
    assert_eq!(answers.len(), batches.len(), "entries are answered one by one");
    for answer in answers {
        answer.expect("an entry is published");
    }
}

/// Receives and acknowledges until there are `expected` different messages.
async fn drain(queue: &impl FeedQueue, fleet_id: &FleetId, expected: usize) -> Vec<Value> {
    let mut bodies: Vec<Value> = Vec::new();
    for round in 0..PATIENCE {
        // The first round asks for less than there is.
        let max = if round == 0 { 3 } else { 10 };
        let messages = queue.receive(fleet_id, max, 2).await.expect("receive answers");
        assert!(messages.len() <= usize::from(max), "at most {max} messages come when {max} are asked for");
        let receipts: Vec<String> = messages.iter().map(|message| message.receipt.clone()).collect();
        let answers = queue.acknowledge(fleet_id, &receipts).await;
        assert_eq!(answers.len(), receipts.len(), "acknowledgements are answered one by one");
        assert!(answers.iter().all(Result::is_ok), "a message just taken can be acknowledged");
        for Message { body, .. } in messages {
            let body = serde_json::from_str(&body).expect("a message is JSON");
            // At least once: a message may come twice.
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
