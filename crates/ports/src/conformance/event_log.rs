//! [`EventLog`]

use roadcast_domain::event::{Body, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::{Catalogue, Datatype, Sample, SignalPath, Signals, Value};

use super::fresh::{Fresh, NOON, diagnosis, signals};
use crate::clock::Randomness;
use crate::event_log::{EventLog, EventRange};

/// What every [`EventLog`] does.
pub async fn event_log(log: &impl EventLog, random: &impl Randomness) {
    let fresh = Fresh::new(random);
    appending_again_changes_nothing(log, &fresh).await;
    many_events_of_many_vehicles_are_taken_at_once(log, &fresh).await;
    every_kind_of_value_is_read_back_to_the_bit(log, &fresh).await;
    the_largest_event_of_an_upload_is_kept(log, &fresh).await;
    a_range_pages_without_loss_or_repeat_at_every_limit(log, &fresh).await;
    batches_that_overlap_give_each_event_once(log, &fresh).await;
    both_ends_of_a_range_belong_to_it(log, &fresh).await;
    vehicles_do_not_mix(log, &fresh).await;
}

async fn appending_again_changes_nothing(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let event = fresh.telemetry(&fresh.vid(), NOON);
    append(log, std::slice::from_ref(&event)).await;
    assert_eq!(get(log, &event).await, Some(event.clone()), "get reads what was appended just before");
    append(log, std::slice::from_ref(&event)).await;

    let mut later = event.clone();
    later.event.received = event.event.received.plus_ms(60_000);
    append(log, &[later.clone()]).await;
    assert_eq!(get(log, &event).await, Some(event.clone()), "received again later, it is left as it was");

    let twin = fresh.telemetry(&event.event.vid, NOON);
    append(log, &[twin.clone(), later, twin.clone()]).await;
    let mut expected = [event, twin];
    expected.sort_by_key(|event| event.event.eid);
    assert_eq!(all(log, &expected[0].event.vid, 100).await, expected, "each event is in the log once, as it came first");
}

async fn many_events_of_many_vehicles_are_taken_at_once(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    assert!(log.append(&[]).await.is_empty(), "appending nothing answers nothing");
    // More than any service takes in one request.
    let events: Vec<StoredEvent> = (0..120).map(|n| fresh.telemetry(&fresh.vid(), NOON.plus_ms(n * 1000))).collect();
    let known: Vec<StoredEvent> = events.iter().step_by(3).cloned().collect();
    append(log, &known).await;
    append(log, &events).await;
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
    append(log, std::slice::from_ref(&event)).await;
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

async fn batches_that_overlap_give_each_event_once(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    // An event every 10 s for 12 minutes, stored in batches as retries, late data and another cut of the stream make them.
    let events: Vec<StoredEvent> = (0..72).map(|n| fresh.telemetry(&vid, NOON.plus_ms(n * 10_000))).collect();
    for batch in [10..20, 0..12, 5..40, 60..72, 35..72, 0..72, 71..72] {
        append(log, &events[batch]).await;
    }
    for limit in [1, 7, 100] {
        assert_eq!(all(log, &vid, limit).await, events, "pages of {limit} give every event once, in eid order");
    }
    assert_eq!(get(log, &events[17]).await.as_ref(), Some(&events[17]), "an event in the middle of a batch is found");
}

async fn both_ends_of_a_range_belong_to_it(log: &impl EventLog, fresh: &Fresh<'_, impl Randomness>) {
    let vid = fresh.vid();
    let mut events: Vec<StoredEvent> = (0..5).map(|n| fresh.telemetry(&vid, NOON.plus_ms(n * 120_000))).collect();
    append(log, &events).await;
    events.sort_by_key(|event| event.event.eid);
    let eids: Vec<Eid> = events.iter().map(|event| event.event.eid).collect();

    let between = |from, to| pages(log, EventRange { vid: vid.clone(), from, to, limit: 2, consistent: true });
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

async fn append(log: &impl EventLog, events: &[StoredEvent]) {
    let answers = log.append(events).await;
    assert_eq!(answers.len(), events.len(), "append answers every event");
    for answer in answers {
        answer.expect("append takes the event");
    }
}

async fn get(log: &impl EventLog, event: &StoredEvent) -> Option<StoredEvent> {
    log.get(&event.event.vid, event.event.eid).await.expect("get answers")
}

async fn all(log: &impl EventLog, vid: &VehicleId, limit: usize) -> Vec<StoredEvent> {
    pages(log, EventRange { vid: vid.clone(), from: Eid::MIN, to: Eid::MAX, limit, consistent: true }).await
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
