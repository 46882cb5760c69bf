//! Encoding of the events of a block and the times of its samples.

use roadcast_signals::Timestamp;

use crate::bits::{BitReader, BitWriter};
use crate::first_value::FirstValue;
use crate::sequence::{self, SequenceWriter};
use crate::version::{Hashes, Version};
use crate::{DecodeError, limits};

/// An event of a block. Its samples are the next rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// The id: a ULID with 48 bits of time and 80 bits of hash.
    pub eid: u128,
    /// The time at which the event was received.
    pub received: Timestamp,
    /// The number of samples.
    pub samples: usize,
}

const HASH_BITS: u32 = 80;
const HASH_MASK: u128 = (1 << HASH_BITS) - 1;
const TIME_BITS: u32 = 48;
/// The Golomb order of sample counts: uploads mostly have few samples.
const COUNT_ORDER: u32 = 3;

/// Writes the times of the samples, as steps in the coarsest tick: many clocks have a resolution of one second.
pub(crate) fn write_times(bits: &mut BitWriter, sequences: &mut SequenceWriter, times: &[Timestamp]) {
    let Some((first, rest)) = times.split_first() else { return };
    let first = first.ms();
    let short = FirstValue::within(0, (1 << TIME_BITS) - 1);
    bits.write_bit(!short.can_write(first));
    if short.can_write(first) {
        short.write_first(bits, first);
    } else {
        bits.write(first.cast_unsigned(), 64);
    }
    let mut steps: Vec<i64> = rest.iter().zip(times).map(|(at, previous)| at.ms().wrapping_sub(previous.ms())).collect();
    let tick = TICKS.iter().position(|tick| steps.iter().all(|step| step % tick == 0)).unwrap_or(TICKS.len() - 1);
    bits.write(tick as u64, 2);
    for step in &mut steps {
        *step /= TICKS[tick];
    }
    sequences.write(bits, &steps, FirstValue::Signed, None);
}

/// The ticks of the encoding, in milliseconds.
const TICKS: [i64; 4] = [1000, 100, 10, 1];

pub(crate) fn read_times(bits: &mut BitReader<'_>, version: Version, rows: usize) -> Result<Vec<Timestamp>, DecodeError> {
    if rows == 0 {
        return Ok(Vec::new());
    }
    let short = FirstValue::within(0, (1 << TIME_BITS) - 1);
    let mut at = if bits.read_bit()? { bits.read(64)?.cast_signed() } else { short.read_first(bits)? };
    let tick = TICKS[bits.read(2)? as usize];
    let mut times = Vec::with_capacity(rows);
    times.push(Timestamp::from_ms(at));
    for step in sequence::read(bits, version, rows - 1, FirstValue::Signed, &[])? {
        at = at.wrapping_add(step.wrapping_mul(tick));
        times.push(Timestamp::from_ms(at));
    }
    Ok(times)
}

/// Writes the events. `times` are the times of all samples.
pub(crate) fn write_events(
    bits: &mut BitWriter,
    sequences: &mut SequenceWriter,
    events: &[EventRow],
    times: &[Timestamp],
    hashes: Hashes,
) {
    bits.write_golomb(events.len() as u64, 2);
    let Some(first) = events.first() else { return };
    let is_uniform = events.iter().all(|event| event.samples == first.samples);
    bits.write_bit(!is_uniform);
    for event in if is_uniform { &events[..1] } else { events } {
        bits.write_golomb(event.samples as u64, COUNT_ORDER);
    }

    let has_sample_times = spans(events, times).all(|(event, (earliest, _))| time_of(event.eid) == Some(earliest));
    bits.write_bit(!has_sample_times);
    for event in events {
        if hashes == Hashes::Written {
            let hash = event.eid & HASH_MASK;
            bits.write(hash as u64, 64);
            bits.write((hash >> 64) as u64, HASH_BITS - 64);
        }
        if !has_sample_times {
            bits.write((event.eid >> HASH_BITS) as u64, TIME_BITS);
        }
    }
    let delay = |(event, (_, latest)): (&EventRow, (i64, i64))| event.received.ms().wrapping_sub(latest);
    let delays: Vec<i64> = spans(events, times).map(delay).collect();
    sequences.write(bits, &delays, FirstValue::Signed, None);
}

pub(crate) fn read_events(bits: &mut BitReader<'_>, version: Version, hashes: Hashes) -> Result<EventHeaders, DecodeError> {
    let count = limits::check_decoded(bits.read_golomb(2)?, limits::EVENTS, "events")?;
    if count == 0 {
        return Ok(EventHeaders { events: Vec::new(), samples: 0, has_sample_times: true });
    }
    let is_uniform = !bits.read_bit()?;
    let mut events = Vec::with_capacity(count);
    for _ in 0..if is_uniform { 1 } else { count } {
        let samples = limits::check_decoded(bits.read_golomb(COUNT_ORDER)?, limits::SAMPLES, "samples")?;
        if samples == 0 {
            return Err(DecodeError::Malformed);
        }
        events.push(EventRow { eid: 0, received: Timestamp::from_ms(0), samples });
    }
    if let Some(first) = events.first().filter(|_| is_uniform).cloned() {
        events.resize(count, first);
    }
    let samples = events.iter().map(|event| event.samples).sum::<usize>();
    limits::check_decoded(samples as u64, limits::SAMPLES, "samples")?;

    let has_sample_times = !bits.read_bit()?;
    for event in &mut events {
        let hash = match hashes {
            Hashes::Written => u128::from(bits.read(64)?) | u128::from(bits.read(HASH_BITS - 64)?) << 64,
            Hashes::Omitted => 0,
        };
        let time = if has_sample_times { 0 } else { bits.read(TIME_BITS)? };
        event.eid = u128::from(time) << HASH_BITS | hash;
    }
    let delays = sequence::read(bits, version, count, FirstValue::Signed, &[])?;
    for (event, delay) in events.iter_mut().zip(delays) {
        event.received = Timestamp::from_ms(delay);
    }
    Ok(EventHeaders { events, samples, has_sample_times })
}

/// Partially decoded events. [`with_times`](EventHeaders::with_times) completes them with the times of the samples, which
/// follow in the block.
pub(crate) struct EventHeaders {
    /// The received time of each is relative to its latest sample, and the id has no time if `has_sample_times`.
    events: Vec<EventRow>,
    /// The number of samples of all events.
    pub(crate) samples: usize,
    has_sample_times: bool,
}

impl EventHeaders {
    pub(crate) fn with_times(self, times: &[Timestamp]) -> Result<Vec<EventRow>, DecodeError> {
        let Self { mut events, has_sample_times, .. } = self;
        let mut remaining = times;
        for event in &mut events {
            let (own, rest) = remaining.split_at_checked(event.samples).ok_or(DecodeError::Malformed)?;
            remaining = rest;
            let (earliest, latest) = span(own);
            if has_sample_times {
                let time = u64::try_from(earliest).ok().filter(|ms| ms >> TIME_BITS == 0).ok_or(DecodeError::Malformed)?;
                event.eid |= u128::from(time) << HASH_BITS;
            }
            event.received = Timestamp::from_ms(latest.wrapping_add(event.received.ms()));
        }
        Ok(events)
    }
}

impl Hashes {
    /// Completes the ids of events with the hashes, if the block does not have them.
    pub(crate) fn complete(self, events: &mut [EventRow], hashes: &[u128]) -> Result<(), DecodeError> {
        if self == Self::Written {
            return Ok(());
        }
        if events.len() != hashes.len() {
            return Err(DecodeError::Hashes { events: events.len(), hashes: hashes.len() });
        }
        for (event, hash) in events.iter_mut().zip(hashes) {
            event.eid |= hash & HASH_MASK;
        }
        Ok(())
    }
}

fn time_of(eid: u128) -> Option<i64> {
    i64::try_from(eid >> HASH_BITS).ok()
}

/// Returns the events, each with the earliest and the latest of its sample times.
fn spans<'e>(events: &'e [EventRow], times: &[Timestamp]) -> impl Iterator<Item = (&'e EventRow, (i64, i64))> {
    let mut remaining = times;
    events.iter().map(move |event| {
        let (own, rest) = remaining.split_at(event.samples.min(remaining.len()));
        remaining = rest;
        (event, span(own))
    })
}

/// Returns the earliest and the latest time.
fn span(times: &[Timestamp]) -> (i64, i64) {
    let ms = || times.iter().map(|at| at.ms());
    (ms().min().unwrap_or_default(), ms().max().unwrap_or_default())
}
