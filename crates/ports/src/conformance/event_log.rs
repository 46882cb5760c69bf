//! [`EventLog`]

use std::collections::BTreeSet;

use roadcast_domain::event::{Body, StoredEvent, Telemetry};
use roadcast_domain::ids::{Eid, VehicleId};
use roadcast_signals::{Catalogue, Datatype, Sample, SignalPath, Signals, Value};

use super::fixtures::{Fixtures, NOON, diagnosis, signals};
use crate::clock::Randomness;
use crate::event_log::{EventLog, EventRange, PAGE_BYTES};

/// Checks every implementation of [`EventLog`].
pub async fn event_log(log: &impl EventLog, random: &impl Randomness) {
    let fixtures = Fixtures::new(random);
    appending_again_changes_nothing(log, &fixtures).await;
    many_events_of_many_vehicles_are_appended(log, &fixtures).await;
    every_kind_of_value_round_trips(log, &fixtures).await;
    largest_event_of_an_upload_is_stored(log, &fixtures).await;
    pages_contain_each_event_once(log, &fixtures).await;
    pages_within_a_byte_budget_contain_each_event_once(log, &fixtures).await;
    stored_ids_are_those_of_stored_events(log, &fixtures).await;
    overlapping_batches_store_each_event_once(log, &fixtures).await;
    range_includes_both_ends(log, &fixtures).await;
    vehicles_have_separate_logs(log, &fixtures).await;
}

async fn appending_again_changes_nothing(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let event = fixtures.telemetry(&fixtures.vid(), NOON);
    append(log, std::slice::from_ref(&event)).await;
    assert_eq!(get(log, &event).await, Some(event.clone()), "an appended event is immediately readable");
    append(log, std::slice::from_ref(&event)).await;

    let mut later = event.clone();
    later.event.received = event.event.received.plus_ms(60_000);
    append(log, &[later.clone()]).await;
    assert_eq!(get(log, &event).await, Some(event.clone()), "an event received again later is unchanged");

    let twin = fixtures.telemetry(&event.event.vid, NOON);
    append(log, &[twin.clone(), later, twin.clone()]).await;
    let mut expected = [event, twin];
    expected.sort_by_key(|event| event.event.eid);
    assert_eq!(all(log, &expected[0].event.vid, 100).await, expected, "each event is stored once, as it was first appended");
}

async fn many_events_of_many_vehicles_are_appended(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    assert!(log.append(&[]).await.is_empty(), "appending no events returns no results");
    // More than any service accepts in one request.
    let events: Vec<StoredEvent> = (0..120).map(|n| fixtures.telemetry(&fixtures.vid(), NOON.plus_ms(n * 1000))).collect();
    let stored: Vec<StoredEvent> = events.iter().step_by(3).cloned().collect();
    append(log, &stored).await;
    append(log, &events).await;
    for event in [&events[0], &events[1], &events[119]] {
        assert_eq!(get(log, event).await.as_ref(), Some(event), "already stored events do not affect the others");
    }
}

async fn every_kind_of_value_round_trips(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
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
    // Samples out of order and with equal times keep their order.
    let samples = [(500, first), (0, second.clone()), (0, second)];
    let samples = samples.map(|(ms, signals)| Sample { at: NOON.plus_ms(ms), signals }).to_vec();
    let mut telemetry = fixtures.event(&vid, NOON, Body::Telemetry(Telemetry { samples: samples.into() }));
    telemetry.origin.extensions = [("sequence", "1".into()), ("urgent", true.into()), ("tries", (-3).into())]
        .map(|(name, value): (&str, serde_json::Value)| (name.to_owned(), value))
        .into();
    let diagnostic = fixtures.event(&vid, NOON.plus_ms(1), diagnosis(NOON.plus_ms(1)));

    let sent = [telemetry, diagnostic];
    append(log, &sent).await;
    for event in &sent {
        let got = get(log, event).await.expect("an appended event is found");
        assert_eq!(&got, event, "an event is returned unchanged, including its origin");
        assert_eq!(bits(&got), bits(event), "numbers round-trip bit for bit");
    }
    assert_eq!(all(log, &vid, 10).await, sent, "range and get return the same events");
}

async fn largest_event_of_an_upload_is_stored(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    // 500 samples, about 700 KiB of JSON: the API accepts it with 202, so the log must store it. Its numbers do not
    // compress.
    let doubles: Vec<&str> = Catalogue::get()
        .iter()
        .filter(|def| def.datatype == Datatype::Double || def.datatype == Datatype::Float)
        .map(|def| def.path)
        .take(18)
        .collect();
    let mut state = 88_172_645_463_325_252_u64;
    let mut number = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Value::Number(f64::from(u32::try_from(state >> 34).unwrap_or(0)) / 1000.0)
    };
    let samples: Vec<Sample> = (0..500)
        .map(|n| Sample { at: NOON.plus_ms(n * 500), signals: signals(doubles.iter().map(|&path| (path, number()))) })
        .collect();
    let event = fixtures.event(&fixtures.vid(), NOON, Body::Telemetry(Telemetry { samples: samples.into() }));
    append(log, std::slice::from_ref(&event)).await;
    assert!(get(log, &event).await == Some(event), "an event of 500 large samples is returned unchanged");
}

async fn pages_contain_each_event_once(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    // Some events in the same millisecond, some before and after a full hour, appended out of order.
    let offsets = [0, 0, 0, 1, 999, 1000, 60_000, 299_999, 300_000, 300_001, 3_600_000, 86_400_000];
    let mut events: Vec<StoredEvent> = offsets.map(|ms| fixtures.telemetry(&vid, NOON.plus_ms(ms))).to_vec();
    events.rotate_left(5);
    append(log, &events).await;
    events.sort_by_key(|event| event.event.eid);
    for limit in 1..=events.len() + 1 {
        assert_eq!(all(log, &vid, limit).await, events, "pages of {limit} contain every event once, ordered by eid");
    }
}

async fn pages_within_a_byte_budget_contain_each_event_once(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    let large = |n: i64| Sample {
        at: NOON.plus_ms(n),
        signals: signals([("acme.note", Value::from("x".repeat(usize::try_from(n % 5).unwrap_or(0) * 200).as_str()))]),
    };
    let event = |n: i64| {
        let samples: Vec<Sample> = (0..=n % 7 * 10).map(|sample| large(n * 9_000 + sample)).collect();
        fixtures.event(&vid, NOON.plus_ms(n * 9_000), Body::Telemetry(Telemetry { samples: samples.into() }))
    };
    let mut events: Vec<StoredEvent> = (0..40).map(event).collect();
    for batch in [7..30, 0..40, 20..21] {
        append(log, &events[batch]).await;
    }
    events.sort_by_key(|event| event.event.eid);
    for max_bytes in [0, 1, 5_000, 50_000, usize::MAX] {
        let range = EventRange { max_bytes, ..range(&vid, Eid::MIN, Eid::MAX, 30) };
        assert_eq!(pages(log, range).await, events, "pages of {max_bytes} bytes contain every event once, ordered by eid");
    }
}

async fn stored_ids_are_those_of_stored_events(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    let seconds = [0, 1, 59, 60, 300, 301, 86_400, 31_536_000];
    let mut events: Vec<StoredEvent> =
        seconds.into_iter().map(|s| fixtures.telemetry(&vid, NOON.plus_ms(s * 1000))).collect();
    events.push(fixtures.event(&vid, NOON.plus_ms(61_000), diagnosis(NOON.plus_ms(61_000))));
    append(log, &events).await;
    let others = [0, 62_000, 86_400_000].map(|ms| fixtures.telemetry(&vid, NOON.plus_ms(ms)));
    let eids = |events: &[StoredEvent]| events.iter().map(|event| event.event.eid).collect::<Vec<Eid>>();
    let asked = [eids(&events[2..]), eids(&others), eids(&events[3..5])].concat();
    let expected: BTreeSet<Eid> = eids(&events[2..]).into_iter().collect();
    let stored = async |vid: &VehicleId, eids: &[Eid]| log.stored_ids(vid, eids).await.expect("stored_ids succeeds");
    assert_eq!(stored(&vid, &asked).await, expected, "the stored ones among these events are returned, and no others");
    assert!(stored(&vid, &[]).await.is_empty(), "no events are stored among none");
    assert!(stored(&fixtures.vid(), &asked).await.is_empty(), "an event is stored only with its own vehicle");
}

async fn overlapping_batches_store_each_event_once(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    // An event every 10 s for 12 minutes, stored in batches as retries, late data and other batch boundaries produce them.
    let events: Vec<StoredEvent> = (0..72).map(|n| fixtures.telemetry(&vid, NOON.plus_ms(n * 10_000))).collect();
    for batch in [10..20, 0..12, 5..40, 60..72, 35..72, 0..72, 71..72] {
        append(log, &events[batch]).await;
    }
    for limit in [1, 7, 100] {
        assert_eq!(all(log, &vid, limit).await, events, "pages of {limit} contain every event once, ordered by eid");
    }
    assert_eq!(get(log, &events[17]).await.as_ref(), Some(&events[17]), "an event in the middle of a batch is found");
}

async fn range_includes_both_ends(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let vid = fixtures.vid();
    let mut events: Vec<StoredEvent> = (0..5).map(|n| fixtures.telemetry(&vid, NOON.plus_ms(n * 120_000))).collect();
    append(log, &events).await;
    events.sort_by_key(|event| event.event.eid);
    let eids: Vec<Eid> = events.iter().map(|event| event.event.eid).collect();

    let between = |from, to| pages(log, range(&vid, from, to, 2));
    assert_eq!(between(eids[1], eids[3]).await, events[1..=3], "a range includes from and to");
    assert_eq!(between(eids[2], eids[2]).await, events[2..=2], "a range of one eid contains that event");
    let after = eids[1].next().expect("not the last eid");
    assert_eq!(between(after, eids[3]).await, events[2..=3], "a range starts at from");
    let (start, end) = (NOON.plus_ms(120_000), NOON.plus_ms(360_000));
    assert_eq!(
        between(Eid::lower_bound(start), Eid::lower_bound(end)).await,
        events[1..3],
        "a range by time starts at the lower bound of the time"
    );
    assert!(between(Eid::MIN, Eid::lower_bound(NOON)).await.is_empty(), "a range before all events is empty");
    assert!(between(eids[3], eids[1]).await.is_empty(), "a range whose end is before its start is empty");
}

async fn vehicles_have_separate_logs(log: &impl EventLog, fixtures: &Fixtures<'_, impl Randomness>) {
    let (mine, other) = (fixtures.telemetry(&fixtures.vid(), NOON), fixtures.telemetry(&fixtures.vid(), NOON));
    append(log, &[mine.clone(), other.clone()]).await;
    assert_eq!(
        all(log, &mine.event.vid, 10).await,
        std::slice::from_ref(&mine),
        "a range contains only one vehicle's events"
    );
    let of_other_vehicle = log.get(&other.event.vid, mine.event.eid).await.expect("get succeeds");
    assert_eq!(of_other_vehicle, None, "an event is found only with its own vehicle");
    assert!(all(log, &fixtures.vid(), 10).await.is_empty(), "a vehicle without events has an empty log");
}

async fn append(log: &impl EventLog, events: &[StoredEvent]) {
    let results = log.append(events).await;
    assert_eq!(results.len(), events.len(), "append returns a result for every event");
    for result in results {
        result.expect("the event is stored");
    }
}

async fn get(log: &impl EventLog, event: &StoredEvent) -> Option<StoredEvent> {
    log.get(&event.event.vid, event.event.eid).await.expect("get succeeds")
}

async fn all(log: &impl EventLog, vid: &VehicleId, limit: usize) -> Vec<StoredEvent> {
    pages(log, range(vid, Eid::MIN, Eid::MAX, limit)).await
}

fn range(vid: &VehicleId, from: Eid, to: Eid, limit: usize) -> EventRange {
    EventRange { vid: vid.clone(), from, to, limit, max_bytes: PAGE_BYTES, consistent: true }
}

async fn pages(log: &impl EventLog, mut range: EventRange) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    loop {
        let page = log.range(&range).await.expect("range succeeds");
        assert!(page.events.len() <= range.limit, "a page has at most `limit` items: {}", range.limit);
        let bytes: usize = page.events.iter().map(StoredEvent::memory_bytes).sum();
        assert!(bytes <= range.max_bytes || page.events.len() == 1, "a page has at most `max_bytes` bytes, or one event");
        let last = page.events.last().map(|last| last.event.eid);
        events.extend(page.events);
        let Some(next) = page.next else { return events };
        assert!(last.is_some_and(|last| last < next), "a page has an event, and the next one starts after it");
        range.from = next;
    }
}

fn bits(event: &StoredEvent) -> Vec<Vec<(SignalPath, Option<u64>)>> {
    let Body::Telemetry(telemetry) = &event.event.body else { return Vec::new() };
    let of = |signals: &Signals| {
        signals.iter().map(|(path, value)| (path.clone(), value.as_number().map(f64::to_bits))).collect()
    };
    telemetry.samples.to_rows().iter().map(|sample| of(&sample.signals)).collect()
}
