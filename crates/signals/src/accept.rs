//! Accepts readings: validates a value against the catalogue, and rounds it to the resolution of its signal.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::literal::{Integer, Literal};
use crate::text::has_forbidden_character;
use crate::{Datatype, SignalDef, SignalPath, SignalRejection, Value};

/// Maximum length of a text in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Maximum number of entries of a list.
pub const MAX_LIST_LEN: usize = 64;

/// Maximum bytes of the texts of a list together. The last-known values of all signals of a vehicle are one item of at most
/// 400 KB, so each signal has a bound.
pub const MAX_LIST_BYTES: usize = 8 * 1024;

/// Validates one reading against the catalogue and rounds it once to the resolution of its signal.
///
/// The value is the JSON of the sender, since a parsed number has lost its digits. The range is checked before rounding. For
/// an unknown path, a boolean, a number or a text is accepted and remains exact. Accepting an accepted value again returns
/// the same bits.
pub fn accept(path: &str, value: &RawValue) -> Result<(SignalPath, Value), SignalRejection> {
    let path = SignalPath::parse(path)?;
    let value = match path.def() {
        Some(def) if def.is_array => {
            let entries: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| SignalRejection::WrongType)?;
            accept_list(def, entries.len(), entries.into_iter().map(Scalar::read))?
        }
        Some(def) => accept_scalar(def, Scalar::read(value)?)?,
        None => accept_unknown(Scalar::read(value)?)?,
    };
    Ok((path, value))
}

/// Validates one value that was sent as such, not as JSON. The result is that of [`accept`] for the JSON of the value.
pub fn accept_value(path: &SignalPath, value: &Value) -> Result<Value, SignalRejection> {
    match (path.def(), value) {
        (Some(def), Value::List(entries)) if def.is_array => accept_list(def, entries.len(), entries.iter().map(Scalar::of)),
        (Some(def), _) if def.is_array => Err(SignalRejection::WrongType),
        (Some(def), value) => accept_scalar(def, Scalar::of(value)?),
        (None, value) => accept_unknown(Scalar::of(value)?),
    }
}

/// A value that is neither null nor a list nor an object.
enum Scalar<'a> {
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
}

/// A number, as a sender wrote it or as a double.
#[derive(Copy, Clone)]
enum Number<'a> {
    Literal(Literal<'a>),
    Double(f64),
}

impl<'a> Scalar<'a> {
    fn read(value: &'a RawValue) -> Result<Self, SignalRejection> {
        let json = value.get();
        match json {
            "true" => Ok(Self::Bool(true)),
            "false" => Ok(Self::Bool(false)),
            // The text of a JSON string cannot be read if it has half of a surrogate pair.
            _ if json.starts_with('"') => {
                serde_json::from_str::<String>(json).map(Cow::Owned).map(Self::Text).map_err(|_| SignalRejection::BadText)
            }
            _ => Literal::new(json).map(Number::Literal).map(Self::Number).ok_or(SignalRejection::WrongType),
        }
    }

    fn of(value: &'a Value) -> Result<Self, SignalRejection> {
        match value {
            Value::Bool(v) => Ok(Self::Bool(*v)),
            Value::Number(v) => Ok(Self::Number(Number::Double(*v))),
            Value::Text(v) => Ok(Self::Text(Cow::Borrowed(v))),
            Value::List(_) => Err(SignalRejection::WrongType),
        }
    }
}

impl Number<'_> {
    /// Returns the double, which is infinite if the number is too large. Fails with `NotExact` for an integer beyond ±2^53
    /// without fraction and exponent: its last digit is meant.
    fn exact(self) -> Result<f64, SignalRejection> {
        match self {
            Self::Literal(v) if v.is_plain() && v.integer() == Integer::Large => Err(SignalRejection::NotExact),
            Self::Literal(v) => Ok(v.as_f64()),
            Self::Double(v) => Ok(v),
        }
    }

    fn integer(self) -> Integer {
        match self {
            Self::Literal(v) => v.integer(),
            Self::Double(v) => Integer::of_double(v),
        }
    }
}

fn accept_unknown(value: Scalar<'_>) -> Result<Value, SignalRejection> {
    match value {
        Scalar::Bool(v) => Ok(Value::Bool(v)),
        Scalar::Number(v) => Value::number(v.exact()?).ok_or(SignalRejection::OutOfRange),
        Scalar::Text(v) => text(&v),
    }
}

fn accept_list<'a>(
    def: &SignalDef,
    length: usize,
    entries: impl Iterator<Item = Result<Scalar<'a>, SignalRejection>>,
) -> Result<Value, SignalRejection> {
    if length > MAX_LIST_LEN {
        return Err(SignalRejection::TooLong);
    }
    let accepted: Box<[Value]> = entries.map(|entry| accept_scalar(def, entry?)).collect::<Result<_, _>>()?;
    if accepted.iter().filter_map(Value::as_text).map(str::len).sum::<usize>() > MAX_LIST_BYTES {
        return Err(SignalRejection::TooLong);
    }
    Ok(Value::List(accepted))
}

fn accept_scalar(def: &SignalDef, value: Scalar<'_>) -> Result<Value, SignalRejection> {
    match (def.datatype, value) {
        (Datatype::Boolean, Scalar::Bool(v)) => Ok(Value::Bool(v)),
        (Datatype::String, Scalar::Text(v)) => {
            let accepted = text(&v)?;
            if def.allows(&v) { Ok(accepted) } else { Err(SignalRejection::NotAllowed) }
        }
        (datatype, Scalar::Number(v)) if datatype.is_numeric() => number(def, v),
        _ => Err(SignalRejection::WrongType),
    }
}

/// Checks a text without regard to the signal.
pub(crate) fn check_text(v: &str) -> Result<(), SignalRejection> {
    if v.len() > MAX_TEXT_BYTES {
        Err(SignalRejection::TooLong)
    } else if has_forbidden_character(v) {
        Err(SignalRejection::BadText)
    } else {
        Ok(())
    }
}

fn text(v: &str) -> Result<Value, SignalRejection> {
    check_text(v).map(|()| Value::Text(v.into()))
}

fn number(def: &SignalDef, sent: Number<'_>) -> Result<Value, SignalRejection> {
    let v = sent.exact()?;
    let integer = def.datatype.is_integer().then(|| sent.integer());
    if integer == Some(Integer::Fraction) {
        return Err(SignalRejection::WrongType);
    }
    if !def.contains(v) {
        return Err(SignalRejection::OutOfRange);
    }
    if integer == Some(Integer::Large) {
        return Err(SignalRejection::NotExact);
    }
    let rounded = def.resolution.map_or(v, |resolution| resolution.round(v));
    // The ends of ranges are on the grid, so rounding cannot leave the range. Checked because idempotence depends on it.
    if !def.contains(rounded) {
        return Err(SignalRejection::OutOfRange);
    }
    Value::number(rounded).ok_or(SignalRejection::OutOfRange)
}

#[cfg(test)]
mod tests;
