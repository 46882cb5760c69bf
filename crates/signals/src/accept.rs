//! Accepts readings: validates a value against the catalogue, and rounds it to the resolution of its signal.

use crate::value::MAX_EXACT;
use crate::{Datatype, SignalDef, SignalPath, SignalRejection, Value};
use serde_json::{Number, Value as Json};

/// Maximum length of a text in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Maximum number of entries of a list.
pub const MAX_LIST_LEN: usize = 64;

/// Validates one reading against the catalogue and rounds it once to the resolution of its signal.
///
/// The range is checked before rounding. For an unknown path, a boolean, a number or a text is accepted and remains exact.
/// Accepting an accepted value again returns the same bits.
pub fn accept(path: &str, value: &Json) -> Result<(SignalPath, Value), SignalRejection> {
    let path = SignalPath::parse(path)?;
    let value = match path.def() {
        Some(def) if def.is_array => accept_list(def, value)?,
        Some(def) => accept_scalar(def, value)?,
        None => accept_unknown(value)?,
    };
    Ok((path, value))
}

fn accept_unknown(value: &Json) -> Result<Value, SignalRejection> {
    match value {
        Json::Bool(v) => Ok(Value::Bool(*v)),
        Json::Number(v) => Value::number(exact(v)?).ok_or(SignalRejection::WrongType),
        Json::String(v) => text(v),
        Json::Null | Json::Array(_) | Json::Object(_) => Err(SignalRejection::WrongType),
    }
}

fn accept_list(def: &SignalDef, value: &Json) -> Result<Value, SignalRejection> {
    let Json::Array(entries) = value else {
        return Err(SignalRejection::WrongType);
    };
    if entries.len() > MAX_LIST_LEN {
        return Err(SignalRejection::TooLong);
    }
    entries.iter().map(|entry| accept_scalar(def, entry)).collect::<Result<_, _>>().map(Value::List)
}

fn accept_scalar(def: &SignalDef, value: &Json) -> Result<Value, SignalRejection> {
    match (def.datatype, value) {
        (Datatype::Boolean, Json::Bool(v)) => Ok(Value::Bool(*v)),
        (Datatype::String, Json::String(v)) => {
            let accepted = text(v)?;
            if def.allowed.is_empty() || def.allowed.contains(&v.as_str()) {
                Ok(accepted)
            } else {
                Err(SignalRejection::NotAllowed)
            }
        }
        (datatype, Json::Number(v)) if datatype.is_numeric() => number(def, exact(v)?),
        _ => Err(SignalRejection::WrongType),
    }
}

fn text(v: &str) -> Result<Value, SignalRejection> {
    if v.len() > MAX_TEXT_BYTES { Err(SignalRejection::TooLong) } else { Ok(Value::from(v)) }
}

/// Converts a JSON number to a double. Fails with `NotExact` for an integer beyond ±2^53.
fn exact(v: &Number) -> Result<f64, SignalRejection> {
    let size = v.as_u64().or_else(|| v.as_i64().map(i64::unsigned_abs));
    if size.is_some_and(|size| size > MAX_EXACT) {
        return Err(SignalRejection::NotExact);
    }
    v.as_f64().filter(|v| v.is_finite()).ok_or(SignalRejection::WrongType)
}

#[allow(clippy::cast_precision_loss)] // 2^53 is exact
fn number(def: &SignalDef, v: f64) -> Result<Value, SignalRejection> {
    if def.datatype.is_integer() && v.fract() != 0.0 {
        return Err(SignalRejection::WrongType);
    }
    if !def.contains(v) {
        return Err(SignalRejection::OutOfRange);
    }
    if def.datatype.is_integer() && v.abs() > MAX_EXACT as f64 {
        return Err(SignalRejection::NotExact);
    }
    let rounded = def.resolution.map_or(v, |resolution| resolution.round(v));
    // The ends of ranges are on the grid, so rounding cannot leave the range. Checked because idempotence depends on it.
    if !def.contains(rounded) {
        return Err(SignalRejection::OutOfRange);
    }
    Value::number(rounded).ok_or(SignalRejection::WrongType)
}

#[cfg(test)]
mod tests;
