//! The events of one upload by vehicle, `source` and `id`. CloudEvents requires that different events differ in them.

use std::collections::HashMap;

use roadcast_domain::ids::Eid;
use serde_json::value::RawValue;

use super::EventError;

/// The valid events of an upload so far.
#[derive(Default)]
pub(super) struct Identities<'a>(HashMap<u128, (Eid, &'a RawValue)>);

impl<'a> Identities<'a> {
    /// Adds a valid event. The same event may be sent repeatedly.
    ///
    /// Fails with `Conflict` if another event of the upload has the same vehicle, `source` and `id`: of two such events with
    /// the same time, only one would be stored, and two with different times would be stored as different events.
    pub(super) fn add(&mut self, eid: Eid, event: &'a RawValue) -> Result<(), EventError> {
        let (first_eid, first) = *self.0.entry(eid.hash()).or_insert((eid, event));
        if first_eid == eid && has_same_content(first, event) { Ok(()) } else { Err(EventError::Conflict) }
    }
}

fn has_same_content(one: &RawValue, other: &RawValue) -> bool {
    let content = |event: &RawValue| {
        let event: serde_json::Value = serde_json::from_str(event.get()).unwrap_or_default();
        ["type", "data", "data_base64"].map(|member| event.get(member).cloned())
    };
    one.get() == other.get() || content(one) == content(other)
}
