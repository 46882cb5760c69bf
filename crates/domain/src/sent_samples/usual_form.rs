//! Reads telemetry of the usual form into columns, in one pass.
//!
//! The usual form has every member once, no escapes in strings, no exponents in numbers, and only valid values. Whatever differs
//! is read by [`SentSamples`], which also finds what is wrong. Both give the same result for the same text.

use roadcast_signals::{Resolution, SamplesBuilder, SignalPath, Timestamp, Value, are_accepted};

use super::SentSamples;
use crate::json_cursor::{Cursor, Decimal};
use crate::limits;

impl<'a> SentSamples<'a> {
    /// Reads the data of an event from the front of a text. Returns `None` if it does not have the usual form.
    pub(crate) fn read_usual(cursor: &mut Cursor<'a>) -> Option<Self> {
        cursor.expect(b'{')?;
        cursor.exact_string("samples")?;
        cursor.expect(b':')?;
        cursor.expect(b'[')?;
        let rows = estimated_rows(cursor);
        let (mut builder, mut bytes) = (SamplesBuilder::with_rows(rows), Vec::with_capacity(rows));
        loop {
            cursor.skip_whitespace();
            let start = cursor.position();
            read_sample(cursor, &mut builder)?;
            bytes.push(cursor.since(start)?);
            if builder.unknown_signals() > limits::UNKNOWN_SIGNALS_PER_EVENT || bytes.len() > limits::SAMPLES_PER_EVENT {
                return None;
            }
            if !cursor.accept(b',') {
                break;
            }
        }
        cursor.expect(b']')?;
        cursor.expect(b'}')?;
        let samples = builder.finish();
        let has_signals = samples.has_signals();
        let is_usual = are_accepted(&samples) && !has_signals.contains(&false);
        is_usual.then(|| Self::of_valid(samples, has_signals, bytes))
    }
}

/// Returns about the number of samples up to the end of their list, mostly one more than there are.
fn estimated_rows(cursor: &Cursor<'_>) -> usize {
    let Some(all) = cursor.distance_to(b']') else { return 0 };
    // The end of the signals, the end of the sample, and the comma.
    let first = cursor.distance_to(b'}').map_or(all, |distance| distance + 3);
    (all / first.max(1) + 1).min(MAX_ESTIMATED_ROWS)
}

/// The largest estimate, which bounds the memory that is reserved before the samples are read.
const MAX_ESTIMATED_ROWS: usize = 64;

fn read_sample(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder) -> Option<()> {
    builder.start_row(Timestamp::default());
    let (mut at, mut has_signals) = (None, false);
    cursor.object(|cursor, name| {
        match name {
            "at" if at.is_none() => at = Some(Timestamp::parse_rfc3339(cursor.string()?).ok()?),
            "signals" if !has_signals => {
                read_signals(cursor, builder)?;
                has_signals = true;
            }
            _ => return None,
        }
        Some(())
    })?;
    builder.set_time(at?);
    has_signals.then_some(())
}

fn read_signals(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder) -> Option<()> {
    cursor.expect(b'{')?;
    loop {
        // Most samples have the signals of the previous one, in the same order.
        if read_expected(cursor, builder).is_none() {
            read_signal(cursor, builder)?;
        }
        if !cursor.accept(b',') {
            break;
        }
    }
    cursor.expect(b'}')
}

/// Reads the signal that the previous sample has next, if its value is on the grid. Returns `None`, without a change, for any other
/// signal.
#[inline]
fn read_expected(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder) -> Option<()> {
    // A copy, which the compiler keeps in registers.
    let mut ahead = *cursor;
    ahead.exact_string(builder.expected()?.as_str())?;
    ahead.expect(b':')?;
    ahead.skip_whitespace();
    let point = ahead.number()?.point(builder.expected_grid()?.decimals())?;
    builder.push_expected_point(point).then(|| *cursor = ahead)
}

/// Reads any signal.
fn read_signal(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder) -> Option<()> {
    let expected = builder.expected().filter(|path| cursor.exact_string(path.as_str()).is_some()).cloned();
    let path = match expected {
        Some(path) => path,
        None => SignalPath::parse(cursor.string()?).ok()?,
    };
    cursor.expect(b':')?;
    let first = cursor.peek()?;
    if first == b'-' || first.is_ascii_digit() {
        let number = cursor.number()?;
        // The datatype and the range are checked with the whole column.
        if let Some(resolution) = path.def().and_then(|def| def.resolution)
            && let Some(point) = number.point(resolution.decimals())
        {
            return builder.push_point(path, resolution, point).then_some(());
        }
        let number = rounded(&path, number)?;
        return builder.push_number(path, number).then_some(());
    }
    let value = match first {
        b'"' => Value::from(cursor.string()?),
        b't' => cursor.word("true").map(|()| Value::Bool(true))?,
        b'f' => cursor.word("false").map(|()| Value::Bool(false))?,
        _ => return None,
    };
    builder.push(path, value).then_some(())
}

/// Returns the number rounded to the resolution of its signal. `None` if it is out of range, or if it is no integer in the
/// notation of one for a signal of integers.
fn rounded(path: &SignalPath, number: Decimal) -> Option<f64> {
    let v = number.as_f64() + 0.0;
    let Some(def) = path.def() else { return Some(v) };
    if def.datatype.is_integer() && number.decimals > 0 {
        return None;
    }
    // The range is checked before rounding.
    def.contains(v).then(|| def.resolution.map_or(v, |resolution: Resolution| resolution.round(v)))
}
