//! The ports of webhooks.

mod endpoints;
mod waiting;

use roadcast_domain::audit::Author;
use roadcast_domain::dead_letter::RedriveId;
use roadcast_domain::ids::{DeliveryId, Eid, EndpointId, FleetId, VehicleId};
use roadcast_domain::webhook::{
    Attempt, AttemptOutcome, Delivery, DeliveryKey, EndpointHealth, EndpointRedrive, EndpointRedriveRequest, FailureReason,
    PastAttempt, Payload,
};
use roadcast_signals::Timestamp;

use super::fixtures::{Fixtures, NOON};
use crate::clock::Randomness;
use crate::webhooks::{
    AttemptPosition, Attempts, Deliveries, DeliveryPut, DeliveryQueue, DeliveryTask, EndpointHealths, EndpointRedrives,
    Sealer, WaitingLine,
};
use crate::{PortError, PortErrorKind};

pub use endpoints::endpoints;
pub use waiting::waiting_deliveries;

/// Expected result of a write whose condition is not met.
const CONFLICT: Result<(), PortErrorKind> = Err(PortErrorKind::Conflict);

fn kind<T>(result: Result<T, PortError>) -> Result<T, PortErrorKind> {
    result.map_err(|error| error.kind())
}

fn endpoint_id(random: &impl Randomness) -> EndpointId {
    EndpointId::from_random_bits(random.bits())
}

/// Returns a time in the future of the tests, so that nothing expires while they run.
fn soon(random: &impl Randomness) -> Timestamp {
    // A whole number of milliseconds within 30 years after 2035.
    Timestamp::from_ms(2_051_222_400_000 + i64::try_from(random.bits() % 946_080_000_000).unwrap_or(0))
}

fn delivery(endpoint_id: &EndpointId, fleet_id: &FleetId, at: Timestamp, salt: u128, text: &str) -> Delivery {
    let vid = VehicleId::from_random_bits(salt);
    let payload = Payload::Event {
        eid: Eid::for_event(&vid, "urn:suite", text, at),
        vid,
        event_type: "roadcast.diagnostic.v1".to_owned(),
        cloud_event: format!(r#"{{"id":"{text}","data":{{"größe":"é"}}}}"#),
    };
    let key = DeliveryKey { endpoint_id: endpoint_id.clone(), delivery_id: DeliveryId::from_time_and_salt(at, salt) };
    Delivery::new(key, fleet_id.clone(), payload, at)
}

/// Checks [`Deliveries`].
pub async fn deliveries(deliveries: &impl Deliveries, random: &impl Randomness) {
    let (endpoint_id, fleet_id) = (endpoint_id(random), Fixtures::new(random).fleet_id());
    let at = soon(random);
    let first = delivery(&endpoint_id, &fleet_id, at, 1, "a");
    let get = async |key: &DeliveryKey| deliveries.get(key).await.expect("get succeeds");
    assert_eq!(get(&first.key).await, None, "a delivery does not exist before it is stored");
    assert_eq!(kind(deliveries.replace(&first).await), CONFLICT, "nothing to replace");
    assert_eq!(deliveries.put(&first).await.expect("put succeeds"), DeliveryPut::Stored);
    let other_content = Delivery { attempts: 7, ..first.clone() };
    assert_eq!(deliveries.put(&other_content).await.expect("put succeeds"), DeliveryPut::Exists);
    assert_eq!(get(&first.key).await, Some(first.clone()), "the stored delivery is unchanged");

    let past = PastAttempt { at, outcome: AttemptOutcome::ErrorStatus, status: Some(503), latency_ms: 12 };
    let attempted = first.after_attempt(past, None, &roadcast_domain::webhook::RetrySchedule::default(), at, 0);
    deliveries.replace(&attempted).await.expect("replace succeeds");
    let stored = Delivery { revision: 2, ..attempted.clone() };
    assert_eq!(get(&first.key).await, Some(stored.clone()), "the revision is counted");
    assert_eq!(kind(deliveries.replace(&attempted).await), CONFLICT, "the revision was replaced");
    let failed = stored.failed(FailureReason::Expired, at.plus_ms(5));
    deliveries.replace(&failed).await.expect("replace succeeds");
    assert_eq!(get(&first.key).await, Some(Delivery { revision: 3, ..failed.clone() }), "a terminal state is stored");

    for n in 2..=5_u128 {
        let ms = i64::try_from(n).expect("small");
        let later = delivery(&endpoint_id, &fleet_id, at.plus_ms(ms), n, "b");
        deliveries.put(&later).await.expect("put succeeds");
    }
    let other_endpoint = EndpointId::from_random_bits(random.bits());
    deliveries.put(&delivery(&other_endpoint, &fleet_id, at, 9, "c")).await.expect("put succeeds");
    for limit in [1, 2, 100] {
        let (mut ids, mut before) = (Vec::new(), None);
        loop {
            let page = deliveries.list(&endpoint_id, before, limit).await.expect("list succeeds");
            assert!(page.len() <= limit, "a page has at most {limit} deliveries");
            let Some(last) = page.last() else { break };
            before = Some(last.key.delivery_id);
            ids.extend(page.iter().map(|delivery| delivery.key.delivery_id.time().ms_since(at)));
        }
        assert_eq!(ids, [5, 4, 3, 2, 0], "all deliveries of the endpoint, the newest event first");
    }
}

/// Checks [`Attempts`].
pub async fn attempts(attempts: &impl Attempts, random: &impl Randomness) {
    let endpoint_id = endpoint_id(random);
    let fleet_id = Fixtures::new(random).fleet_id();
    let start = soon(random);
    let attempt = |ms: i64, number| Attempt {
        key: DeliveryKey { endpoint_id: endpoint_id.clone(), delivery_id: DeliveryId::from_time_and_salt(start, 1) },
        fleet_id: fleet_id.clone(),
        vid: Some(VehicleId::from_random_bits(1)),
        event_type: "roadcast.diagnostic.v1".to_owned(),
        number,
        at: start.plus_ms(ms),
        outcome: AttemptOutcome::TimedOut,
        status: None,
        latency_ms: 15_000,
        excerpt: None,
        next_attempt_at: Some(start.plus_ms(ms + 5000)),
    };
    assert_eq!(attempts.list(&endpoint_id, None, 10).await.expect("list succeeds").attempts, [], "no attempts at first");
    let stored: Vec<Attempt> = (0..5).map(|n: u32| attempt(i64::from(n) * 10, n + 1)).collect();
    attempts.record(&stored[..3]).await.expect("record succeeds");
    attempts.record(&stored[2..]).await.expect("recording an attempt again succeeds");
    let excerpt = Attempt { excerpt: Some("nicht verfügbar".to_owned()), status: Some(503), ..stored[4].clone() };
    attempts.record(std::slice::from_ref(&excerpt)).await.expect("record succeeds");
    let expected: Vec<Attempt> = [vec![excerpt], stored[..4].iter().rev().cloned().collect()].concat();
    for limit in [1, 2, 100] {
        let (mut listed, mut before): (Vec<Attempt>, Option<AttemptPosition>) = (Vec::new(), None);
        loop {
            let page = attempts.list(&endpoint_id, before.as_ref(), limit).await.expect("list succeeds");
            assert!(page.attempts.len() <= limit, "a page has at most {limit} attempts");
            listed.extend(page.attempts);
            let Some(next) = page.next else { break };
            assert!(before.is_none_or(|before| next < before), "each page makes progress");
            before = Some(next);
        }
        assert_eq!(listed, expected, "all attempts, each once, the newest first");
    }
}

/// Checks [`EndpointHealths`].
pub async fn endpoint_healths(store: &impl EndpointHealths, random: &impl Randomness) {
    let endpoint_id = endpoint_id(random);
    let get = async || store.get(&endpoint_id).await.expect("get succeeds");
    let healthy = EndpointHealth::healthy(endpoint_id.clone());
    assert_eq!(get().await, healthy, "an endpoint of which nothing is known is healthy");
    let now = soon(random);
    let failing = (0..5).fold(healthy.clone(), |health, _| health.after_failure(2000, false, now, 0));
    store.replace(&failing).await.expect("the first health is stored");
    assert_eq!(kind(store.replace(&failing).await), CONFLICT, "a health of revision 0 is stored once");
    let stored = EndpointHealth { revision: 1, ..failing.clone() };
    assert_eq!(get().await, stored, "the health is returned unchanged");
    store.replace(&stored.after_success(1, now)).await.expect("replace succeeds");
    assert_eq!(kind(store.replace(&stored).await), CONFLICT, "the revision was replaced");
    assert_eq!(get().await.revision, 2, "the revision is counted");

    let take = async |now: Timestamp| store.take_slot(&endpoint_id, 2, now, now.plus_ms(100)).await.expect("succeeds");
    let taken = [take(now).await, take(now).await];
    assert!(taken.iter().all(Option::is_some) && taken[0] != taken[1], "two slots are free: {taken:?}");
    assert_eq!(take(now).await, None, "no slot is left");
    store.return_slot(&endpoint_id, taken[0].expect("taken")).await.expect("return succeeds");
    assert_eq!(take(now).await, taken[0], "a returned slot is free");
    assert_eq!(take(now.plus_ms(99)).await, None, "the slots are taken until their time ends");
    assert!(take(now.plus_ms(100)).await.is_some(), "a slot that was not returned is free after its time");

    let second = Timestamp::from_ms(now.ms() / 1000 * 1000);
    for count in 1..=3 {
        assert_eq!(store.count_attempt(&endpoint_id, second).await.expect("count succeeds"), count);
    }
    let next = second.plus_ms(1000);
    assert_eq!(store.count_attempt(&endpoint_id, next).await.expect("count succeeds"), 1, "each second has a count");
}

/// Checks [`EndpointRedrives`].
pub async fn endpoint_redrives(redrives: &impl EndpointRedrives, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    let (first, second) = (endpoint_id(random), endpoint_id(random));
    let redrive_id: RedriveId = fixtures.word().parse().expect("a redrive id");
    let of = |endpoint_id: &EndpointId| EndpointRedrive {
        endpoint_id: endpoint_id.clone(),
        redrive_id: redrive_id.clone(),
        request: EndpointRedriveRequest::Since { since: NOON },
        by: Author::Fleet,
        created_at: NOON,
        updated_at: NOON,
        revision: 0,
        finished: false,
        position: None,
        redriven: 0,
        skipped: 0,
    };
    let get = async |endpoint_id| redrives.get(endpoint_id, &redrive_id).await.expect("get succeeds");
    assert_eq!(get(&first).await, None, "a redrive does not exist before it is created");
    assert_eq!(kind(redrives.replace(&of(&first)).await), CONFLICT, "nothing to replace");
    redrives.create(&of(&first)).await.expect("create succeeds");
    assert_eq!(kind(redrives.create(&of(&first)).await), CONFLICT, "an id is used once for an endpoint");
    assert_eq!(get(&second).await, None, "another endpoint has its own redrives");
    redrives.create(&of(&second)).await.expect("another endpoint may use the same id");
    let position = Some(DeliveryId::from_time_and_salt(NOON, 1));
    let next = EndpointRedrive { redriven: 2, skipped: 1, position, finished: true, ..of(&first) };
    redrives.replace(&next).await.expect("replace succeeds");
    assert_eq!(kind(redrives.replace(&next).await), CONFLICT, "the revision was replaced");
    assert_eq!(get(&first).await, Some(EndpointRedrive { revision: 1, ..next }), "the revision is counted");
}

/// Checks [`Sealer`].
pub async fn sealer(sealer: &impl Sealer, random: &impl Randomness) {
    let (endpoint_id, other) = (endpoint_id(random), endpoint_id(random));
    for text in ["whsec_é", &"x".repeat(4096)] {
        let closed = sealer.seal(&endpoint_id, text).await.expect("seal succeeds");
        assert!(!closed.contains(text), "the sealed text does not show the text");
        assert_eq!(sealer.open(&endpoint_id, &closed).await.expect("open succeeds"), text);
        assert_eq!(kind(sealer.open(&other, &closed).await), Err(PortErrorKind::Rejected), "of another endpoint");
    }
    assert_eq!(kind(sealer.open(&endpoint_id, "bm90IHNlYWxlZA==").await), Err(PortErrorKind::Rejected), "not sealed");
}

/// Checks [`DeliveryQueue`]. `receive` returns the messages that are visible in the unordered or (`true`) in the ordered queue of
/// those that were sent here, and deletes them.
pub async fn delivery_queue(
    queue: &impl DeliveryQueue,
    random: &impl Randomness,
    receive: impl AsyncFn(bool) -> Vec<String>,
) {
    let fixtures = Fixtures::new(random);
    let (fleet_id, endpoint_id, vid) = (fixtures.fleet_id(), endpoint_id(random), fixtures.vid());
    let attempt = |salt, vid: Option<&VehicleId>| DeliveryTask::Attempt {
        fleet_id: fleet_id.clone(),
        key: DeliveryKey { endpoint_id: endpoint_id.clone(), delivery_id: DeliveryId::from_time_and_salt(NOON, salt) },
        vid: vid.cloned(),
    };
    let line = DeliveryTask::Line {
        line: WaitingLine { fleet_id: fleet_id.clone(), endpoint_id: endpoint_id.clone(), vid: Some(vid.clone()) },
    };
    let parsed = |messages: Vec<String>| -> Vec<DeliveryTask> {
        messages.iter().map(|message| serde_json::from_str(message).expect("a task")).collect()
    };
    let tasks: Vec<(DeliveryTask, u32)> = (1..=12).map(|salt| (attempt(salt, None), 0)).collect();
    for sent in queue.send(&tasks).await {
        sent.expect("a task is sent");
    }
    let received = parsed(receive(false).await);
    assert_eq!(received.len(), 12, "every task is received");
    assert!(tasks.iter().all(|(task, _)| received.contains(task)), "tasks are received unchanged");
    queue.send(&[(line.clone(), 900)]).await.remove(0).expect("a delayed task is sent");
    assert_eq!(parsed(receive(false).await), [], "a delayed task is not received early");

    let ordered = [attempt(1, Some(&vid)), line.clone(), attempt(2, Some(&vid)), line.clone()];
    for sent in queue.send_ordered(&ordered).await {
        sent.expect("a task is sent");
    }
    assert_eq!(parsed(receive(true).await), ordered, "tasks are received in order, and each as often as it was sent");
}
