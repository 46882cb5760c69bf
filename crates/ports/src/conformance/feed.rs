//! [`FleetChannel`], [`DeliveryBus`] and [`FeedQueue`] together, and [`FeedIndex`]

use roadcast_domain::ids::FleetId;
use serde_json::Value;

use super::fresh::{Fresh, NOON};
use crate::bus::{DeliveryBus, FleetBatch};
use crate::clock::Randomness;
use crate::feed::{FeedIndex, FeedPointer, FeedQueue, Message};
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
    let answers = queue.acknowledge(&mine.fleet_id, &[]).await;
    assert!(answers.is_empty(), "acknowledging nothing answers nothing");
}

/// What every [`FeedIndex`] does. Reading it back is for the pipe's own tests.
pub async fn feed_index(index: &impl FeedIndex, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    index.record(&[]).await.expect("recording nothing is fine");
    // More than any service writes in one request, over several hours.
    let pointers: Vec<FeedPointer> = (0..120)
        .map(|n| {
            let at = NOON.plus_ms(n * 60_000);
            let events = [fresh.telemetry(&fresh.vid(), at), fresh.telemetry(&fresh.vid(), at)];
            let events = events.map(|stored| (stored.event.vid, stored.event.eid)).to_vec();
            FeedPointer::stamped(fresh.fleet_id(), events, at)
        })
        .collect();
    index.record(&pointers).await.expect("pointers are recorded");
    index.record(&pointers).await.expect("the same pointers are recorded again");
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
