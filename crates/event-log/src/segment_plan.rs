//! Planning of writes: which events share a segment, and which are stored as single items.

use roadcast_blocks::estimated_bits;
use roadcast_domain::byte_budget::ByteBudget;
use roadcast_domain::event::{Body, Event, StoredEvent};

use crate::segment::{ITEM_OVERHEAD_BYTES, MEMORY_BYTES, SPAN_MS, Segment, WRITE_UNIT_BYTES, bucket_start};

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
    let key = |index: &usize| (&events[*index].event.vid, events[*index].event.eid);
    let mut order: Vec<usize> = (0..events.len()).collect();
    // Of duplicates, the one received first is stored, as in the log.
    order.sort_by(|a, b| key(a).cmp(&key(b)).then(events[*a].event.received.cmp(&events[*b].event.received)));
    let mut plan = SegmentPlan::default();
    let mut telemetry: Vec<IndexedEvent<'_>> = Vec::new();
    for same in order.chunk_by(|a, b| key(a) == key(b)) {
        let stored = &events[same[0]];
        match stored.event.body {
            Body::Telemetry(_) => telemetry.push((stored, same.to_vec())),
            Body::Diagnostic(_) | Body::Alert(_) | Body::Custom(_) => plan.singles.push((stored, same.to_vec())),
        }
    }
    let mut remaining = telemetry.as_slice();
    while let Some((first, _)) = remaining.first() {
        let mut memory = ByteBudget::new(MEMORY_BYTES);
        let can_share = |(next, _): &&IndexedEvent<'_>| {
            can_share_segment(&first.event, &next.event) && memory.try_reserve(next.memory_bytes()).is_ok()
        };
        // The first event always has a segment.
        let eligible = remaining.iter().take_while(can_share).count().max(1);
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
///
/// The number is first estimated, so that most segments are encoded once. Another number is tried if the segment turns out too
/// large, or so small that one more event may fit.
fn fill_segment(events: &[IndexedEvent<'_>]) -> (usize, Option<Segment>) {
    let segment_of = |count: usize| Segment::new(&events[..count].iter().map(|(stored, _)| *stored).collect::<Vec<_>>());
    let bytes_of = |segment: &Option<Segment>| segment.as_ref().map_or(usize::MAX, Segment::item_bytes);
    let estimates = estimated_bytes(events);
    // What a segment of `count` events takes, if the estimates are as far off as for a segment that was encoded.
    let scaled =
        |count: usize, actual: (usize, usize)| estimates[count - 1].saturating_mul(actual.1) / estimates[actual.0 - 1];
    let fitting_by = |actual: (usize, usize)| {
        (1..=events.len()).take_while(|count| scaled(*count, actual) <= WRITE_UNIT_BYTES).last().unwrap_or(1)
    };
    let (mut fitting, mut too_many) = (None, events.len() + 1);
    let mut next = fitting_by((1, estimates[0]));
    loop {
        let segment = segment_of(next);
        let bytes = bytes_of(&segment);
        if bytes <= WRITE_UNIT_BYTES || next == 1 {
            let is_last = next + 1 == too_many || bytes > WRITE_UNIT_BYTES;
            fitting = Some((next, segment));
            if is_last || scaled(next + 1, (next, bytes)) > WRITE_UNIT_BYTES + WRITE_UNIT_BYTES / SLACK {
                break;
            }
            next = fitting_by((next, bytes)).clamp(next + 1, too_many - 1);
        } else {
            too_many = next;
            let lowest = fitting.as_ref().map_or(0, |(count, _)| *count) + 1;
            if lowest == too_many {
                break;
            }
            let better = if bytes == usize::MAX { 1 } else { fitting_by((next, bytes)) };
            next = better.clamp(lowest, too_many - 1);
        }
    }
    fitting.unwrap_or((1, None))
}

/// A segment is tried with one more event unless it would exceed the write unit by more than this part of it.
const SLACK: usize = 32;

/// Bytes of an event in a segment besides its samples: its received time, and its origin.
const EVENT_BYTES: usize = 2 + 8;

/// Estimates the item bytes of segments of the first event, the first two, and so on.
fn estimated_bytes(events: &[IndexedEvent<'_>]) -> Vec<usize> {
    let mut bytes = ITEM_OVERHEAD_BYTES;
    let mut columns = 0;
    let mut estimate = |(stored, _): &IndexedEvent<'_>| {
        let Body::Telemetry(telemetry) = &stored.event.body else { return bytes };
        let samples = &telemetry.samples;
        if samples.columns().len() > columns {
            // The first value of a column, its form and its signal.
            bytes += (samples.columns().len() - columns) * 4;
            columns = samples.columns().len();
        }
        bytes += EVENT_BYTES + estimated_bits(samples) / 8;
        bytes
    };
    events.iter().map(&mut estimate).collect()
}

/// Returns whether `event` may be in a segment that starts with `first`: same vehicle, same bucket, within [`SPAN_MS`].
fn can_share_segment(first: &Event, event: &Event) -> bool {
    let (start, time) = (first.eid.time(), event.eid.time());
    first.vid == event.vid && bucket_start(start) == bucket_start(time) && time.ms_since(start) <= SPAN_MS
}

#[cfg(test)]
mod tests;
