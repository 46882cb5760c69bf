//! The golden files: one for each message, with what the code once wrote.

use std::collections::BTreeSet;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roadcast_blocks::Block;
use roadcast_codec::{BLOCK_CONTENT_TYPE, stream_record};
use serde_json::{Value, json};

use crate::contract::Contract;

/// With this variable set to 1, what differs is written anew.
const RENEW: &str = "UPDATE_GOLDEN";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn path(contract: &Contract, message: &str) -> PathBuf {
    folder().join(format!("{message}.{}", if contract.is_line(message) { "ndjson" } else { "json" }))
}

/// The messages that there are files for.
pub(crate) fn messages() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).expect("golden files").map(|file| file.expect("a file").path());
    files.map(|file| file.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned()).collect()
}

/// What a message's file holds: one, or one a line.
pub(crate) fn read(contract: &Contract, message: &str) -> Vec<Value> {
    let path = path(contract, message);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if contract.is_line(message) { text.lines().map(parse).collect() } else { vec![parse(&text)] }
}

/// Compares what the code writes with a message's file, by what both mean. Answers how they differ, or renews the file.
pub(crate) fn compare(contract: &Contract, message: &str, written: &[Value]) -> Vec<String> {
    let renewing = std::env::var(RENEW).is_ok_and(|value| value == "1");
    let golden = if path(contract, message).exists() { read(contract, message) } else { Vec::new() };
    let meaning_of_all = |messages: &[Value]| messages.iter().cloned().map(meaning).collect::<Value>();
    let mut found = Vec::new();
    differences(&meaning_of_all(&golden), &meaning_of_all(written), "", &mut found);
    if renewing && !found.is_empty() {
        std::fs::write(path(contract, message), text_of(contract, message, written)).expect("the file is written");
        return Vec::new();
    }
    found.into_iter().map(|difference| format!("{message}{difference}")).collect()
}

/// How to go on after a difference.
pub(crate) fn advice(differences: &[String]) -> String {
    format!(
        "the code writes other messages than tests/golden holds:\n  {}\nA reader of these messages would see that. If it is \
         meant, renew the files and look at what changed:\n  {RENEW}=1 cargo test -p roadcast-tests --test messages golden_files_hold\n",
        differences.join("\n  "),
    )
}

fn text_of(contract: &Contract, message: &str, written: &[Value]) -> String {
    let line = |value: &Value| {
        if contract.is_line(message) { value.to_string() } else { format!("{value:#}") }
    };
    written.iter().map(|value| line(value) + "\n").collect()
}

/// A message with what is coded in it read: a coder may choose other bytes for the same, and a block names the version of the
/// catalogue of whoever wrote it.
pub(crate) fn meaning(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(meaning).collect(),
        Value::Object(mut members) => {
            if members.get("datacontenttype").is_some_and(|kind| kind == BLOCK_CONTENT_TYPE)
                && let Some(Value::String(base64)) = members.get("data_base64")
            {
                let block = block(base64);
                members.insert("data_base64".to_owned(), block);
            }
            // A line of the archive holds the text of a record.
            if members.contains_key("seq")
                && let Some(Value::String(text)) = members.get("data")
                && let Ok(record) = serde_json::from_str::<Value>(text)
            {
                members.insert("data".to_owned(), record);
            }
            members.into_iter().map(|(name, value)| (name, meaning(value))).collect()
        }
        Value::String(text) => match STANDARD.decode(&text) {
            Ok(packed) if packed.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) => {
                let text = stream_record::decode_text(&packed).expect("one zstd frame of UTF-8");
                json!({ "zstd": meaning(serde_json::from_str(&text).expect("JSON in the frame")) })
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
    let event = |e: roadcast_blocks::BlockEvent| json!({ "eid": roadcast_domain::ids::Eid::from_bits(e.eid), "received": e.received, "samples": e.samples });
    json!({ "events": events.map(event).collect::<Vec<_>>() })
}

/// How two values differ, each with its place.
fn differences(golden: &Value, written: &Value, place: &str, found: &mut Vec<String>) {
    match (golden, written) {
        (Value::Object(a), Value::Object(b)) => {
            for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                either(a.get(name), b.get(name), &format!("{place}/{name}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for n in 0..a.len().max(b.len()) {
                either(a.get(n), b.get(n), &format!("{place}/{n}"), found);
            }
        }
        (a, b) if a != b => found.push(format!("{place}: golden {a}, written {b}")),
        _ => {}
    }
}

fn either(golden: Option<&Value>, written: Option<&Value>, place: &str, found: &mut Vec<String>) {
    match (golden, written) {
        (Some(a), Some(b)) => differences(a, b, place, found),
        (Some(a), None) => found.push(format!("{place}: golden {a}, no longer written")),
        (None, Some(b)) => found.push(format!("{place}: not in golden, written {b}")),
        (None, None) => {}
    }
}
