//! The size limit of a response. A page ends before the first item that exceeds the limit; the next page starts with that
//! item.
//!
//! Lambda limits the response payload, in which the body is a JSON string: each quote of the body takes two bytes. The sizes
//! here are those of the body within that string. They are counted, not estimated, so that a page of any content is returned.

use std::io;

use roadcast_codec::bus_entry;
use roadcast_domain::event::{Body, Event};
use roadcast_domain::subscription::DeliveryFormat;
use roadcast_ports::event_log::PAGE_BYTES;
use roadcast_signals::{SignalPath, Signals, Value};
use serde::Serialize;

use crate::ServiceError;

/// Maximum bytes of a response payload (*Lambda quotas*: 6 MB), less the status, the headers with the link to the next page,
/// and the cursor in the body.
pub const RESPONSE_BYTES: usize = 6_291_556 - 96 * 1024;
/// Maximum bytes of the items of a page in memory. A short signal takes several times its JSON.
const HELD_BYTES: usize = PAGE_BYTES;
/// Bytes of a timestamp.
const TIME_BYTES: usize = 32;
/// Bytes of a number with all its digits.
const NUMBER_BYTES: usize = 24;

/// The bytes that remain in a response, and in the memory for its items.
#[derive(Clone, Debug)]
pub(crate) struct ResponseBudget {
    /// `None` before the first item.
    remaining: Option<Remaining>,
    /// Maximum bytes of the items in memory.
    held_limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Remaining {
    response: usize,
    held: usize,
}

impl ResponseBudget {
    /// The budget of an empty response.
    pub(crate) const fn new() -> Self {
        Self::holding(HELD_BYTES)
    }

    /// The budget of an empty response whose items may take `held_limit` bytes of memory.
    pub(crate) const fn holding(held_limit: usize) -> Self {
        Self { remaining: None, held_limit }
    }

    /// Reserves an item that takes `bytes` in the response, and `held` bytes of memory until the response is written; returns
    /// false if the item does not fit. The first item always fits, otherwise pagination could not make progress. After an item
    /// that did not fit, no further item fits.
    pub(crate) fn try_reserve(&mut self, bytes: usize, held: usize) -> bool {
        let remaining = match self.remaining {
            None => {
                let held = self.held_limit.saturating_sub(held);
                Some(Remaining { response: RESPONSE_BYTES.saturating_sub(bytes), held })
            }
            Some(Remaining { response, held: memory }) => response
                .checked_sub(bytes)
                .and_then(|response| Some(Remaining { response, held: memory.checked_sub(held)? })),
        };
        self.remaining = remaining.or(Some(Remaining { response: 0, held: 0 }));
        remaining.is_some()
    }

    /// As [`try_reserve`](Self::try_reserve), but fails with `ResponseTooLarge` if the item exceeds even an empty
    /// response.
    pub(crate) fn reserve(&mut self, bytes: usize, held: usize) -> Result<bool, ServiceError> {
        if bytes > RESPONSE_BYTES && self.remaining.is_none() {
            return Err(ServiceError::ResponseTooLarge);
        }
        Ok(self.try_reserve(bytes, held))
    }
}

/// Returns the first of the items that fit in a response together, at least one.
pub fn take_fitting<Item: Serialize>(items: impl Iterator<Item = Item>) -> Vec<Item> {
    let mut budget = ResponseBudget::new();
    // The caller limits the number of items, which limits their memory.
    items.take_while(|item| budget.try_reserve(json_bytes(item).escaped + 1, 0)).collect()
}

/// Returns the JSON of an event in a response. Telemetry that exceeds [`bus_entry::MAX_JSON_BYTES`] is a block, as in feeds.
pub fn event_json(event: &Event) -> serde_json::Result<String> {
    let json = event.to_cloud_event();
    if matches!(event.body, Body::Telemetry(_)) && json_bytes(&json).text > bus_entry::MAX_JSON_BYTES {
        let block = bus_entry::encode(&[event], DeliveryFormat::Blocks, None)?;
        if let [entry] = &block[..] {
            return Ok(entry.json.clone());
        }
    }
    serde_json::to_string(&json)
}

/// Returns the bytes of an event in a response, as [`event_json`] writes it.
pub(crate) fn event_bytes(event: &Event) -> usize {
    let json = json_bytes(&event.to_cloud_event());
    if json.text <= bus_entry::MAX_JSON_BYTES {
        return json.escaped + 1;
    }
    event_json(event).map_or(json.escaped, |json| escaped_bytes(&json)) + 1
}

/// Returns an upper bound of the bytes of a sample in a response, in JSON and in CSV.
pub fn sample_bytes(signals: &Signals) -> usize {
    let json = r#"{\"at\":,\"signals\":},"#.len() + TIME_BYTES + json_bytes(signals).escaped;
    let csv_row = |(path, value)| csv_row_bytes(path, csv_cell_bytes(value, json_bytes(value).escaped));
    json.max(signals.iter().map(csv_row).sum())
}

/// Returns an upper bound of the bytes of a window in a response, in JSON and in CSV, without its signals.
pub const fn window_bytes() -> usize {
    r#"{\"at\":,\"signals\":{}},"#.len() + TIME_BYTES
}

/// Returns an upper bound of the bytes of a signal of a window in a response, in JSON and in CSV. `last` is its last value.
pub fn series_bytes(path: &SignalPath, last: &Value) -> usize {
    let value = match last {
        // Not counted: most values are numbers, and each value of a window may be its last.
        Value::Bool(_) | Value::Number(_) => NUMBER_BYTES,
        last => json_bytes(last).escaped,
    };
    let members = r#"\"\":{\"count\":,\"last\":,\"max\":,\"mean\":,\"min\":},"#.len();
    let json = members + path.as_str().len() + value + 4 * NUMBER_BYTES;
    json.max(csv_row_bytes(path, csv_cell_bytes(last, value)) + 4 * (NUMBER_BYTES + 1))
}

/// Returns the bytes that a text takes within a JSON string.
pub(crate) fn escaped_bytes(text: &str) -> usize {
    text.bytes().map(escaped_byte).sum()
}

/// Returns an upper bound of the bytes of a row of CSV: time, path, unit, a value and the end of the line.
fn csv_row_bytes(path: &SignalPath, value: usize) -> usize {
    let unit = path.def().and_then(|def| def.unit).map_or(0, str::len);
    TIME_BYTES + path.as_str().len() + 1 + unit + value + ",,,\\r\\n".len()
}

/// Returns an upper bound of the bytes of a value in CSV. `json` is its size in JSON.
fn csv_cell_bytes(value: &Value, json: usize) -> usize {
    match value {
        Value::Bool(_) | Value::Number(_) => json,
        // Quotes around the cell, and an apostrophe before a formula. Each quote is doubled.
        Value::Text(_) | Value::List(_) => 5 + 2 * json,
    }
}

/// The bytes of a JSON text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct JsonBytes {
    /// Of the text itself.
    text: usize,
    /// Of the text within a JSON string.
    escaped: usize,
}

/// Counts the bytes of a value in JSON without writing it. A value that JSON cannot represent counts as what precedes it.
fn json_bytes(value: &impl Serialize) -> JsonBytes {
    let mut counter = JsonBytes::default();
    // The counter never fails. If the value does, so does the response.
    let _written = serde_json::to_writer(&mut counter, value);
    counter
}

impl io::Write for JsonBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text += bytes.len();
        self.escaped += bytes.iter().copied().map(escaped_byte).sum::<usize>();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the bytes that a byte of UTF-8 takes in a JSON string.
const fn escaped_byte(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\x08' | b'\t' | b'\n' | b'\x0C' | b'\r' => 2,
        0..=0x1F => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
