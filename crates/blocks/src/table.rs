//! Encoding of the events of a block and the times of its samples.

use roadcast_signals::Timestamp;

use crate::bits::{BitReader, BitWriter};
use crate::sequence::{self, FirstValue};
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
const TIME_BITS: u32 = 48;
/// The Golomb order of sample counts: uploads mostly have few samples.
const COUNT_ORDER: u32 = 3;

/// Writes the times of the samples, as steps in the coarsest tick: many clocks have a resolution of one second.
pub(crate) fn write_times(bits: &mut BitWriter, times: &[Timestamp]) {
    let Some((first, rest)) = times.split_first() else { return };
    let first = first.ms();
    let short = FirstValue::within(0, (1 << TIME_BITS) - 1);
    bits.write_bit(!short.can_write(first));
    if short.can_write(first) {
        short.write_first(bits, first);
    } else {
        bits.write(first.cast_unsigned(), 64);
    }
    let steps: Vec<i64> = rest.iter().zip(times).map(|(at, previous)| at.ms().wrapping_sub(previous.ms())).collect();
    let tick = TICKS.iter().position(|tick| steps.iter().all(|step| step % tick == 0)).unwrap_or(TICKS.len() - 1);
    bits.write(tick as u64, 2);
    let steps: Vec<i64> = steps.iter().map(|step| step / TICKS[tick]).collect();
    sequence::write(bits, &steps, FirstValue::Signed);
}

/// The ticks of the encoding, in milliseconds.
const TICKS: [i64; 4] = [1000, 100, 10, 1];

pub(crate) fn read_times(bits: &mut BitReader<'_>, rows: usize) -> Result<Vec<Timestamp>, DecodeError> {
    if rows == 0 {
        return Ok(Vec::new());
    }
    let short = FirstValue::within(0, (1 << TIME_BITS) - 1);
    let mut at = if bits.read_bit()? { bits.read(64)?.cast_signed() } else { short.read_first(bits)? };
    let tick = TICKS[bits.read(2)? as usize];
    let mut times = Vec::with_capacity(rows);
    times.push(Timestamp::from_ms(at));
    for step in sequence::read(bits, rows - 1, FirstValue::Signed)? {
        at = at.wrapping_add(step.wrapping_mul(tick));
        times.push(Timestamp::from_ms(at));
    }
    Ok(times)
}

/// Writes the events. `times` are the times of all samples.
pub(crate) fn write_events(bits: &mut BitWriter, events: &[EventRow], times: &[Timestamp]) {
    bits.write_golomb(events.len() as u64, 2);
    let Some(first) = events.first() else { return };
    let is_uniform = events.iter().all(|event| event.samples == first.samples);
    bits.write_bit(!is_uniform);
    for event in if is_uniform { &events[..1] } else { events } {
        bits.write_golomb(event.samples as u64, COUNT_ORDER);
    }

    let spans = spans(events, times);
    let has_sample_times = events.iter().zip(&spans).all(|(event, (earliest, _))| time_of(event.eid) == Some(*earliest));
    bits.write_bit(!has_sample_times);
    for event in events {
        let hash = event.eid & ((1 << HASH_BITS) - 1);
        bits.write(hash as u64, 64);
        bits.write((hash >> 64) as u64, HASH_BITS - 64);
        if !has_sample_times {
            bits.write((event.eid >> HASH_BITS) as u64, TIME_BITS);
        }
    }
    let delays: Vec<i64> =
        events.iter().zip(&spans).map(|(event, (_, latest))| event.received.ms().wrapping_sub(*latest)).collect();
    sequence::write(bits, &delays, FirstValue::Signed);
}

pub(crate) fn read_events(bits: &mut BitReader<'_>) -> Result<EventHeaders, DecodeError> {
    let count = limits::check_decoded(bits.read_golomb(2)?, limits::EVENTS, "events")?;
    let mut samples = Vec::new();
    if count > 0 {
        let is_uniform = !bits.read_bit()?;
        for _ in 0..if is_uniform { 1 } else { count } {
            samples.push(limits::check_decoded(bits.read_golomb(COUNT_ORDER)?, limits::SAMPLES, "samples")?);
        }
        samples.resize(count, samples[0]);
    }
    if samples.contains(&0) {
        return Err(DecodeError::Malformed);
    }
    let rows = samples.iter().sum::<usize>();
    limits::check_decoded(rows as u64, limits::SAMPLES, "samples")?;
    let mut eids = Vec::with_capacity(count);
    if count > 0 {
        let has_sample_times = !bits.read_bit()?;
        for _ in 0..count {
            let hash = u128::from(bits.read(64)?) | u128::from(bits.read(HASH_BITS - 64)?) << 64;
            let time = if has_sample_times { None } else { Some(bits.read(TIME_BITS)?) };
            eids.push((time, hash));
        }
    }
    let delays = sequence::read(bits, count, FirstValue::Signed)?;
    Ok(EventHeaders { samples, eids, delays })
}

/// Partially decoded events. [`with_times`](EventHeaders::with_times) completes them with the times of the samples, which
/// follow in the block.
pub(crate) struct EventHeaders {
    pub(crate) samples: Vec<usize>,
    eids: Vec<(Option<u64>, u128)>,
    delays: Vec<i64>,
}

impl EventHeaders {
    pub(crate) fn with_times(self, times: &[Timestamp]) -> Result<Vec<EventRow>, DecodeError> {
        let mut remaining = times;
        let mut events = Vec::with_capacity(self.samples.len());
        for ((samples, (time, hash)), delay) in self.samples.into_iter().zip(self.eids).zip(self.delays) {
            let (own, rest) = remaining.split_at_checked(samples).ok_or(DecodeError::Malformed)?;
            remaining = rest;
            let (earliest, latest) = span(own);
            let time = match time {
                Some(time) => time,
                None => u64::try_from(earliest).ok().filter(|ms| ms >> TIME_BITS == 0).ok_or(DecodeError::Malformed)?,
            };
            let received = Timestamp::from_ms(latest.wrapping_add(delay));
            events.push(EventRow { eid: u128::from(time) << HASH_BITS | hash, received, samples });
        }
        Ok(events)
    }
}

fn time_of(eid: u128) -> Option<i64> {
    i64::try_from(eid >> HASH_BITS).ok()
}

/// Returns the earliest and the latest sample time of each event.
fn spans(events: &[EventRow], times: &[Timestamp]) -> Vec<(i64, i64)> {
    let mut remaining = times;
    let mut spans = Vec::with_capacity(events.len());
    for event in events {
        let (own, rest) = remaining.split_at(event.samples.min(remaining.len()));
        spans.push(span(own));
        remaining = rest;
    }
    spans
}

/// Returns the earliest and the latest time.
fn span(times: &[Timestamp]) -> (i64, i64) {
    let ms = || times.iter().map(|at| at.ms());
    (ms().min().unwrap_or_default(), ms().max().unwrap_or_default())
}
