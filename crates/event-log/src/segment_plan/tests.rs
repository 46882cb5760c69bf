#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use roadcast_blocks::Block;
use roadcast_domain::Timestamp;
use roadcast_domain::ids::Eid;
use roadcast_testbed::fixtures::{diagnostic_event, driving_event};

use super::*;

/// Checks the invariants of a plan and returns the number of events and the item bytes of each segment.
fn check_plan(events: &[StoredEvent]) -> Vec<(usize, usize)> {
    let plan = plan(events);
    let mut planned = vec![0; events.len()];
    let mut sizes = Vec::new();
    for (segment, indices) in &plan.segments {
        let stored = segment.events().unwrap();
        assert!(stored.is_sorted_by_key(|stored| stored.event.eid));
        let times: Vec<Timestamp> = stored.iter().map(|stored| stored.event.eid.time()).collect();
        let (first, last) = (times[0], *times.last().unwrap());
        assert!(last.ms_since(first) <= SPAN_MS && bucket_start(first) == bucket_start(last), "no segment crosses a bucket");
        assert!(stored.len() == 1 || segment.item_bytes() <= WRITE_UNIT_BYTES, "several events fit into one write unit");
        assert!(segment.key.starts_with(&stored[0].event.eid.to_string()));
        sizes.push((stored.len(), segment.item_bytes()));
        for index in indices {
            assert!(stored.iter().any(|stored| stored.event.eid == events[*index].event.eid));
            planned[*index] += 1;
        }
    }
    plan.singles.iter().flat_map(|(_, indices)| indices).for_each(|index| planned[*index] += 1);
    assert!(planned.iter().all(|times| *times == 1), "every event is planned once");
    sizes
}

#[test]
fn segment_fills_one_write_unit_and_does_not_exceed_it() {
    let events: Vec<StoredEvent> = (0..24).map(|n| driving_event(1, n, n * 5, 10)).collect();
    let sizes = check_plan(&events);
    // 24 uploads in one bucket need several segments, so the first one must be filled up.
    assert!(sizes.len() >= 2 && sizes[0].1 > WRITE_UNIT_BYTES * 3 / 4, "{sizes:?}");
    let one_more: Vec<&StoredEvent> = events[..=sizes[0].0].iter().collect();
    let larger = Segment::new(&one_more).unwrap();
    assert!(larger.item_bytes() > WRITE_UNIT_BYTES, "one more event must not fit");
}

#[test]
fn segment_has_hashes_only_if_they_do_not_follow_from_origins() {
    let events: Vec<StoredEvent> = (0..6).map(|n| driving_event(1, n, n * 10, 10)).collect();
    let mut with_another_id = events.clone();
    with_another_id[3].event.eid = Eid::from_time_and_salt(events[3].event.eid.time(), 17);
    for (events, has_hashes) in [(events, false), (with_another_id, true)] {
        let segment = Segment::new(&events.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(Block::omits_hashes(&segment.block), !has_hashes);
        assert_eq!(segment.hashes().unwrap().len(), if has_hashes { 0 } else { events.len() });
        let eids: Vec<Eid> = events.iter().map(|stored| stored.event.eid).collect();
        assert_eq!(segment.eids().unwrap(), eids);
        assert_eq!(segment.events().unwrap(), events);
    }
}

#[test]
fn segments_take_a_twentieth_of_the_read_units_of_item_per_sample() {
    let events: Vec<StoredEvent> = (0..60).map(|n| driving_event(1, n, n * 10, 10)).collect();
    // Ten minutes at one sample per second, in batches of one minute as from the stream.
    let minutes = events.chunks(6).map(plan);
    let bytes: usize = minutes.flat_map(|plan| plan.segments).map(|(segment, _)| segment.item_bytes()).sum();
    // A query is billed for the total size of the items it reads, in units of 4 KB, rounded up.
    let (in_segments, item_per_sample) = (bytes.div_ceil(4096), (600 * 620_usize).div_ceil(4096));
    assert!(in_segments * 20 <= item_per_sample, "{in_segments} and {item_per_sample} read units");
}

#[test]
fn diagnostic_events_are_stored_as_single_items() {
    let events = [diagnostic_event(1, 5), driving_event(1, 7, 0, 10)];
    let plan = plan(&events);
    assert_eq!(plan.singles.iter().map(|(stored, _)| *stored).collect::<Vec<_>>(), [&events[0]]);
    assert_eq!(plan.segments.len(), 1);
}

#[test]
fn of_duplicate_events_the_first_received_is_stored() {
    let first = driving_event(1, 7, 0, 10);
    let mut later = first.clone();
    later.event.received = later.event.received.plus_ms(5);
    let events = [later, first.clone()];
    let plan = plan(&events);
    let [(segment, indices)] = plan.segments.as_slice() else { panic!("expected one segment") };
    assert_eq!(segment.events().unwrap(), [first]);
    assert_eq!(indices.len(), 2);
}

proptest! {
    #[test]
    fn every_event_is_planned_once_and_decodes(
        events in prop::collection::vec((0_u128..3, 0_i64..30, -400_i64..400, 1_i64..30, any::<bool>()), 0..40),
    ) {
        let events: Vec<StoredEvent> = events
            .into_iter()
            .map(|(vid, n, start, samples, is_diagnostic)| {
                if is_diagnostic {
                    diagnostic_event(vid, start)
                } else {
                    driving_event(vid, n, start, samples)
                }
            })
            .collect();
        check_plan(&events);
    }
}
