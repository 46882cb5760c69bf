//! Planning of writes: which events share a segment, and which are stored as single items.

use std::collections::BTreeMap;

use roadcast_domain::event::{Body, Event, StoredEvent};
use roadcast_domain::ids::{Eid, VehicleId};

use crate::segment::{ITEM_OVERHEAD_BYTES, SPAN_MS, Segment, WRITE_UNIT_BYTES, bucket_start};

/// An event and its indices in the input; several indices if the input contains the event several times.
type IndexedEvent<'e> = (&'e StoredEvent, Vec<usize>);

/// The items to write for a list of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentPlan<'e> {
    /// The segments, each with the indices of its events in the input.
    pub segments: Vec<(Segment, Vec<usize>)>,
    /// Events stored as single items: diagnostic events, custom events, and telemetry that exceeds the limits of a block.
    pub singles: Vec<(&'e StoredEvent, Vec<usize>)>,
}

/// Plans how to store events of any vehicles, in any order. An event that occurs several times in the input is planned once.
pub fn plan(events: &[StoredEvent]) -> SegmentPlan<'_> {
    let mut distinct: BTreeMap<(&VehicleId, Eid), IndexedEvent<'_>> = BTreeMap::new();
    for (index, stored) in events.iter().enumerate() {
        let entry = distinct.entry((&stored.event.vid, stored.event.eid)).or_insert((stored, Vec::new()));
        // Of duplicates, the one received first is stored, as in the log.
        if stored.event.received < entry.0.event.received {
            entry.0 = stored;
        }
        entry.1.push(index);
    }
    let mut plan = SegmentPlan::default();
    let mut telemetry: Vec<IndexedEvent<'_>> = Vec::new();
    for (stored, indices) in distinct.into_values() {
        match stored.event.body {
            Body::Telemetry(_) => telemetry.push((stored, indices)),
            Body::Diagnostic(_) | Body::Custom(_) => plan.singles.push((stored, indices)),
        }
    }
    let mut remaining = telemetry.as_slice();
    while let Some((first, _)) = remaining.first() {
        let eligible = remaining.iter().take_while(|(next, _)| can_share_segment(&first.event, &next.event)).count();
        let (count, segment) = fill_segment(&remaining[..eligible]);
        let (planned, later) = remaining.split_at(count);
        match segment {
            Some(segment) => {
                plan.segments.push((segment, planned.iter().flat_map(|(_, indices)| indices.clone()).collect()));
            }
            None => plan.singles.extend(planned.iter().cloned()),
        }
        remaining = later;
    }
    plan
}

/// Creates a segment of the first events, as many as fit into one write unit, but at least one. Returns their number and the
/// segment, or `None` if no block can hold the first event.
fn fill_segment(events: &[IndexedEvent<'_>]) -> (usize, Option<Segment>) {
    let segment_of = |count: usize| Segment::new(&events[..count].iter().map(|(stored, _)| *stored).collect::<Vec<_>>());
    let fits = |segment: &Option<Segment>| segment.as_ref().is_some_and(|s| s.item_bytes() <= WRITE_UNIT_BYTES);
    let (mut fitting, mut best) = (1, segment_of(1));
    if !fits(&best) {
        return (1, best);
    }
    // The first guess assumes events of equal size; the search continues from there to the last event that fits.
    let spare = best.as_ref().map_or(0, |segment| WRITE_UNIT_BYTES - ITEM_OVERHEAD_BYTES - segment.origins.len());
    let bytes_per_event = best.as_ref().map_or(1, |segment| segment.block.len().max(1));
    let mut too_many = events.len() + 1;
    let mut next = (spare / bytes_per_event).clamp(2, events.len().max(2));
    while fitting + 1 < too_many {
        let candidate = segment_of(next);
        if fits(&candidate) {
            (fitting, best) = (next, candidate);
            // Later events take fewer bytes than the first, so more events may fit.
            next = (fitting + fitting.div_ceil(4)).min(too_many - 1);
        } else {
            too_many = next;
            next = fitting + (too_many - fitting) / 2;
        }
        next = next.max(fitting + 1);
    }
    (fitting, best)
}

/// Returns whether `event` may be in a segment that starts with `first`: same vehicle, same bucket, within [`SPAN_MS`].
fn can_share_segment(first: &Event, event: &Event) -> bool {
    let (start, time) = (first.eid.time(), event.eid.time());
    first.vid == event.vid && bucket_start(start) == bucket_start(time) && time.ms_since(start) <= SPAN_MS
}

#[cfg(test)]
mod tests;
