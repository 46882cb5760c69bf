//! The values of one signal: what the limits of a block count.

mod encoding;
mod grid;
mod related;

use roadcast_signals::{Value, Values};

use crate::{EncodeError, limits};

pub(crate) use encoding::{NUMBER_BYTES, ValuesReader, ValuesWriter, max_bytes};

/// Returns the size of the values as rows: [`VALUE_BYTES`](crate::limits::VALUE_BYTES) per value and per entry of a list, plus
/// the bytes of texts.
pub(crate) fn unpacked_bytes(values: &Values) -> usize {
    values.count_with_entries() * limits::VALUE_BYTES + values.text_bytes()
}

/// Returns the number of texts that are stored.
pub(crate) fn stored_texts(values: &Values) -> usize {
    let texts = |value: &Value| match value {
        Value::Text(_) => 1,
        Value::List(list) => list.iter().filter(|entry| matches!(entry, Value::Text(_))).count(),
        Value::Bool(_) | Value::Number(_) => 0,
    };
    match values {
        Values::Texts { dictionary, .. } => dictionary.len(),
        Values::Any(values) => values.iter().map(texts).sum(),
        Values::Grid { .. } | Values::Numbers(_) | Values::Bools(_) => 0,
    }
}

/// Checks that each text and list is within the limits of a reader.
pub(crate) fn check_limits(values: &Values) -> Result<(), EncodeError> {
    match values {
        Values::Texts { dictionary, .. } => dictionary.iter().try_for_each(|text| check_text(text)),
        Values::Any(values) => values.iter().try_for_each(check_any),
        Values::Grid { .. } | Values::Numbers(_) | Values::Bools(_) => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), EncodeError> {
    limits::check_encoded(text.len(), limits::TEXT, "bytes of a text")
}

fn check_any(value: &Value) -> Result<(), EncodeError> {
    match value {
        Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::Text(text) => check_text(text),
        Value::List(list) => {
            limits::check_encoded(list.len(), limits::LIST, "entries of a list")?;
            list.iter().try_for_each(check_any)
        }
    }
}
