//! The events of a block and the times of its samples.

use roadcast_signals::Timestamp;

use crate::bits::{BitReader, BitWriter};
use crate::ints::{self, First};
use crate::{DecodeError, limits};

/// An event of a block: its samples are the next rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its id: a ULID, of 48 bits of time and 80 bits of hash.
    pub eid: u128,
    /// When it was received.
    pub received: Timestamp,
    /// How many samples it has.
    pub samples: usize,
}

const HASH_BITS: u32 = 80;
const TIME_BITS: u32 = 48;
/// Uploads of the same vehicle mostly hold as many samples, and not many.
const COUNT_ORDER: u32 = 3;

/// Writes the times of the samples. Many clocks tick in whole seconds.
pub(crate) fn put_times(bits: &mut BitWriter, times: &[i64]) {
    let Some((first, rest)) = times.split_first() else { return };
    let usual = First::within(0, (1 << TIME_BITS) - 1);
    bits.put_bit(!usual.holds(*first));
    if usual.holds(*first) {
        usual.put_first(bits, *first);
    } else {
        bits.put(first.cast_unsigned(), 64);
    }
    let steps: Vec<i64> = rest.iter().zip(times).map(|(at, before)| at.wrapping_sub(*before)).collect();
    let tick = TICKS.iter().position(|tick| steps.iter().all(|step| step % tick == 0)).unwrap_or(TICKS.len() - 1);
    bits.put(tick as u64, 2);
    let steps: Vec<i64> = steps.iter().map(|step| step / TICKS[tick]).collect();
    ints::put(bits, &steps, First::Signed);
}

/// Milliseconds that a clock may step by.
const TICKS: [i64; 4] = [1000, 100, 10, 1];

pub(crate) fn take_times(bits: &mut BitReader<'_>, rows: usize) -> Result<Vec<i64>, DecodeError> {
    if rows == 0 {
        return Ok(Vec::new());
    }
    let usual = First::within(0, (1 << TIME_BITS) - 1);
    let mut at = if bits.take_bit()? { bits.take(64)?.cast_signed() } else { usual.take_first(bits)? };
    let tick = TICKS[bits.take(2)? as usize];
    let mut times = Vec::with_capacity(rows);
    times.push(at);
    for step in ints::take(bits, rows - 1, First::Signed)? {
        at = at.wrapping_add(step.wrapping_mul(tick));
        times.push(at);
    }
    Ok(times)
}

/// Writes the events, whose samples have these times.
pub(crate) fn put_events(bits: &mut BitWriter, events: &[EventRow], times: &[i64]) {
    bits.put_golomb(events.len() as u64, 2);
    let Some(first) = events.first() else { return };
    let alike = events.iter().all(|event| event.samples == first.samples);
    bits.put_bit(!alike);
    for event in if alike { &events[..1] } else { events } {
        bits.put_golomb(event.samples as u64, COUNT_ORDER);
    }

    let spans = spans(events, times);
    let usual = events.iter().zip(&spans).all(|(event, (earliest, _))| time_of(event.eid) == Some(*earliest));
    bits.put_bit(!usual);
    for event in events {
        let hash = event.eid & ((1 << HASH_BITS) - 1);
        bits.put(hash as u64, 64);
        bits.put((hash >> 64) as u64, HASH_BITS - 64);
        if !usual {
            bits.put((event.eid >> HASH_BITS) as u64, TIME_BITS);
        }
    }
    let delays: Vec<i64> =
        events.iter().zip(&spans).map(|(event, (_, latest))| event.received.ms().wrapping_sub(*latest)).collect();
    ints::put(bits, &delays, First::Signed);
}

pub(crate) fn take_events(bits: &mut BitReader<'_>) -> Result<TakenEvents, DecodeError> {
    let count = limits::to_decode(bits.take_golomb(2)?, limits::EVENTS, "events")?;
    let mut samples = Vec::new();
    if count > 0 {
        let alike = !bits.take_bit()?;
        for _ in 0..if alike { 1 } else { count } {
            samples.push(limits::to_decode(bits.take_golomb(COUNT_ORDER)?, limits::SAMPLES, "samples")?);
        }
        samples.resize(count, samples[0]);
    }
    if samples.contains(&0) {
        return Err(DecodeError::Malformed);
    }
    let rows = samples.iter().sum::<usize>();
    limits::to_decode(rows as u64, limits::SAMPLES, "samples")?;
    let mut eids = Vec::with_capacity(count);
    if count > 0 {
        let usual = !bits.take_bit()?;
        for _ in 0..count {
            let hash = u128::from(bits.take(64)?) | u128::from(bits.take(HASH_BITS - 64)?) << 64;
            let time = if usual { None } else { Some(bits.take(TIME_BITS)?) };
            eids.push((time, hash));
        }
    }
    let delays = ints::take(bits, count, First::Signed)?;
    Ok(TakenEvents { samples, eids, delays })
}

/// Events as they were read; the rest follows from the times of their samples, which come after them.
pub(crate) struct TakenEvents {
    pub(crate) samples: Vec<usize>,
    eids: Vec<(Option<u64>, u128)>,
    delays: Vec<i64>,
}

impl TakenEvents {
    pub(crate) fn with_times(self, times: &[i64]) -> Result<Vec<EventRow>, DecodeError> {
        let mut left = times;
        let mut events = Vec::with_capacity(self.samples.len());
        for ((samples, (time, hash)), delay) in self.samples.into_iter().zip(self.eids).zip(self.delays) {
            let (own, rest) = left.split_at_checked(samples).ok_or(DecodeError::Malformed)?;
            left = rest;
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

fn spans(events: &[EventRow], times: &[i64]) -> Vec<(i64, i64)> {
    let mut left = times;
    let mut spans = Vec::with_capacity(events.len());
    for event in events {
        let (own, rest) = left.split_at(event.samples.min(left.len()));
        spans.push(span(own));
        left = rest;
    }
    spans
}

/// The earliest and the latest.
fn span(times: &[i64]) -> (i64, i64) {
    (times.iter().copied().min().unwrap_or_default(), times.iter().copied().max().unwrap_or_default())
}
