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
        let (mut builder, mut bytes) = (SamplesBuilder::default(), Vec::new());
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

fn read_sample(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder) -> Option<()> {
    builder.start_row(Timestamp::default());
    cursor.expect(b'{')?;
    let (mut at, mut has_signals) = (None, false);
    loop {
        match cursor.string()? {
            "at" if at.is_none() => {
                cursor.expect(b':')?;
                at = Some(Timestamp::parse_rfc3339(cursor.string()?).ok()?);
            }
            "signals" if !has_signals => {
                cursor.expect(b':')?;
                read_signals(cursor, builder)?;
                has_signals = true;
            }
            _ => return None,
        }
        if !cursor.accept(b',') {
            break;
        }
    }
    cursor.expect(b'}')?;
    builder.set_time(at?);
    has_signals.then_some(())
}

fn read_signals(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder) -> Option<()> {
    cursor.expect(b'{')?;
    loop {
        // Most samples have the signals of the previous one, in the same order.
        let is_expected = builder.expected().is_some_and(|path| cursor.exact_string(path.as_str()).is_some());
        let path = if is_expected { None } else { Some(SignalPath::parse(cursor.string()?).ok()?) };
        cursor.expect(b':')?;
        read_value(cursor, builder, path)?;
        if !cursor.accept(b',') {
            break;
        }
    }
    cursor.expect(b'}')
}

/// Reads the value of a signal; `None` stands for the expected one.
fn read_value(cursor: &mut Cursor<'_>, builder: &mut SamplesBuilder, path: Option<SignalPath>) -> Option<()> {
    let first = cursor.peek()?;
    if first == b'-' || first.is_ascii_digit() {
        let number = cursor.number()?;
        if path.is_none()
            && let Some(resolution) = builder.expected_grid()
            && let Some(point) = number.point(resolution.decimals())
        {
            return builder.push_expected_point(point).then_some(());
        }
        let path = path.or_else(|| builder.expected().cloned())?;
        let number = rounded(&path, number)?;
        return builder.push_number(path, number).then_some(());
    }
    let path = path.or_else(|| builder.expected().cloned())?;
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
