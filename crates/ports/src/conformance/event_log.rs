//! [`EventLog`]

use roadcast_domain::event::{Body, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::{Catalogue, Datatype, Sample, SignalPath, Signals, Value};

use super::fresh::{Fresh, NOON, diagnosis, signals};
use crate::clock::Randomness;
use crate::event_log::{Appended, EventLog, EventRange};

/// What every [`EventLog`] does.
pub async fn event_log(log: &impl EventLog, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    appending_again_changes_nothing(log, &fresh).await;
    answers_come_in_the_order_of_the_events(log, &fresh).await;
    every_kind_of_value_is_read_back_to_the_bit(log, &fresh).await;
    the_largest_event_of_an_upload_is_kept(log, &fresh).await;
    a_range_pages_without_loss_or_repeat_at_every_limit(log, &fresh).await;
    both_ends_of_a_range_belong_to_it(log, &fresh).await;
    vehicles_do_not_mix(log, &fresh).await;
}

async fn appending_again_changes_nothing(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let event = fresh.telemetry(&fresh.vid(), NOON);
    assert_eq!(append(log, std::slice::from_ref(&event)).await, [Appended::New], "an event not seen before is New");
    assert_eq!(get(log, &event).await, Some(event.clone()), "get reads what was appended just before");
    assert_eq!(append(log, std::slice::from_ref(&event)).await, [Appended::Known], "the same event again is Known");

    let mut later = event.clone();
    later.event.received = event.event.received.plus_ms(60_000);
    assert_eq!(append(log, &[later]).await, [Appended::Known], "received again later, it is still Known");
    assert_eq!(get(log, &event).await, Some(event.clone()), "a known event is left as it was");

    let twin = fresh.telemetry(&event.event.vid, NOON);
    let mut answers = append(log, &[twin.clone(), twin.clone()]).await;
    answers.sort_by_key(|answer| *answer == Appended::Known);
    assert_eq!(answers, [Appended::New, Appended::Known], "of one event twice in one call, one is New and one Known");
    assert_eq!(all(log, &event.event.vid, 100).await.len(), 2, "each event is in the log once");
}

async fn answers_come_in_the_order_of_the_events(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    assert!(log.append(&[]).await.is_empty(), "appending nothing answers nothing");
    // More than any service takes in one request.
    let events: Vec<StoredEvent> = (0..120).map(|n| fresh.telemetry(&fresh.vid(), NOON.plus_ms(n * 1000))).collect();
    let known: Vec<StoredEvent> = events.iter().step_by(3).cloned().collect();
    append(log, &known).await;
    let expected: Vec<Appended> =
        (0..events.len()).map(|n| if n % 3 == 0 { Appended::Known } else { Appended::New }).collect();
    assert_eq!(append(log, &events).await, expected, "answers come one by one in the order of the events");
    for event in [&events[0], &events[1], &events[119]] {
        assert_eq!(get(log, event).await.as_ref(), Some(event), "what is stored does not keep the others out");
    }
}

async fn every_kind_of_value_is_read_back_to_the_bit(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    let first = signals([
        ("Vehicle.Speed", Value::Number(45.4)),
        ("Vehicle.CurrentLocation.Latitude", Value::Number(-51.477_928)),
        ("Vehicle.IsMoving", Value::Bool(true)),
        ("Vehicle.OBD.DTCList", Value::List([Value::from("P0301"), Value::from("P0420")].into())),
        ("acme.door-3.open_1", Value::from("leicht geöffnet \"½\"\n")),
        ("acme.exact", Value::Number(0.1 + 0.2)),
        ("acme.tiny", Value::Number(f64::MIN_POSITIVE)),
        ("acme.huge", Value::Number(-1.797_693_134_862_315_7e308)),
        ("acme.whole", Value::Number(9_007_199_254_740_991.0)),
        ("acme.empty", Value::from("")),
    ]);
    let second = signals([("Vehicle.Speed", Value::Number(0.0))]);
    // Out of order, and one time twice: both are as they were sent.
    let samples = [(500, first), (0, second.clone()), (0, second)];
    let samples = samples.map(|(ms, signals)| Sample { at: NOON.plus_ms(ms), signals }).to_vec();
    let mut telemetry = fresh.event(&vid, NOON, Body::Telemetry(Telemetry { samples }));
    telemetry.origin.extensions = [("sequence", "1".into()), ("urgent", true.into()), ("tries", (-3).into())]
        .map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value))
        .into();
    let diagnostic = fresh.event(&vid, NOON.plus_ms(1), diagnosis(NOON.plus_ms(1)));

    let sent = [telemetry, diagnostic];
    append(log, &sent).await;
    for event in &sent {
        let got = get(log, event).await.expect("an appended event is there");
        assert_eq!(&got, event, "an event is read back as it was appended, its origin too");
        assert_eq!(bits(&got), bits(event), "numbers are read back to the bit");
    }
    assert_eq!(all(log, &vid, 10).await, sent, "a range gives the same events as get");
}

async fn the_largest_event_of_an_upload_is_kept(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    // 500 samples, about 700 KiB of JSON: accepted with a 202, so it must have a place. Its figures do not compress.
    let doubles: Vec<&str> = Catalogue::get()
        .iter()
        .filter(|def| def.datatype == Datatype::Double || def.datatype == Datatype::Float)
        .map(|def| def.path)
        .take(18)
        .collect();
    let mut state = 88_172_645_463_325_252_u64;
    let mut figure = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Value::Number(f64::from(u32::try_from(state >> 34).unwrap_or(0)) / 1000.0)
    };
    let samples = (0..500)
        .map(|n| Sample { at: NOON.plus_ms(n * 500), signals: signals(doubles.iter().map(|&path| (path, figure()))) })
        .collect();
    let event = fresh.event(&fresh.vid(), NOON, Body::Telemetry(Telemetry { samples }));
    assert_eq!(append(log, std::slice::from_ref(&event)).await, [Appended::New], "an event of 500 rich samples is taken");
    assert!(get(log, &event).await == Some(event), "an event of 500 rich samples is read back whole");
}

async fn a_range_pages_without_loss_or_repeat_at_every_limit(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    // Some in the same millisecond, some on both sides of an hour, appended in no order.
    let offsets = [0, 0, 0, 1, 999, 1000, 60_000, 299_999, 300_000, 300_001, 3_600_000, 86_400_000];
    let mut events: Vec<StoredEvent> = offsets.map(|ms| fresh.telemetry(&vid, NOON.plus_ms(ms))).to_vec();
    events.rotate_left(5);
    append(log, &events).await;
    events.sort_by_key(|event| event.event.eid);
    for limit in 1..=events.len() + 1 {
        assert_eq!(all(log, &vid, limit).await, events, "pages of {limit} give every event once, in eid order");
    }
}

async fn both_ends_of_a_range_belong_to_it(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    let mut events: Vec<StoredEvent> = (0..5).map(|n| fresh.telemetry(&vid, NOON.plus_ms(n * 120_000))).collect();
    append(log, &events).await;
    events.sort_by_key(|event| event.event.eid);
    let eids: Vec<Eid> = events.iter().map(|event| event.event.eid).collect();

    let between = |from, to| pages(log, EventRange { vid: vid.clone(), from, to, limit: 2 });
    assert_eq!(between(eids[1], eids[3]).await, events[1..=3], "from and to are both in the range");
    assert_eq!(between(eids[2], eids[2]).await, events[2..=2], "a range of one id holds that event");
    let after = eids[1].next().expect("not the last id");
    assert_eq!(between(after, eids[3]).await, events[2..=3], "a range begins no earlier than from");
    let (start, end) = (NOON.plus_ms(120_000), NOON.plus_ms(360_000));
    assert_eq!(
        between(Eid::first_at(start), Eid::first_at(end)).await,
        events[1..3],
        "a range by time begins at its first id"
    );
    assert!(between(Eid::MIN, Eid::first_at(NOON)).await.is_empty(), "a range before all events is empty");
    assert!(between(eids[3], eids[1]).await.is_empty(), "a range that ends before it begins is empty");
}

async fn vehicles_do_not_mix(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let (mine, other) = (fresh.telemetry(&fresh.vid(), NOON), fresh.telemetry(&fresh.vid(), NOON));
    append(log, &[mine.clone(), other.clone()]).await;
    assert_eq!(all(log, &mine.event.vid, 10).await, std::slice::from_ref(&mine), "a range holds one vehicle's events");
    let crossed = log.get(&other.event.vid, mine.event.eid).await.expect("get answers");
    assert_eq!(crossed, None, "an event is found only under its own vehicle");
    assert!(all(log, &fresh.vid(), 10).await.is_empty(), "a vehicle without events has an empty log");
}

async fn append(log: &impl EventLog, events: &[StoredEvent]) -> Vec<Appended> {
    let answers = log.append(events).await;
    assert_eq!(answers.len(), events.len(), "append answers every event");
    answers.into_iter().map(|answer| answer.expect("append takes the event")).collect()
}

async fn get(log: &impl EventLog, event: &StoredEvent) -> Option<StoredEvent> {
    log.get(&event.event.vid, event.event.eid).await.expect("get answers")
}

async fn all(log: &impl EventLog, vid: &VehicleId, limit: usize) -> Vec<StoredEvent> {
    pages(log, EventRange { vid: vid.clone(), from: Eid::MIN, to: Eid::MAX, limit }).await
}

async fn pages(log: &impl EventLog, mut range: EventRange) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    loop {
        let page = log.range(&range).await.expect("range answers");
        assert!(page.events.len() <= range.limit, "a page holds at most its limit of {}", range.limit);
        events.extend(page.events);
        let Some(next) = page.next else { return events };
        assert!(next > range.from || range.from == Eid::MIN, "each page starts after the one before");
        range.from = next;
    }
}

fn bits(event: &StoredEvent) -> Vec<Vec<(SignalPath, Option<u64>)>> {
    let Body::Telemetry(telemetry) = &event.event.body else { return Vec::new() };
    let of = |signals: &Signals| {
        signals.iter().map(|(path, value)| (path.clone(), value.as_number().map(f64::to_bits))).collect()
    };
    telemetry.samples.iter().map(|sample| of(&sample.signals)).collect()
}
