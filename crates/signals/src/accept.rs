//! Accepts readings: validates a value against the catalogue, and rounds it to the resolution of its signal.

use serde_json::value::RawValue;

use crate::literal::{Integer, Literal};
use crate::text::has_forbidden_character;
use crate::{Datatype, SignalDef, SignalPath, SignalRejection, Value};

/// Maximum length of a text in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Maximum number of entries of a list.
pub const MAX_LIST_LEN: usize = 64;

/// Validates one reading against the catalogue and rounds it once to the resolution of its signal.
///
/// The value is the JSON of the sender, since a parsed number has lost its digits. The range is checked before rounding. For
/// an unknown path, a boolean, a number or a text is accepted and remains exact. Accepting an accepted value again returns
/// the same bits.
pub fn accept(path: &str, value: &RawValue) -> Result<(SignalPath, Value), SignalRejection> {
    let path = SignalPath::parse(path)?;
    let value = match path.def() {
        Some(def) if def.is_array => accept_list(def, value)?,
        Some(def) => accept_scalar(def, Scalar::read(value)?)?,
        None => accept_unknown(Scalar::read(value)?)?,
    };
    Ok((path, value))
}

/// A JSON value that is neither null nor a list nor an object.
enum Scalar<'a> {
    Bool(bool),
    Number(Literal<'a>),
    Text(String),
}

impl<'a> Scalar<'a> {
    fn read(value: &'a RawValue) -> Result<Self, SignalRejection> {
        let json = value.get();
        match json {
            "true" => Ok(Self::Bool(true)),
            "false" => Ok(Self::Bool(false)),
            // The text of a JSON string cannot be read if it has half of a surrogate pair.
            _ if json.starts_with('"') => serde_json::from_str(json).map(Self::Text).map_err(|_| SignalRejection::BadText),
            _ => Literal::new(json).map(Self::Number).ok_or(SignalRejection::WrongType),
        }
    }
}

fn accept_unknown(value: Scalar<'_>) -> Result<Value, SignalRejection> {
    match value {
        Scalar::Bool(v) => Ok(Value::Bool(v)),
        Scalar::Number(v) => Value::number(exact(v)?).ok_or(SignalRejection::OutOfRange),
        Scalar::Text(v) => text(v),
    }
}

fn accept_list(def: &SignalDef, value: &RawValue) -> Result<Value, SignalRejection> {
    let entries: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(|_| SignalRejection::WrongType)?;
    if entries.len() > MAX_LIST_LEN {
        return Err(SignalRejection::TooLong);
    }
    entries.into_iter().map(|entry| accept_scalar(def, Scalar::read(entry)?)).collect::<Result<_, _>>().map(Value::List)
}

fn accept_scalar(def: &SignalDef, value: Scalar<'_>) -> Result<Value, SignalRejection> {
    match (def.datatype, value) {
        (Datatype::Boolean, Scalar::Bool(v)) => Ok(Value::Bool(v)),
        (Datatype::String, Scalar::Text(v)) => {
            let is_allowed = def.allowed.is_empty() || def.allowed.contains(&v.as_str());
            text(v).and_then(|accepted| if is_allowed { Ok(accepted) } else { Err(SignalRejection::NotAllowed) })
        }
        (datatype, Scalar::Number(v)) if datatype.is_numeric() => number(def, v),
        _ => Err(SignalRejection::WrongType),
    }
}

fn text(v: String) -> Result<Value, SignalRejection> {
    if v.len() > MAX_TEXT_BYTES {
        Err(SignalRejection::TooLong)
    } else if has_forbidden_character(&v) {
        Err(SignalRejection::BadText)
    } else {
        Ok(Value::Text(v.into()))
    }
}

/// Converts a number to a double, which is infinite if the number is too large. Fails with `NotExact` for an integer beyond
/// ±2^53 without fraction and exponent: its last digit is meant.
fn exact(v: Literal<'_>) -> Result<f64, SignalRejection> {
    if v.is_plain() && v.integer() == Integer::Large { Err(SignalRejection::NotExact) } else { Ok(v.as_f64()) }
}

fn number(def: &SignalDef, literal: Literal<'_>) -> Result<Value, SignalRejection> {
    let v = exact(literal)?;
    let integer = def.datatype.is_integer().then(|| literal.integer());
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
