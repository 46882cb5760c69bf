//! The times of the samples of one event.

use super::*;

/// Validates an event with a speed at each time, in milliseconds after noon, received `delay_ms` after noon.
fn received_after(offsets: &[i64], delay_ms: i64) -> Result<ValidationOutcome, Refusal> {
    let at = |offset: &i64| received().plus_ms(*offset).to_string();
    let samples: Vec<_> = offsets.iter().map(|offset| sample(&at(offset), "Vehicle.Speed", 50)).collect();
    let text = event("roadcast.telemetry.v1", &json!({ "samples": samples }));
    let envelope = Envelope::parse(serde_json::from_str(&text).unwrap()).unwrap();
    let Data::Json(data) = envelope.data else { panic!("expected JSON") };
    validate_event(&envelope, data.into(), &vid(), received().plus_ms(delay_ms), &NoteSchema)
}

#[test]
fn sample_of_a_gps_rollover_is_quarantined_without_the_others() {
    let good = sample(NOON, "Vehicle.Speed", 50);
    let rollover = sample("2006-05-18T11:59:30Z", "Vehicle.Speed", 50);
    check(&json!([rollover, good]), 1, &[(0, Reason::TimeOutOfWindow)]);
    check(&json!([good, rollover]), 1, &[(1, Reason::TimeOutOfWindow)]);
    let outcome = telemetry(&json!([rollover, good])).unwrap();
    assert_eq!(outcome.eid.time(), Timestamp::parse_rfc3339(NOON).unwrap());
    assert_eq!(outcome.quarantined[0].pointer, "/data/samples/0/at");
    assert_eq!(outcome.quarantined[0].bytes, rollover.to_string());
}

#[test]
fn only_usable_samples_determine_the_window() {
    let good = sample("2026-01-01T11:00:00Z", "Vehicle.Speed", 50);
    let unusable = sample(NOON, "Vehicle.Speed", 9999);
    let ahead = sample("2026-01-01T12:05:01Z", "Vehicle.Speed", 50);
    check(
        &json!([good, unusable, ahead, unusable]),
        1,
        &[(1, Reason::NoValidSignal), (2, Reason::TimeAhead), (3, Reason::NoValidSignal)],
    );
}

#[test]
fn signals_of_a_sample_outside_the_window_are_not_counted() {
    let outside = json!({"at": "2025-01-01T00:00:00Z", "signals": {"Vehicle.Speed": 50, "Vehicle.OBD.Speed": "x"}});
    let outcome = telemetry(&json!([outside, sample(NOON, "Vehicle.Speed", 50)])).unwrap();
    assert_eq!((outcome.rejected.len(), outcome.quarantined.len()), (0, 1));
}

#[test]
fn event_without_a_window_of_half_of_its_samples_is_refused() {
    assert!(received_after(&[-900_000, -600_000, -300_000, 0], 0).is_ok());
    assert!(received_after(&[-1_200_000, -600_000, -600_001, 0], 0).is_ok());
    let refusal = received_after(&[-1_200_000, -600_000, 0], 0).unwrap_err();
    assert_eq!((refusal.reason, refusal.pointer.as_str()), (Reason::SamplesTooFarApart, "/data/samples"));
}

#[test]
fn event_at_the_limit_has_the_same_eid_a_moment_later() {
    let (early, late) = (received_after(&[300_050], 0).unwrap(), received_after(&[300_050], 100).unwrap());
    assert_eq!((early.accepted, early.quarantined[0].reason), (None, Reason::TimeAhead));
    assert!(late.accepted.is_some());
    assert_eq!(early.eid, late.eid);
    let diagnostic = |at: &str| validate_json(&event("roadcast.diagnostic.v1", &json!({"at": at, "dtcs": []}))).unwrap();
    let ahead = diagnostic("2026-01-01T12:05:00.001Z");
    assert_eq!((ahead.accepted, ahead.eid.time().ms_since(received())), (None, 300_001));
}

proptest! {
    /// The eid of an event whose samples are within 5 minutes does not depend on the received time.
    #[test]
    fn eid_does_not_depend_on_the_received_time(
        start in prop_oneof![Just(0_i64), Just(300_000), -100..400_000_i64],
        steps in prop::collection::vec(0_i64..60_000, 0..6),
        delays in (-2000_i64..2000, 0_i64..2000),
    ) {
        let offsets: Vec<i64> = [0].iter().chain(&steps).map(|step| start + step).collect();
        let eid = |delay| received_after(&offsets, delay).unwrap().eid;
        prop_assert_eq!(eid(delays.0), eid(delays.1));
    }

    /// Stored samples are within 5 minutes and are at least half of the usable ones; every other is quarantined.
    #[test]
    fn stored_samples_are_within_five_minutes(offsets in prop::collection::vec(-900_000_i64..310_000, 1..12)) {
        let usable = offsets.iter().filter(|offset| **offset <= 300_000).count();
        if let Ok(outcome) = received_after(&offsets, 0) {
            let stored = outcome.accepted.map_or_else(Vec::new, |stored| match stored.event.body {
                Body::Telemetry(telemetry) => telemetry.samples.times().to_vec(),
                _ => Vec::new(),
            });
            prop_assert_eq!(stored.len() + outcome.quarantined.len(), offsets.len());
            prop_assert!(stored.len() * 2 >= usable);
            prop_assert!(outcome.quarantined.is_sorted_by_key(|sample| sample.index));
            if let (Some(first), Some(last)) = (stored.iter().min(), stored.iter().max()) {
                prop_assert!(last.ms_since(*first) <= limits::EVENT_SPAN_MS);
                prop_assert_eq!(outcome.eid.time(), *first);
            }
        }
    }
}
