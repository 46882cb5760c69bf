use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cloudevent::Data;
use crate::event::Custom;
use crate::schema::SchemaViolation;

mod diagnostics;
mod windows;

fn received() -> Timestamp {
    Timestamp::parse_rfc3339("2026-01-01T12:00:00Z").unwrap()
}

fn vid() -> VehicleId {
    VehicleId::from_random_bits(1)
}

fn event(event_type: &str, data: &serde_json::Value) -> String {
    json!({
        "specversion": "1.0", "id": "e1", "source": "urn:test", "type": event_type,
        "time": "2026-01-01T11:59:00Z", "data": data,
    })
    .to_string()
}

fn validate_json(text: &str) -> Result<ValidationOutcome, Refusal> {
    let raw: &RawValue = serde_json::from_str(text).unwrap();
    let envelope = Envelope::parse(raw).unwrap();
    let Data::Json(data) = envelope.data else { panic!("expected JSON") };
    validate_event(&envelope, data.into(), &vid(), received(), &NoteSchema)
}

/// A registry with one type, whose data is a string.
struct NoteSchema;

impl SchemaRegistry for NoteSchema {
    fn check(&self, event_type: &CustomType, data: &serde_json::Value) -> Result<(), SchemaViolation> {
        match (event_type.as_str(), data) {
            ("com.example.note.v1", serde_json::Value::String(_)) => Ok(()),
            ("com.example.note.v1", _) => {
                Err(SchemaViolation::Invalid { pointer: ["text"].into(), detail: "must be a string".to_owned() })
            }
            _ => Err(SchemaViolation::UnknownType),
        }
    }
}

fn telemetry(samples: &serde_json::Value) -> Result<ValidationOutcome, Refusal> {
    validate_json(&event("roadcast.telemetry.v1", &json!({ "samples": samples })))
}

fn sample(at: &str, path: &str, value: impl Into<serde_json::Value>) -> serde_json::Value {
    let value: serde_json::Value = value.into();
    json!({"at": at, "signals": {path: value}})
}

/// Checks the number of accepted samples, and the index and reason of the quarantined ones.
fn check(samples: &serde_json::Value, accepted: usize, quarantined: &[(usize, Reason)]) {
    let outcome = telemetry(samples).unwrap();
    assert_eq!(outcome.accepted.as_ref().map_or(0, |stored| stored.event.sample_count()), accepted, "{samples}");
    assert_eq!(
        outcome.quarantined.iter().map(|sample| (sample.index, sample.reason)).collect::<Vec<_>>(),
        quarantined,
        "{samples}"
    );
}

const NOON: &str = "2026-01-01T11:59:30Z";

#[test]
fn invalid_sample_is_quarantined_without_the_others() {
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
fn sample_up_to_five_minutes_ahead_is_accepted() {
    check(&json!([sample("2026-01-01T12:05:00Z", "Vehicle.Speed", 50)]), 1, &[]);
}

#[test]
fn speed_sentinel_and_null_position_are_removed() {
    let without_fix = json!([{"at": NOON, "signals": {
        "Vehicle.Speed": 113.9952 * 3.6,
        "Vehicle.CurrentLocation.Latitude": 0.0,
        "Vehicle.CurrentLocation.Longitude": 0,
    }}]);
    let outcome = telemetry(&without_fix).unwrap();
    assert_eq!(outcome.accepted, None);
    assert_eq!(outcome.quarantined[0].reason, Reason::NoValidSignal);
    let reasons = outcome.rejected_by_reason();
    assert_eq!(reasons.get("out_of_range"), Some(&1), "{reasons:?}");
    assert_eq!(reasons.get("null_position"), Some(&2), "{reasons:?}");
}

#[test]
fn invalid_signal_is_removed_and_the_others_are_kept() {
    let outcome = telemetry(&json!([{"at": NOON, "signals": {
        "Vehicle.Speed": 50, "Vehicle.CurrentLocation.Latitude": "north", "Vehicle.CurrentLocation.Longitude": 181,
    }}]))
    .unwrap();
    let mut rejected: Vec<(&str, &str)> = outcome.rejected.iter().map(|r| (r.pointer.as_str(), r.reason)).collect();
    rejected.sort_unstable();
    assert_eq!(
        rejected,
        [
            ("/data/samples/0/signals/Vehicle.CurrentLocation.Latitude", "wrong_type"),
            ("/data/samples/0/signals/Vehicle.CurrentLocation.Longitude", "out_of_range"),
        ]
    );
    assert_eq!(outcome.accepted.unwrap().event.sample_count(), 1);
}

/// Validates a telemetry event with these samples as they are written, which a JSON value would not show.
fn telemetry_written(samples: &str) -> Result<ValidationOutcome, Refusal> {
    let text = event("roadcast.telemetry.v1", &json!({"samples": []}));
    validate_json(&text.replace(r#""samples":[]"#, &format!(r#""samples":[{samples}]"#)))
}

#[test]
fn bad_signal_never_costs_the_sample() {
    for bad in ["1e309", "-1e999", "[1e309]", r#""\ud800""#, r#""\uffff""#, "12345678901234567890", "null", "7,\"acme.x\":7"]
    {
        let outcome = telemetry_written(&format!(r#"{{"at":"{NOON}","signals":{{"acme.x":{bad},"Vehicle.Speed":48}}}}"#));
        let outcome = outcome.unwrap();
        assert_eq!(outcome.quarantined, [], "{bad}");
        assert_eq!(outcome.rejected.len(), 1, "{bad}");
        let Body::Telemetry(stored) = outcome.accepted.unwrap().event.body else { panic!("expected telemetry") };
        assert_eq!(
            stored.samples.to_rows()[0].signals.keys().map(ToString::to_string).collect::<Vec<_>>(),
            ["Vehicle.Speed"]
        );
    }
}

#[test]
fn member_of_a_sample_that_is_given_twice_is_not_guessed() {
    for sample in [
        format!(r#"{{"at":"{NOON}","at":"{NOON}","signals":{{"Vehicle.Speed":1}}}}"#),
        format!(r#"{{"at":"{NOON}","signals":{{"Vehicle.Speed":1}},"signals":{{"Vehicle.Speed":2}}}}"#),
    ] {
        let outcome = telemetry_written(&sample).unwrap();
        assert_eq!((outcome.accepted, outcome.quarantined[0].reason), (None, Reason::SampleInvalid), "{sample}");
    }
    let unreadable_time = telemetry_written(r#"{"at":1e309,"signals":{"Vehicle.Speed":1}}"#).unwrap();
    assert_eq!(unreadable_time.quarantined[0].reason, Reason::TimeInvalid);
    let data = r#"{"specversion":"1.0","id":"1","source":"urn:a","type":"roadcast.telemetry.v1","time":"2026-01-01T11:59:00Z",
        "data":{"samples":[],"samples":[]}}"#;
    assert_eq!(validate_json(data).unwrap_err().reason, Reason::DataInvalid);
}

#[test]
fn quarantined_sample_keeps_the_bytes_of_the_sender() {
    let text = event("roadcast.telemetry.v1", &json!({"samples": []}))
        .replace(r#""samples":[]"#, r#""samples":[{"at":  "never","signals":{"Vehicle.Speed":1.50e1}}]"#);
    let outcome = validate_json(&text).unwrap();
    assert_eq!(outcome.quarantined[0].bytes, r#"{"at":  "never","signals":{"Vehicle.Speed":1.50e1}}"#);
}

#[test]
fn eid_has_the_time_of_the_earliest_accepted_sample() {
    let early_but_invalid = sample("2026-01-01T11:57:00Z", "Vehicle.Speed", "fast");
    let outcome = telemetry(&json!([early_but_invalid, sample(NOON, "Vehicle.Speed", 50)])).unwrap();
    assert_eq!(outcome.eid.time(), Timestamp::parse_rfc3339(NOON).unwrap());
    // If no sample is accepted, the eid has the time of the envelope.
    let nothing = telemetry(&json!([early_but_invalid])).unwrap();
    assert_eq!(nothing.eid.time(), Timestamp::parse_rfc3339("2026-01-01T11:59:00Z").unwrap());
}

#[test]
fn refusal_of_an_event_has_a_reason_and_a_pointer() {
    let refusal = |data: serde_json::Value| {
        let refusal = validate_json(&event("roadcast.telemetry.v1", &data)).unwrap_err();
        (refusal.reason, refusal.pointer)
    };
    assert_eq!(refusal(json!({})), (Reason::DataInvalid, ["data", "samples"].into()));
    assert_eq!(refusal(json!({"samples": []})), (Reason::DataInvalid, ["data", "samples"].into()));
    let many: Vec<_> = (0..501).map(|_| sample(NOON, "Vehicle.Speed", 1)).collect();
    assert_eq!(refusal(json!({ "samples": many })), (Reason::TooManySamples, ["data", "samples"].into()));
    let apart = ["11:40:00", "11:50:00", "11:55:00.001"];
    let apart = apart.map(|time| sample(&format!("2026-01-01T{time}Z"), "Vehicle.Speed", 1));
    assert_eq!(refusal(json!({ "samples": apart })), (Reason::SamplesTooFarApart, ["data", "samples"].into()));
    let foreign: serde_json::Map<_, _> = (0..65).map(|n| (format!("Oem.Signal{n}"), json!(n))).collect();
    let foreign = json!({"samples": [{"at": NOON, "signals": foreign}]});
    assert_eq!(refusal(foreign), (Reason::TooManyUnknownSignals, ["data", "samples"].into()));
    let unknown = validate_json(&event("roadcast.weather.v1", &json!({}))).unwrap_err();
    assert_eq!((unknown.reason, unknown.pointer.as_str()), (Reason::TypeUnknown, "/type"));
}

#[test]
fn samples_exactly_five_minutes_apart_are_accepted() {
    let apart = [sample("2026-01-01T11:50:00Z", "Vehicle.Speed", 1), sample("2026-01-01T11:55:00Z", "Vehicle.Speed", 1)];
    check(&json!(apart), 2, &[]);
}

#[test]
fn invalid_trouble_codes_are_removed_and_counted() {
    let outcome = validate_json(&event(
        "roadcast.diagnostic.v1",
        &json!({"at": NOON, "mil": true, "dtcs": [
            {"code": "P0301", "status": "active"}, {"code": "4101000761001", "status": "pending"},
        ]}),
    ))
    .unwrap();
    assert_eq!(outcome.rejected_by_reason().get("bad_code"), Some(&1));
    let Body::Diagnostic(diagnostic) = outcome.accepted.unwrap().event.body else { panic!("expected a diagnostic") };
    assert_eq!(diagnostic.dtcs.len(), 1);
}

#[test]
fn diagnostic_without_codes_is_accepted() {
    let outcome = validate_json(&event("roadcast.diagnostic.v1", &json!({"at": NOON, "dtcs": []}))).unwrap();
    assert!(outcome.accepted.is_some());
}

#[test]
fn samples_of_a_refused_event_are_counted() {
    let raw = |text: &'static str| -> &'static RawValue { serde_json::from_str(text).unwrap() };
    assert_eq!(count_samples(raw(r#"{"data":{"samples":[1,2,3]}}"#)), 3);
    assert_eq!(count_samples(raw(r#"{"data":{"dtcs":[]}}"#)), 1);
    assert_eq!(count_samples(raw("7")), 1);
}

proptest! {
    /// Each sample is either accepted or quarantined.
    #[test]
    fn every_sample_is_accepted_or_quarantined(
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
        let outcome = telemetry(&json!(sent)).unwrap();
        let accepted = outcome.accepted.as_ref().map_or(0, |stored| stored.event.sample_count());
        prop_assert_eq!(accepted + outcome.quarantined.len(), sent.len());
        prop_assert_eq!(outcome.sample_count, sent.len());
    }

    /// A published event is parsed bit for bit, and validating it again does not change it.
    #[test]
    fn event_round_trips_through_publishing_and_validation(speed in -250.0_f64..400.0, latitude in -90.0_f64..90.0) {
        let first = telemetry(&json!([{"at": NOON, "signals": {
            "Vehicle.Speed": speed, "Vehicle.CurrentLocation.Latitude": latitude, "Oem.Odd": speed,
        }}])).unwrap().accepted.unwrap().event;
        let json = serde_json::to_string(&first.to_cloud_event().with_consent_epoch(3)).unwrap();
        let (read, epoch) = Event::from_cloud_event(&json).unwrap();
        prop_assert_eq!(&read, &first);
        prop_assert_eq!(epoch, Some(3));
        let again = validate_json(&json).unwrap().accepted.unwrap().event;
        prop_assert_eq!(again.body, first.body);
    }
}

fn custom(event_type: &str, time: &str, data: &str) -> Result<ValidationOutcome, Refusal> {
    let head = format!(r#"{{"specversion":"1.0","id":"e1","source":"urn:test","type":"{event_type}","time":"{time}","#);
    validate_json(&format!(r#"{head}"data":{data}}}"#))
}

const NOTE: &str = "com.example.note.v1";

#[test]
fn custom_event_is_accepted_unchanged_at_its_envelope_time() {
    let outcome = custom(NOTE, "2026-01-01T12:30:00+01:00", r#" "caf\u00e9"  "#).unwrap();
    let stored = outcome.accepted.unwrap();
    let Body::Custom(Custom { event_type, data }) = stored.event.body else { panic!("expected a custom event") };
    assert_eq!((event_type.as_str(), data.get()), (NOTE, r#""caf\u00e9""#));
    assert_eq!(stored.event.eid.time(), Timestamp::parse_rfc3339("2026-01-01T11:30:00Z").unwrap());
    assert_eq!((outcome.sample_count, outcome.quarantined.len(), outcome.rejected.len()), (1, 0, 0));
}

#[test]
fn invalid_custom_data_is_refused_with_a_pointer() {
    let refused = |event_type: &str, data: &str| {
        let refusal = custom(event_type, NOON, data).unwrap_err();
        (refusal.reason, refusal.pointer)
    };
    assert_eq!(refused(NOTE, "7"), (Reason::DataInvalid, ["data", "text"].into()));
    assert_eq!(refused("com.example.other.v1", "7"), (Reason::TypeUnknown, ["type"].into()));
    // Refused before the schema is used: too much data, duplicate members, numbers out of range, forbidden characters.
    let long = format!("\"{}\"", "x".repeat(limits::CUSTOM_DATA_BYTES - 1));
    let many = format!("[{}0]", "0,".repeat(limits::CUSTOM_DATA_VALUES));
    for (data, pointer) in [
        (long.as_str(), "/data"),
        (many.as_str(), "/data/9999"),
        (r#"{"a": "x", "a": 1}"#, "/data/a"),
        (r#"[{"b": {"a": 1, "\u0061": 1}}]"#, "/data/0/b/a"),
        ("1e999", "/data"),
        ("\"\u{ffff}\"", "/data"),
        (r#"{"text": ["\uffff"]}"#, "/data/text/0"),
        (r#""\u0000""#, "/data"),
        (r#""\ud83d""#, "/data"),
    ] {
        assert_eq!(refused(NOTE, data), (Reason::DataInvalid, pointer.parse().unwrap()), "{data}");
    }
    let deep = "[".repeat(200) + &"]".repeat(200);
    assert_eq!(refused(NOTE, &deep).0, Reason::DataInvalid);
    let fits = format!("\"{}\"", "x".repeat(limits::CUSTOM_DATA_BYTES - 2));
    assert!(custom(NOTE, NOON, &fits).is_ok());
}

#[test]
fn custom_event_with_implausible_time_is_quarantined() {
    for (time, reason) in [("1999-12-31T23:59:59Z", Reason::TimeBefore2000), ("2026-01-01T12:05:00.001Z", Reason::TimeAhead)]
    {
        let outcome = custom(NOTE, time, "\"x\"").unwrap();
        assert!(outcome.accepted.is_none());
        let [quarantined] = outcome.quarantined.as_slice() else { panic!("expected one sample") };
        assert_eq!((quarantined.reason, quarantined.pointer.as_str(), quarantined.index), (reason, "/time", 0));
        assert!(quarantined.bytes.contains(time) && quarantined.bytes.contains(NOTE), "{}", quarantined.bytes);
    }
    assert!(custom(NOTE, "2026-01-01T12:05:00Z", "\"x\"").unwrap().accepted.is_some());
}

#[test]
fn custom_event_counts_as_one_sample() {
    let count = |event_type: &str| {
        let text = event(event_type, &json!({"samples": [1, 2, 3]}));
        count_samples(serde_json::from_str(&text).unwrap())
    };
    assert_eq!((count(NOTE), count("roadcast.telemetry.v1"), count("?")), (1, 3, 3));
}
