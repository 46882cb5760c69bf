//! The golden files: one per message, with output of the code.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::Block;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use serde_json::{Value, json};

use crate::contract::Contract;

/// If this environment variable is 1, golden files that differ are updated.
const UPDATE_VARIABLE: &str = "UPDATE_GOLDEN";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn path(contract: &Contract, message: &str) -> PathBuf {
    folder().join(format!("{message}.{}", if contract.is_line(message) { "ndjson" } else { "json" }))
}

/// The messages with a golden file.
pub(crate) fn messages() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).expect("golden files").map(|file| file.expect("a file").path());
    files.map(|file| file.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned()).collect()
}

/// The messages in a golden file: one, or one per line.
pub(crate) fn read(contract: &Contract, message: &str) -> Vec<Value> {
    let path = path(contract, message);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if contract.is_line(message) { text.lines().map(parse).collect() } else { vec![parse(&text)] }
}

/// Compares the decoded output of the code with the golden file. Returns the differences, or updates the file.
pub(crate) fn compare(contract: &Contract, message: &str, written: &[Value]) -> Vec<String> {
    let update = std::env::var(UPDATE_VARIABLE).is_ok_and(|value| value == "1");
    let golden = if path(contract, message).exists() { read(contract, message) } else { Vec::new() };
    let decode_all = |messages: &[Value]| messages.iter().cloned().map(decoded).collect::<Value>();
    let mut found = Vec::new();
    differences(&decode_all(&golden), &decode_all(written), "", &mut found);
    if update && !found.is_empty() {
        std::fs::write(path(contract, message), text_of(contract, message, written)).expect("the file is written");
        return Vec::new();
    }
    found.into_iter().map(|difference| format!("{message}{difference}")).collect()
}

/// The failure message for differences.
pub(crate) fn advice(differences: &[String]) -> String {
    format!(
        "the messages differ from tests/golden:\n  {}\nReaders of these messages are affected. If the change is intended, \
         update the files and review the diff:\n  {UPDATE_VARIABLE}=1 cargo test -p roadcast-tests --test messages \
         written_messages_equal\n",
        differences.join("\n  "),
    )
}

fn text_of(contract: &Contract, message: &str, written: &[Value]) -> String {
    let line = |value: &Value| {
        if contract.is_line(message) { value.to_string() } else { format!("{value:#}") }
    };
    written.iter().map(|value| line(value) + "\n").collect()
}

/// A message with its encoded parts decoded, for comparison: an encoder may choose other bytes for the same content, and a
/// block contains the catalogue version of its writer.
pub(crate) fn decoded(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(decoded).collect(),
        Value::Object(mut members) => {
            if members.get("datacontenttype").is_some_and(|kind| kind == BLOCK_CONTENT_TYPE)
                && let Some(Value::String(base64)) = members.get("data_base64")
            {
                let block = block(base64);
                members.insert("data_base64".to_owned(), block);
            }
            // A line of the archive contains the text of a record.
            if members.contains_key("seq")
                && let Some(Value::String(text)) = members.get("data")
                && let Ok(record) = serde_json::from_str::<Value>(text)
            {
                members.insert("data".to_owned(), record);
            }
            members.into_iter().map(|(name, value)| (name, decoded(value))).collect()
        }
        Value::String(text) => match STANDARD.decode(&text) {
            Ok(compressed) if compressed.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) => {
                let text = stream_record::decode_text(&compressed).expect("one zstd frame of UTF-8");
                json!({ "zstd": decoded(serde_json::from_str(&text).expect("JSON in the frame")) })
            }
            _ => Value::String(text),
        },
        other => other,
    }
}

fn block(base64: &str) -> Value {
    let block = Block::decode(&STANDARD.decode(base64).expect("base64")).expect("a block");
    if block.event_rows().is_empty() {
        return json!({ "samples": block.samples() });
    }
    let events = block.events().into_iter();
    let event = |event: roadcast_blocks::BlockEvent| {
        let eid = roadcast_domain::ids::Eid::from_bits(event.eid);
        json!({ "eid": eid, "received": event.received, "samples": event.samples })
    };
    json!({ "events": events.map(event).collect::<Vec<_>>() })
}

/// Adds the differences of two values, each with its pointer.
fn differences(golden: &Value, written: &Value, pointer: &str, found: &mut Vec<String>) {
    match (golden, written) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                compare_optional(a.get(name), b.get(name), &format!("{pointer}/{name}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for n in 0..a.len().max(b.len()) {
                compare_optional(a.get(n), b.get(n), &format!("{pointer}/{n}"), found);
            }
        }
        (a, b) if a != b => found.push(format!("{pointer}: expected {a}, written {b}")),
        _ => {}
    }
}

fn compare_optional(golden: Option<&Value>, written: Option<&Value>, pointer: &str, found: &mut Vec<String>) {
    match (golden, written) {
        (Some(a), Some(b)) => differences(a, b, pointer, found),
        (Some(a), None) => found.push(format!("{pointer}: expected {a}, not written")),
        (None, Some(b)) => found.push(format!("{pointer}: not expected, written {b}")),
        (None, None) => {}
    }
}
