use proptest::prelude::*;
use roadcast_signals::{Sample, Signals};

use super::*;
use crate::event::Telemetry;

fn event(n: u8, received: i64, samples: &[(i64, f64)]) -> Event {
    let vid = VehicleId::from_random_bits(1);
    let speed = SignalPath::parse("Vehicle.Speed").unwrap();
    let samples: Vec<Sample> = samples
        .iter()
        .map(|(at, value)| Sample {
            at: Timestamp::from_ms(*at),
            signals: Signals::from_iter([(speed.clone(), Value::number(*value).unwrap())]),
        })
        .collect();
    let time = samples.iter().map(|sample| sample.at).min().unwrap();
    Event {
        eid: Eid::for_event(&vid, "urn:test", &n.to_string(), time),
        vid,
        received: Timestamp::from_ms(received),
        body: Body::Telemetry(Telemetry { samples: samples.into() }),
    }
}

fn speed_after(events: &[Event]) -> Option<f64> {
    let mut state = VehicleState::default();
    for event in events {
        state.merge_event(event);
    }
    state.signals.values().next().and_then(|reading| reading.value.as_number())
}

#[test]
fn late_sample_does_not_overwrite_newer_state() {
    assert_eq!(speed_after(&[event(1, 100, &[(50, 1.0)]), event(2, 200, &[(40, 2.0)])]), Some(1.0));
}

#[test]
fn later_of_two_samples_with_equal_time_wins() {
    assert_eq!(speed_after(&[event(1, 100, &[(50, 1.0), (50, 2.0)])]), Some(2.0));
}

#[test]
fn clock_ahead_does_not_block_later_readings() {
    // The vehicle's clock shows 400 s at 100 s. The next reading, with a correct clock, is received at 150 s.
    let ahead = event(1, 100_000, &[(400_000, 1.0)]);
    let correct = event(2, 150_000, &[(150_000, 2.0)]);
    assert_eq!(speed_after(&[ahead, correct]), Some(2.0));
}

#[test]
fn reading_ahead_of_its_receipt_is_older_than_recent_ones() {
    let ahead = event(1, 1_000_000, &[(1_060_000, 111.0)]);
    // Received in the same moment, 0.4 s later, 0.4 s before, and observed nearly 5 minutes before.
    for (received, at) in [(1_000_000, 999_900), (1_000_400, 1_000_300), (999_600, 999_500), (999_900, 700_001)] {
        let correct = event(2, received, &[(at, 22.0)]);
        for events in [[ahead.clone(), correct.clone()], [correct, ahead.clone()]] {
            assert_eq!(speed_after(&events), Some(22.0), "{received} {at}");
        }
    }
    assert_eq!(speed_after(&[ahead, event(2, 1_000_000, &[(699_999, 22.0)])]), Some(111.0), "older than 5 minutes");
}

#[test]
fn vehicle_whose_clock_is_always_ahead_has_its_newest_reading() {
    let events = [event(1, 1_000_000, &[(1_060_000, 1.0), (1_061_000, 2.0)]), event(2, 1_002_000, &[(1_062_000, 3.0)])];
    assert_eq!(speed_after(&events[..1]), Some(2.0));
    assert_eq!(speed_after(&events), Some(3.0));
}

#[test]
fn small_difference_of_clocks_does_not_make_a_reading_old() {
    // The second reading is 50 ms ahead of its receipt.
    assert_eq!(speed_after(&[event(1, 1_000_000, &[(999_950, 1.0)]), event(2, 1_010_000, &[(1_010_050, 2.0)])]), Some(2.0));
    // A stream that states whole seconds.
    assert_eq!(
        speed_after(&[event(1, 1_000_000, &[(1_060_000, 111.0)]), event(2, 1_000_000, &[(1_000_300, 22.0)])]),
        Some(22.0)
    );
}

fn position_event(n: u8, at: i64, latitude: Option<f64>, longitude: Option<f64>) -> Event {
    let mut event = event(n, at + 40, &[(at, 1.0)]);
    let Body::Telemetry(telemetry) = &mut event.body else { panic!("telemetry") };
    let mut samples = telemetry.samples.to_rows();
    for (path, value) in POSITION.iter().zip([latitude, longitude]) {
        let value = value.map(|value| (SignalPath::parse(path).unwrap(), Value::number(value).unwrap()));
        samples[0].signals.extend(value);
    }
    telemetry.samples = samples.into();
    event
}

fn position(state: &VehicleState) -> [Option<f64>; 2] {
    POSITION.map(|path| state.signals.get(path).and_then(|reading| reading.value.as_number()))
}

#[test]
fn coordinate_without_the_other_does_not_change_the_position() {
    let mut state = VehicleState::default();
    state.merge_event(&position_event(1, 100, Some(51.0), None));
    assert_eq!(position(&state), [None, None]);
    state.merge_event(&position_event(2, 200, Some(51.96), Some(7.63)));
    // Its latitude is rejected: out of range.
    state.merge_event(&position_event(3, 300, None, Some(30.2)));
    assert_eq!(position(&state), [Some(51.96), Some(7.63)]);
    assert_eq!(state.signals["Vehicle.Speed"].at.ms(), 300, "the other signals of the sample are merged");
    state.merge_event(&position_event(4, 400, Some(-33.0), Some(151.0)));
    assert_eq!(position(&state), [Some(-33.0), Some(151.0)]);
}

#[test]
fn split_position_of_an_earlier_release_is_removed() {
    let mut whole = VehicleState::default();
    whole.merge_event(&position_event(1, 100, Some(51.0), Some(7.0)));
    let mut newer = VehicleState::default();
    newer.merge_event(&position_event(2, 200, Some(52.0), Some(8.0)));
    let mut split = whole.clone();
    split.signals.insert(SignalPath::parse(POSITION[1]).unwrap(), newer.signals[POSITION[1]].clone());
    split.remove_split_position();
    assert_eq!((position(&split), split.signals.len()), ([None, None], 1));
    let expected = whole.clone();
    whole.remove_split_position();
    assert_eq!(whole, expected);
}

#[test]
fn merging_the_same_event_again_changes_nothing() {
    let mut state = VehicleState::default();
    assert!(state.merge_event(&event(1, 100, &[(50, 1.0)])));
    assert!(!state.merge_event(&event(1, 100, &[(50, 1.0)])));
}

#[test]
fn paths_outside_the_catalogue_do_not_grow_the_state() {
    let mut event = event(1, 100, &[(50, 1.0)]);
    let Body::Telemetry(telemetry) = &mut event.body else { panic!("telemetry") };
    let mut samples = telemetry.samples.to_rows();
    samples[0].signals.insert(SignalPath::parse("Oem.Secret").unwrap(), Value::Bool(true));
    telemetry.samples = samples.into();
    let mut state = VehicleState::default();
    state.merge_event(&event);
    assert_eq!(state.signals.len(), 1);
}

proptest! {
    /// Every order, grouping and repetition of events results in the same state.
    #[test]
    fn state_does_not_depend_on_order_grouping_or_repetition(
        events in prop::collection::vec((0_i64..300, prop::collection::vec((0_i64..300, -50.0_f64..50.0), 1..4)), 1..12),
        order in prop::collection::vec(0_usize..12, 0..24),
        split_at in 0_usize..24,
    ) {
        let events: Vec<Event> =
            events.iter().enumerate().map(|(n, (received, samples))| event(u8::try_from(n).unwrap(), *received, samples)).collect();
        let mut expected = VehicleState::default();
        for event in &events {
            expected.merge_event(event);
        }
        // Shuffled and repeated events, then all events, split into two states that are merged.
        let shuffled: Vec<&Event> = order.iter().filter_map(|n| events.get(*n)).chain(events.iter().rev()).collect();
        let (mut left, mut right) = (VehicleState::default(), VehicleState::default());
        for (n, event) in shuffled.into_iter().enumerate() {
            if n < split_at { left.merge_event(event) } else { right.merge_event(event) };
        }
        left.merge(&right);
        prop_assert_eq!(left, expected);
    }

    /// With clocks that are right, ahead and behind, and in every order of arrival: a reading with a possible time is not
    /// replaced by one that was ahead within 5 minutes of it.
    #[test]
    fn reading_ahead_never_replaces_a_recent_possible_one(
        (sent, shuffled) in prop::collection::vec((1_000_000_i64..1_900_000, -400_000_i64..300_000), 1..12)
            .prop_map(|readings| {
                let event = |(n, (received, lead)): (usize, &(i64, i64))| {
                    event(u8::try_from(n).unwrap(), *received, &[(received + lead, f64::from(u8::try_from(n).unwrap()))])
                };
                readings.iter().enumerate().map(event).collect::<Vec<_>>()
            })
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
    ) {
        let mut state = VehicleState::default();
        for event in &shuffled {
            state.merge_event(event);
        }
        prop_assert_eq!(speed_after(&sent), speed_after(&shuffled));
        let newest = &state.signals["Vehicle.Speed"];
        if newest.at.ms_since(newest.received) > CLOCK_TOLERANCE_MS {
            for event in &sent {
                let at = event.eid.time();
                let is_possible = at.ms_since(event.received) <= 0;
                prop_assert!(!is_possible || newest.received.ms_since(at) > AHEAD_PENALTY_MS, "{:?}", event);
            }
        }
    }

    /// In every order of arrival, latitude and longitude are of one sample.
    #[test]
    fn position_is_of_one_sample_in_every_order(
        (sent, shuffled) in prop::collection::vec((0_i64..5000, 0_u8..4), 1..12)
            .prop_map(|sent| {
                let event = |(n, (at, kind)): (usize, &(i64, u8))| {
                    let n = u8::try_from(n).unwrap();
                    let coordinate = |bit: u8| (kind & bit == 0).then_some(f64::from(n));
                    position_event(n, *at, coordinate(1), coordinate(2))
                };
                sent.iter().enumerate().map(event).collect::<Vec<_>>()
            })
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle())),
        split_at in 0_usize..12,
    ) {
        let merge = |events: &[Event]| {
            let mut state = VehicleState::default();
            for event in events {
                state.merge_event(event);
            }
            state
        };
        let expected = merge(&sent);
        let [latitude, longitude] = position(&expected);
        prop_assert_eq!(latitude, longitude);
        let split_at = split_at.min(shuffled.len());
        let mut parts = merge(&shuffled[split_at..]);
        parts.merge(&merge(&shuffled[..split_at]));
        prop_assert_eq!(parts, expected);
    }
}

#[test]
fn intervals_of_vehicles_start_at_different_times() {
    let starts: BTreeSet<i64> = (1..=100)
        .map(|n| {
            let (mut state, time) = (VehicleState::default(), Timestamp::from_ms(1_800_000_000_000));
            let vid = VehicleId::from_random_bits(n * 0x9E37_79B9_7F4A_7C15_F39C);
            state.advance_watermark(&vid, time);
            assert!(state.may_contain(time) && state.can_stay_in_log(time), "the event that advanced it is in the tail");
            let watermark = state.watermark.unwrap();
            state.advance_watermark(&vid, watermark.plus_ms(TAIL_MS - 1));
            assert_eq!(state.watermark, Some(watermark), "the same interval");
            state.advance_watermark(&vid, watermark.plus_ms(TAIL_MS));
            assert_eq!(state.watermark, Some(watermark.plus_ms(TAIL_MS)), "the next interval");
            watermark.ms()
        })
        .collect();
    assert!(starts.len() > 95, "{starts:?}");
}
