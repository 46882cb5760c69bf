use proptest::prelude::*;
use roadcast_signals::{Sample, Signals};

use super::*;
use crate::event::Telemetry;
use crate::ids::VehicleId;

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
        body: Body::Telemetry(Telemetry { samples }),
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
    // The vehicle's clock shows 400 at 100. The next reading, with a correct clock, is received at 150.
    let ahead = event(1, 100, &[(400, 1.0)]);
    let correct = event(2, 150, &[(150, 2.0)]);
    assert_eq!(speed_after(&[ahead, correct]), Some(2.0));
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
    telemetry.samples[0].signals.insert(SignalPath::parse("Oem.Secret").unwrap(), Value::Bool(true));
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
}
