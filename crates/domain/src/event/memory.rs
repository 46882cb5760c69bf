//! Upper bounds of the memory of events.

use std::mem::size_of;

use roadcast_signals::{Column, Presence, Samples, SignalPath, Signals, Value, Values};

use super::alert::{Alert, AlertSignal};
use super::{Body, Event, Origin, StoredEvent};
use crate::diagnostic::TroubleCode;

/// Bytes that an allocation takes beyond the requested ones: the header of the allocator, and rounding to 16 bytes.
const ALLOCATION_BYTES: usize = 32;
/// Bytes of a vehicle id and of the name of a custom type.
const NAME_BYTES: usize = 256;
/// Bytes of a node of a map without its entries: the number of entries, the position in the parent, and the parent.
const NODE_BYTES: usize = 16;
/// Entries of a node of a map, and children of a node that is not a leaf, at most. The first entry allocates an entire node.
const NODE_ENTRIES: usize = 11;
const NODE_CHILDREN: usize = NODE_ENTRIES + 1;
/// Entries of a node of a map, at least, except the root.
const MIN_NODE_ENTRIES: usize = 5;

impl Event {
    /// Returns an upper bound of the memory that the event takes, in bytes: itself and everything that it owns.
    pub fn memory_bytes(&self) -> usize {
        let body = match &self.body {
            Body::Telemetry(telemetry) => samples_bytes(&telemetry.samples),
            Body::Diagnostic(diagnostic) => {
                let code = 2 * size_of::<TroubleCode>() + ALLOCATION_BYTES;
                ALLOCATION_BYTES + diagnostic.dtcs.iter().map(|dtc| code + dtc.code.as_str().len()).sum::<usize>()
            }
            Body::Alert(alert) => alert_bytes(alert),
            Body::Custom(custom) => ALLOCATION_BYTES + custom.data.get().len(),
        };
        size_of::<Self>() + NAME_BYTES + body
    }
}

impl StoredEvent {
    /// Returns an upper bound of the memory that the event and its origin take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.event.memory_bytes() + self.origin.memory_bytes()
    }
}

impl Origin {
    /// Returns an upper bound of the memory that the origin takes, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let texts = text_bytes(&self.source) + text_bytes(&self.id);
        let entry = size_of::<String>() + size_of::<serde_json::Value>();
        let extension = |(name, value): (&String, &serde_json::Value)| text_bytes(name) + json_bytes(value);
        size_of::<Self>()
            + texts
            + map_bytes(self.extensions.len(), entry)
            + self.extensions.iter().map(extension).sum::<usize>()
    }
}

/// Returns an upper bound of what an alert takes.
fn alert_bytes(alert: &Alert) -> usize {
    let owner = alert.rule.fleet_id.as_ref().map_or(0, |fleet_id| text_bytes(fleet_id.as_str()));
    let rule = owner + text_bytes(alert.rule.rule_id.as_str()) + text_bytes(&alert.rule.name);
    let signal = |signal: &AlertSignal| {
        let value = signal.value.as_ref().map_or(0, value_bytes);
        2 * size_of::<AlertSignal>() + text_bytes(signal.path.as_str()) + value
    };
    let signals = ALLOCATION_BYTES + alert.signals.iter().map(signal).sum::<usize>();
    let diagnostic = alert.diagnostic.as_ref().map_or(0, |diagnostic| {
        let code = |code: &TroubleCode| 2 * size_of::<TroubleCode>() + text_bytes(code.code.as_str());
        ALLOCATION_BYTES + diagnostic.dtcs.iter().map(code).sum::<usize>()
    });
    size_of::<Alert>() + ALLOCATION_BYTES + rule + signals + diagnostic
}

/// Returns an upper bound of what samples in columns own.
fn samples_bytes(samples: &Samples) -> usize {
    // A growing vector may have twice the capacity that it needs, and at least four entries.
    let vector = |length: usize, entry: usize| 2 * length.max(4) * entry + ALLOCATION_BYTES;
    let column = |column: &Column| {
        let path = if column.path.def().is_some() { 0 } else { text_bytes(column.path.as_str()) };
        let presence = match &column.presence {
            Presence::All => 0,
            Presence::Some(flags) => ALLOCATION_BYTES + flags.len(),
        };
        let values = match &column.values {
            Values::Grid { points, .. } => vector(points.len(), size_of::<i64>()),
            Values::Numbers(numbers) => vector(numbers.len(), size_of::<f64>()),
            Values::Bools(bools) => vector(bools.len(), size_of::<bool>()),
            Values::Texts { dictionary, indices } => {
                let texts: usize = dictionary.iter().map(|text| text_bytes(text)).sum();
                vector(indices.len(), size_of::<u32>()) + vector(dictionary.len(), size_of::<Box<str>>()) + texts
            }
            Values::Any(values) => vector(values.len(), size_of::<Value>()) + values.iter().map(value_bytes).sum::<usize>(),
        };
        path + presence + values
    };
    vector(samples.len(), size_of::<i64>())
        + vector(samples.columns().len(), size_of::<Column>())
        + samples.columns().iter().map(column).sum::<usize>()
}

/// Returns an upper bound of what the signals of a sample own, without the map itself.
pub fn signals_bytes(signals: &Signals) -> usize {
    let signal = |(path, value): (&SignalPath, &Value)| {
        // Paths of the catalogue are static.
        let path = if path.def().is_some() { 0 } else { text_bytes(path.as_str()) };
        path + value_bytes(value)
    };
    map_bytes(signals.len(), size_of::<SignalPath>() + size_of::<Value>()) + signals.iter().map(signal).sum::<usize>()
}

/// Returns an upper bound of what a value owns, without the value itself.
pub fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Bool(_) | Value::Number(_) => 0,
        Value::Text(text) => text_bytes(text),
        Value::List(list) => {
            ALLOCATION_BYTES + list.iter().map(|entry| size_of::<Value>() + value_bytes(entry)).sum::<usize>()
        }
    }
}

const fn text_bytes(text: &str) -> usize {
    ALLOCATION_BYTES + text.len()
}

/// Returns an upper bound of what a value of JSON owns.
fn json_bytes(value: &serde_json::Value) -> usize {
    let value_bytes = size_of::<serde_json::Value>();
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(_) => 0,
        serde_json::Value::Number(number) => text_bytes(&number.to_string()),
        serde_json::Value::String(text) => text_bytes(text),
        serde_json::Value::Array(list) => {
            ALLOCATION_BYTES + list.iter().map(|entry| 2 * value_bytes + json_bytes(entry)).sum::<usize>()
        }
        serde_json::Value::Object(members) => {
            let member = |(name, value): (&String, &serde_json::Value)| text_bytes(name) + json_bytes(value);
            map_bytes(members.len(), size_of::<String>() + value_bytes) + members.iter().map(member).sum::<usize>()
        }
    }
}

/// Returns an upper bound of the nodes of a B-tree map, whatever the order in which its entries were added and removed.
const fn map_bytes(entries: usize, entry_bytes: usize) -> usize {
    let leaf = NODE_BYTES + NODE_ENTRIES * entry_bytes + ALLOCATION_BYTES;
    let inner = leaf + NODE_CHILDREN * size_of::<usize>();
    if entries == 0 {
        return 0;
    }
    if entries <= NODE_ENTRIES {
        return leaf;
    }
    // Each leaf has at least five entries, and one entry between two leaves is in an inner node.
    let leaves = (entries + 1) / (MIN_NODE_ENTRIES + 1);
    let inner_nodes = 1 + leaves.saturating_sub(2) / MIN_NODE_ENTRIES;
    leaves * leaf + inner_nodes * inner
}

#[cfg(test)]
mod tests;
