use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cloudevent::Data;

fn received() -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap()
}

fn vid() -> VehicleId {
    VehicleId::from_random(1)
}

fn event(event_type: &str, data: &serde_json::Value) -> String {
    json!({
        "specversion": "1.0", "id": "e1", "source": "urn:test", "type": event_type,
        "time": "2026-01-01T11:59:00Z", "data": data,
    })
    .to_string()
}

fn judge_json(text: &str) -> Result<ValidationOutcome, Refusal> {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    let envelope = Envelope::read(raw).unwrap();
    let Data::Json(data) = envelope.data else { panic!("JSON") };
    validate_event(&envelope, data, &vid(), received(), &Book)
}

/// One type, whose data is a text.
struct Book;

impl SchemaRegistry for Book {
    fn check(&self, event_type: &CustomType, data: &serde_json::Value) -> Result<(), SchemaViolation> {
        match (event_type.as_str(), data) {
            ("com.example.note.v1", serde_json::Value::String(_)) => Ok(()),
            ("com.example.note.v1", _) => {
                Err(SchemaViolation::Invalid { pointer: "/text".to_owned(), detail: "a text".to_owned() })
            }
            _ => Err(SchemaViolation::UnknownType),
        }
    }
}

fn telemetry(samples: &serde_json::Value) -> Result<ValidationOutcome, Refusal> {
    judge_json(&event("roadcast.telemetry.v1", &json!({ "samples": samples })))
}

fn sample(at: &str, path: &str, value: impl Into<serde_json::Value>) -> serde_json::Value {
    let value: serde_json::Value = value.into();
    json!({"at": at, "signals": {path: value}})
}

/// What became of samples: how many are left, and the quarantined ones by place and reason.
fn check(samples: &serde_json::Value, left: usize, quarantined: &[(usize, Reason)]) {
    let intake = telemetry(samples).unwrap();
    assert_eq!(intake.accepted.as_ref().map_or(0, |stored| stored.event.sample_count()), left, "{samples}");
    assert_eq!(
        intake.quarantined.iter().map(|sample| (sample.index, sample.reason)).collect::<Vec<_>>(),
        quarantined,
        "{samples}"
    );
}

const NOON: &str = "2026-01-01T11:59:30Z";

#[test]
fn a_bad_sample_is_set_aside_and_leaves_the_others() {
    let good = sample(NOON, "Vehicle.Speed", 50);
    check(&json!([good, sample("02/00/2090", "Vehicle.Speed", 50)]), 1, &[(1, Reason::TimeInvalid)]);
    check(&json!([good, sample("2090-02-00T11:13:45", "Vehicle.Speed", 50)]), 1, &[(1, Reason::TimeInvalid)]);
    check(&json!([good, sample("1999-12-31T23:59:59Z", "Vehicle.Speed", 50)]), 1, &[(1, Reason::TimeBefore2000)]);
    check(&json!([good, sample("2026-01-01T12:05:01Z", "Vehicle.Speed", 50)]), 1, &[(1, Reason::TimeAhead)]);
    check(&json!([good, {"signals": {}}]), 1, &[(1, Reason::SampleInvalid)]);
    check(&json!([good, 7]), 1, &[(1, Reason::SampleInvalid)]);
    check(&json!([good, {"at": NOON, "signals": {}}]), 1, &[(1, Reason::NoValidSignal)]);
}

#[test]
fn a_sample_up_to_five_minutes_ahead_is_taken() {
    check(&json!([sample("2026-01-01T12:05:00Z", "Vehicle.Speed", 50)]), 1, &[]);
}

#[test]
fn the_255_mph_sentinel_and_a_position_of_0_0_leave_nothing_of_a_bus_without_a_fix() {
    let lost = json!([{"at": NOON, "signals": {
        "Vehicle.Speed": 113.9952 * 3.6,
        "Vehicle.CurrentLocation.Latitude": 0.0,
        "Vehicle.CurrentLocation.Longitude": 0,
    }}]);
    let intake = telemetry(&lost).unwrap();
    assert_eq!(intake.accepted, None);
    assert_eq!(intake.quarantined[0].reason, Reason::NoValidSignal);
    let reasons = intake.rejected_by_reason();
    assert_eq!(reasons.get("out_of_range"), Some(&1), "{reasons:?}");
    assert_eq!(reasons.get("null_position"), Some(&2), "{reasons:?}");
}

#[test]
fn a_bad_signal_is_removed_and_named_and_the_rest_of_its_sample_stays() {
    let intake = telemetry(&json!([{"at": NOON, "signals": {
        "Vehicle.Speed": 50, "Vehicle.CurrentLocation.Latitude": "north", "Vehicle.CurrentLocation.Longitude": 181,
    }}]))
    .unwrap();
    let mut rejected: Vec<(&str, &str)> = intake.rejected.iter().map(|r| (r.pointer.as_str(), r.reason)).collect();
    rejected.sort_unstable();
    assert_eq!(
        rejected,
        [
            ("/data/samples/0/signals/Vehicle.CurrentLocation.Latitude", "wrong_type"),
            ("/data/samples/0/signals/Vehicle.CurrentLocation.Longitude", "out_of_range"),
        ]
    );
    assert_eq!(intake.accepted.unwrap().event.sample_count(), 1);
}

#[test]
fn the_parked_bytes_are_the_senders() {
    let text = event("roadcast.telemetry.v1", &json!({"samples": []}))
        .replace(r#""samples":[]"#, r#""samples":[{"at":  "never","signals":{"Vehicle.Speed":1.50e1}}]"#);
    let intake = judge_json(&text).unwrap();
    assert_eq!(intake.quarantined[0].bytes, r#"{"at":  "never","signals":{"Vehicle.Speed":1.50e1}}"#);
}

#[test]
fn the_eid_follows_the_earliest_sample_that_is_kept() {
    let early_but_bad = sample("2026-01-01T11:57:00Z", "Vehicle.Speed", "fast");
    let intake = telemetry(&json!([early_but_bad, sample(NOON, "Vehicle.Speed", 50)])).unwrap();
    assert_eq!(intake.eid.time(), Timestamp::parse_rfc3339(NOON).unwrap());
    // Where nothing is kept, the envelope's time stands in.
    let nothing = telemetry(&json!([early_but_bad])).unwrap();
    assert_eq!(nothing.eid.time(), Timestamp::parse_rfc3339("2026-01-01T11:59:00Z").unwrap());
}

#[test]
fn an_event_is_refused_whole_only_for_its_envelope_and_the_field_is_named() {
    let refusal = |data: serde_json::Value| {
        let refusal = judge_json(&event("roadcast.telemetry.v1", &data)).unwrap_err();
        (refusal.reason, refusal.pointer)
    };
    assert_eq!(refusal(json!({})), (Reason::DataInvalid, "/data/samples".into()));
    assert_eq!(refusal(json!({"samples": []})), (Reason::DataInvalid, "/data/samples".into()));
    let many: Vec<_> = (0..501).map(|_| sample(NOON, "Vehicle.Speed", 1)).collect();
    assert_eq!(refusal(json!({ "samples": many })), (Reason::TooManySamples, "/data/samples".into()));
    let apart = [sample("2026-01-01T11:50:00Z", "Vehicle.Speed", 1), sample("2026-01-01T11:55:00.001Z", "Vehicle.Speed", 1)];
    assert_eq!(refusal(json!({ "samples": apart })), (Reason::SamplesTooFarApart, "/data/samples".into()));
    let foreign: serde_json::Map<_, _> = (0..65).map(|n| (format!("Oem.Signal{n}"), json!(n))).collect();
    let foreign = json!({"samples": [{"at": NOON, "signals": foreign}]});
    assert_eq!(refusal(foreign), (Reason::TooManyUnknownSignals, "/data/samples".into()));
    let unknown = judge_json(&event("roadcast.weather.v1", &json!({}))).unwrap_err();
    assert_eq!((unknown.reason, unknown.pointer.as_str()), (Reason::TypeUnknown, "/type"));
}

#[test]
fn samples_exactly_five_minutes_apart_are_one_event() {
    let apart = [sample("2026-01-01T11:50:00Z", "Vehicle.Speed", 1), sample("2026-01-01T11:55:00Z", "Vehicle.Speed", 1)];
    check(&json!(apart), 2, &[]);
}

#[test]
fn a_diagnosis_keeps_its_good_codes_and_counts_the_others() {
    let intake = judge_json(&event(
        "roadcast.diagnostic.v1",
        &json!({"at": NOON, "mil": true, "dtcs": [
            {"code": "P0301", "status": "active"}, {"code": "4101000761001", "status": "pending"},
        ]}),
    ))
    .unwrap();
    assert_eq!(intake.rejected_by_reason().get("bad_code"), Some(&1));
    let Body::Diagnostic(diagnostic) = intake.accepted.unwrap().event.body else { panic!("a diagnosis") };
    assert_eq!(diagnostic.dtcs.len(), 1);
}

#[test]
fn a_diagnosis_without_codes_is_news() {
    let intake = judge_json(&event("roadcast.diagnostic.v1", &json!({"at": NOON, "dtcs": []}))).unwrap();
    assert!(intake.accepted.is_some());
}

#[test]
fn samples_of_a_refused_event_can_still_be_counted() {
    let raw = |text: &'static str| -> &'static RawValue { serde_json::from_str(text).unwrap() };
    assert_eq!(count_samples(raw(r#"{"data":{"samples":[1,2,3]}}"#)), 3);
    assert_eq!(count_samples(raw(r#"{"data":{"dtcs":[]}}"#)), 1);
    assert_eq!(count_samples(raw("7")), 1);
}

proptest! {
    /// Whatever is sent: each sample is kept or set aside, never both, never neither.
    #[test]
    fn every_sample_is_either_kept_or_set_aside(
        samples in prop::collection::vec((0_i64..200_000, 0_usize..5), 1..40),
    ) {
        let sent: Vec<_> = samples
            .iter()
            .map(|(offset, kind)| {
                let at = Timestamp::from_ms(received().ms() - offset).to_string();
                match kind {
                    0 => sample("never", "Vehicle.Speed", 1),
                    1 => sample(&at, "Vehicle.Speed", 9999),
                    2 => json!({"at": at, "signals": {"Vehicle.Speed": 9999, "Vehicle.OBD.Speed": 12}}),
                    3 => json!(null),
                    _ => sample(&at, "Vehicle.Speed", 12.34),
                }
            })
            .collect();
        let intake = telemetry(&json!(sent)).unwrap();
        let kept = intake.accepted.as_ref().map_or(0, |stored| stored.event.sample_count());
        prop_assert_eq!(kept + intake.quarantined.len(), sent.len());
        prop_assert_eq!(intake.sample_count, sent.len());
    }

    /// What was published reads back the same, bit for bit, and is not changed by being validated again.
    #[test]
    fn an_event_survives_publishing_and_a_second_judgement(speed in -250.0_f64..400.0, latitude in -90.0_f64..90.0) {
        let first = telemetry(&json!([{"at": NOON, "signals": {
            "Vehicle.Speed": speed, "Vehicle.CurrentLocation.Latitude": latitude, "Oem.Odd": speed,
        }}])).unwrap().accepted.unwrap().event;
        let json = serde_json::to_string(&first.to_cloud_event().under_consent(3)).unwrap();
        let (read, epoch) = Event::from_cloud_event(&json).unwrap();
        prop_assert_eq!(&read, &first);
        prop_assert_eq!(epoch, Some(3));
        let again = judge_json(&json).unwrap().accepted.unwrap().event;
        prop_assert_eq!(again.body, first.body);
    }
}

fn custom(event_type: &str, time: &str, data: &str) -> Result<ValidationOutcome, Refusal> {
    let head = format!(r#"{{"specversion":"1.0","id":"e1","source":"urn:test","type":"{event_type}","time":"{time}","#);
    judge_json(&format!(r#"{head}"data":{data}}}"#))
}

const NOTE: &str = "com.example.note.v1";

#[test]
fn a_custom_event_is_kept_as_it_was_sent_at_its_envelopes_time() {
    let intake = custom(NOTE, "2026-01-01T12:30:00+01:00", r#" "caf\u00e9"  "#).unwrap();
    let stored = intake.accepted.unwrap();
    let Body::Custom(Custom { event_type, data }) = stored.event.body else { panic!("custom") };
    assert_eq!((event_type.as_str(), data.get()), (NOTE, r#""caf\u00e9""#));
    assert_eq!(stored.event.eid.time(), Timestamp::parse_rfc3339("2026-01-01T11:30:00Z").unwrap());
    assert_eq!((intake.sample_count, intake.quarantined.len(), intake.rejected.len()), (1, 0, 0));
}

#[test]
fn custom_data_that_its_schema_does_not_allow_is_refused_at_the_fault() {
    let refused = |event_type: &str, data: &str| {
        let refusal = custom(event_type, NOON, data).unwrap_err();
        (refusal.reason, refusal.pointer)
    };
    assert_eq!(refused(NOTE, "7"), (Reason::DataInvalid, "/data/text".to_owned()));
    assert_eq!(refused("com.example.other.v1", "7"), (Reason::TypeUnknown, "/type".to_owned()));
    // Before any schema is asked: too much, twice the same member, and what no number holds.
    let long = format!("\"{}\"", "x".repeat(limits::CUSTOM_DATA_BYTES - 1));
    let many = format!("[{}0]", "0,".repeat(limits::CUSTOM_DATA_VALUES));
    let deep = "[".repeat(200) + &"]".repeat(200);
    for data in
        [long.as_str(), many.as_str(), deep.as_str(), r#"{"a": "x", "a": 1}"#, r#"[{"b": {"a": 1, "\u0061": 1}}]"#, "1e999"]
    {
        assert_eq!(refused(NOTE, data), (Reason::DataInvalid, "/data".to_owned()));
    }
    let fits = format!("\"{}\"", "x".repeat(limits::CUSTOM_DATA_BYTES - 2));
    assert!(custom(NOTE, NOON, &fits).is_ok());
}

#[test]
fn a_custom_event_of_a_clock_that_is_wrong_is_set_aside_whole() {
    for (time, reason) in [("1999-12-31T23:59:59Z", Reason::TimeBefore2000), ("2026-01-01T12:05:00.001Z", Reason::TimeAhead)]
    {
        let intake = custom(NOTE, time, "\"x\"").unwrap();
        assert!(intake.accepted.is_none());
        let [quarantined] = intake.quarantined.as_slice() else { panic!("one") };
        assert_eq!((quarantined.reason, quarantined.pointer.as_str(), quarantined.index), (reason, "/time", 0));
        assert!(quarantined.bytes.contains(time) && quarantined.bytes.contains(NOTE), "{}", quarantined.bytes);
    }
    assert!(custom(NOTE, "2026-01-01T12:05:00Z", "\"x\"").unwrap().accepted.is_some());
}

#[test]
fn a_custom_event_counts_as_one_sample_whatever_its_members_are_called() {
    let count = |event_type: &str| {
        let text = event(event_type, &json!({"samples": [1, 2, 3]}));
        count_samples(serde_json::from_str(&text).unwrap())
    };
    assert_eq!((count(NOTE), count("roadcast.telemetry.v1"), count("?")), (1, 3, 3));
}
