#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use roadcast_domain::Timestamp;
use roadcast_domain::event::StoredEvent;
use roadcast_testbed::fixtures::{diagnosis, drive};

use crate::segment::{SPAN_MS, Segment, WRITE_UNIT_BYTES, bucket_of, plan};

/// Checks what a plan must be, and answers its segments' sizes.
fn check_plan(events: &[StoredEvent]) -> Vec<(usize, usize)> {
    let plan = plan(events);
    let mut placed = vec![0; events.len()];
    let mut sizes = Vec::new();
    for (segment, places) in &plan.segments {
        let stored = segment.events().unwrap();
        assert!(stored.is_sorted_by_key(|stored| stored.event.eid));
        let times: Vec<Timestamp> = stored.iter().map(|stored| stored.event.eid.time()).collect();
        let (first, last) = (times[0], *times.last().unwrap());
        assert!(last.ms_since(first) <= SPAN_MS && bucket_of(first) == bucket_of(last), "no segment crosses a bucket");
        assert!(stored.len() == 1 || segment.item_bytes() <= WRITE_UNIT_BYTES, "several events fit into one write unit");
        assert!(segment.key.starts_with(&stored[0].event.eid.to_string()));
        sizes.push((stored.len(), segment.item_bytes()));
        for place in places {
            assert!(stored.iter().any(|stored| stored.event.eid == events[*place].event.eid));
            placed[*place] += 1;
        }
    }
    plan.single.iter().flat_map(|(_, places)| places).for_each(|place| placed[*place] += 1);
    assert!(placed.iter().all(|times| *times == 1), "every event is planned once");
    sizes
}

#[test]
fn a_segment_is_filled_to_a_write_unit_and_not_beyond() {
    let events: Vec<StoredEvent> = (0..12).map(|n| drive(1, n, n * 10, 10)).collect();
    let sizes = check_plan(&events);
    // Twelve uploads of one bucket: the first segments are as full as they can be.
    assert!(sizes.len() >= 2 && sizes[0].1 > WRITE_UNIT_BYTES * 3 / 4, "{sizes:?}");
    let one_more: Vec<&StoredEvent> = events[..=sizes[0].0].iter().collect();
    let larger = Segment::of(&one_more).unwrap();
    assert!(larger.item_bytes() > WRITE_UNIT_BYTES, "one event more would not have fitted");
}

#[test]
fn ten_minutes_at_a_sample_a_second_take_a_twentieth_of_the_read_units_of_an_item_a_sample() {
    let events: Vec<StoredEvent> = (0..60).map(|n| drive(1, n, n * 10, 10)).collect();
    // As the stream's batches bring them, a minute at a time.
    let minutes = events.chunks(6).map(plan);
    let bytes: usize = minutes.flat_map(|plan| plan.segments).map(|(segment, _)| segment.item_bytes()).sum();
    // A query adds up what it goes over, and counts started 4 KB.
    let (in_segments, item_a_sample) = (bytes.div_ceil(4096), (600 * 620_usize).div_ceil(4096));
    assert!(in_segments * 20 <= item_a_sample, "{in_segments} and {item_a_sample} read units");
}

#[test]
fn diagnoses_and_events_too_large_for_any_block_are_stored_one_by_one() {
    let events = [diagnosis(1, 5), drive(1, 7, 0, 10)];
    let planned = plan(&events);
    assert_eq!(planned.single.iter().map(|(stored, _)| *stored).collect::<Vec<_>>(), [&events[0]]);
    assert_eq!(planned.segments.len(), 1);
}

#[test]
fn of_an_event_given_twice_the_one_received_first_is_stored() {
    let first = drive(1, 7, 0, 10);
    let mut later = first.clone();
    later.event.received = later.event.received.plus_ms(5);
    let events = [later, first.clone()];
    let plan = plan(&events);
    let [(segment, places)] = plan.segments.as_slice() else { panic!("one segment") };
    assert_eq!(segment.events().unwrap(), [first]);
    assert_eq!(places.len(), 2);
}

proptest! {
    #[test]
    fn any_events_are_planned_once_each_and_read_back(
        events in prop::collection::vec((0_u128..3, 0_i64..30, -400_i64..400, 1_i64..30, any::<bool>()), 0..40),
    ) {
        let events: Vec<StoredEvent> = events
            .into_iter()
            .map(|(vid, n, start, samples, is_diagnosis)| if is_diagnosis { diagnosis(vid, start) } else { drive(vid, n, start, samples) })
            .collect();
        check_plan(&events);
    }
}
