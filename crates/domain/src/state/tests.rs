use proptest::prelude::*;
use roadcast_signals::{Sample, Signals};

use super::*;
use crate::event::Telemetry;
use crate::ids::VehicleId;

fn event(n: u8, received: i64, samples: &[(i64, f64)]) -> Event {
    let vid = VehicleId::from_random(1);
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
        eid: Eid::of(&vid, "urn:test", &n.to_string(), time),
        vid,
        received: Timestamp::from_ms(received),
        body: Body::Telemetry(Telemetry { samples }),
    }
}

fn speed_after(events: &[Event]) -> Option<f64> {
    let mut state = VehicleState::default();
    for event in events {
        state.observe(event);
    }
    state.signals.values().next().and_then(|known| known.value.as_number())
}

#[test]
fn late_data_never_overwrites_newer() {
    assert_eq!(speed_after(&[event(1, 100, &[(50, 1.0)]), event(2, 200, &[(40, 2.0)])]), Some(1.0));
}

#[test]
fn of_two_samples_of_one_event_at_one_time_the_later_in_the_event_is_the_newest() {
    assert_eq!(speed_after(&[event(1, 100, &[(50, 1.0), (50, 2.0)])]), Some(2.0));
}

#[test]
fn a_clock_ahead_of_ours_does_not_keep_out_what_comes_after_it() {
    // Its clock says 400 when ours says 100; the next reading, by a true clock, comes at 150.
    let ahead = event(1, 100, &[(400, 1.0)]);
    let true_clock = event(2, 150, &[(150, 2.0)]);
    assert_eq!(speed_after(&[ahead, true_clock]), Some(2.0));
}

#[test]
fn observing_the_same_event_again_changes_nothing() {
    let mut state = VehicleState::default();
    assert!(state.observe(&event(1, 100, &[(50, 1.0)])));
    assert!(!state.observe(&event(1, 100, &[(50, 1.0)])));
}

#[test]
fn paths_outside_the_catalogue_do_not_grow_the_state() {
    let mut event = event(1, 100, &[(50, 1.0)]);
    let Body::Telemetry(telemetry) = &mut event.body else { panic!("telemetry") };
    telemetry.samples[0].signals.insert(SignalPath::parse("Oem.Secret").unwrap(), Value::Bool(true));
    let mut state = VehicleState::default();
    state.observe(&event);
    assert_eq!(state.signals.len(), 1);
}

proptest! {
    /// Any order, any grouping, any repetition: one state.
    #[test]
    fn state_does_not_depend_on_order_grouping_or_repetition(
        events in prop::collection::vec((0_i64..300, prop::collection::vec((0_i64..300, -50.0_f64..50.0), 1..4)), 1..12),
        order in prop::collection::vec(0_usize..12, 0..24),
        cut in 0_usize..24,
    ) {
        let events: Vec<Event> =
            events.iter().enumerate().map(|(n, (received, samples))| event(u8::try_from(n).unwrap(), *received, samples)).collect();
        let mut plain = VehicleState::default();
        for event in &events {
            plain.observe(event);
        }
        // Shuffled, with repeats, then whatever is missing, split over two states that are merged.
        let shuffled: Vec<&Event> = order.iter().filter_map(|n| events.get(*n)).chain(events.iter().rev()).collect();
        let (mut left, mut right) = (VehicleState::default(), VehicleState::default());
        for (n, event) in shuffled.into_iter().enumerate() {
            if n < cut { left.observe(event) } else { right.observe(event) };
        }
        left.merge(&right);
        prop_assert_eq!(left, plain);
    }
}
