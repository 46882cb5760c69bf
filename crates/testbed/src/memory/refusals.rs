//! What the stores and buses on AWS refuse because of the data, and further refusals that a test chooses.

use std::collections::BTreeSet;

use roadcast_codec::{bus_entry, vehicle_state};
use roadcast_domain::ids::Eid;
use roadcast_domain::state::VehicleState;
use roadcast_ports::bus::{ENTRY_BYTES, entry_bytes};
use roadcast_ports::{PortError, PortErrorKind};

use crate::items::ITEM_BYTES;

/// Events that a test lets a port refuse, in addition to what the service on AWS refuses.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    pub(super) on_bus: BTreeSet<Eid>,
    pub(super) in_state: BTreeSet<Eid>,
}

impl Refusals {
    /// Refuses an entry as EventBridge does. The local endpoint accepts all of them, so tests rely on this check.
    pub(super) fn check_entry(&self, events: &[String]) -> Result<(), PortError> {
        check_entry(events)?;
        if self.on_bus.is_empty() {
            return Ok(());
        }
        let decoded = events.iter().filter_map(|json| bus_entry::decode(json).ok());
        let is_refused = decoded.flat_map(|entry| entry.events).any(|event| self.on_bus.contains(&event.eid));
        if is_refused { Err(PortError::new(PortErrorKind::Rejected, "publishing a refused event")) } else { Ok(()) }
    }

    /// Refuses a merge of readings that `DynamoDB` cannot store in one item, or that the test has chosen.
    pub(super) fn check_state(&self, merged: &VehicleState, readings: &VehicleState) -> Result<(), PortError> {
        let bytes = vehicle_state::encode(merged)
            .map_err(|error| PortError::new(PortErrorKind::Rejected, "encoding a state").caused_by(error))?;
        if bytes.len() + STATE_OVERHEAD_BYTES > ITEM_BYTES {
            return Err(PortError::new(PortErrorKind::Rejected, "merging a state of more than 400 KB"));
        }
        if readings.event_ids().is_disjoint(&self.in_state) {
            Ok(())
        } else {
            Err(PortError::new(PortErrorKind::Rejected, "merging a refused event"))
        }
    }
}

/// At least the bytes of a state's item without the state: names, vehicle id and revision.
const STATE_OVERHEAD_BYTES: usize = 64;

/// Refuses an entry of more than 1 MB, a number that a 64-bit integer or a double cannot hold, and deep nesting, as
/// `PutEvents` documents.
pub(super) fn check_entry(events: &[String]) -> Result<(), PortError> {
    if entry_bytes(events) > ENTRY_BYTES {
        return Err(PortError::new(PortErrorKind::Rejected, "publishing an entry of more than 1 MB"));
    }
    if events.iter().all(|json| is_accepted_json(json)) {
        Ok(())
    } else {
        Err(PortError::new(PortErrorKind::Rejected, "publishing an entry with malformed detail"))
    }
}

/// The depth of nesting that EventBridge processes.
const MAX_DEPTH: usize = 1100;

fn is_accepted_json(json: &str) -> bool {
    let (mut rest, mut depth) = (json, 0_usize);
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '"' => string_bytes(rest),
            '-' | '0'..='9' => {
                let length =
                    rest.find(|c: char| !matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9')).unwrap_or(rest.len());
                if !is_accepted_number(&rest[..length]) {
                    return false;
                }
                length
            }
            '[' | '{' => {
                depth += 1;
                1
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => c.len_utf8(),
        };
        if depth > MAX_DEPTH {
            return false;
        }
        rest = &rest[length..];
    }
    true
}

/// Returns the length of the JSON string at the start of `json`, with its quotes.
fn string_bytes(json: &str) -> usize {
    let mut is_escaped = false;
    for (index, c) in json.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    json.len()
}

fn is_accepted_number(number: &str) -> bool {
    if number.contains(['.', 'e', 'E']) {
        number.parse::<f64>().is_ok_and(f64::is_finite)
    } else {
        number.parse::<i64>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bus_refuses_numbers_beyond_64_bits_and_deep_nesting() {
        for json in ["9223372036854775807", "-9223372036854775808", "1e308", r#"{"a\"":"9223372036854775808"}"#, "[[1.5]]"] {
            assert!(is_accepted_json(json), "{json}");
        }
        for json in ["9223372036854775808", r#"{"a":[1,-9223372036854775809]}"#, "1e400", &"[".repeat(1101)] {
            assert!(!is_accepted_json(json), "{json}");
        }
    }
}
