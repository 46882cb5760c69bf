//! The members of a JSON object, each of them once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json_pointer::JsonPointer;
use crate::refusal::{Reason, Refusal};

/// Maximum members of an event: more than all attributes, 16 extension attributes and the data. A decompressed record has
/// room for half a million.
const MAX_MEMBERS: usize = 64;

/// Returns the members of an event, each in the bytes of the sender.
///
/// # Errors
///
/// [`Reason::NotACloudEvent`] if the JSON is not an object, has too many members, or has a member twice: parsers differ in
/// which one they use.
pub(super) fn unique_members(event: &RawValue) -> Result<BTreeMap<String, &RawValue>, Refusal> {
    let Members { by_name, duplicate, too_many } = serde_json::from_str(event.get()).map_err(|_| {
        Refusal::new(Reason::NotACloudEvent, JsonPointer::ROOT, "must be a JSON object with readable member names")
    })?;
    if too_many {
        return Err(Refusal::new(Reason::NotACloudEvent, JsonPointer::ROOT, "must have at most 16 extension attributes"));
    }
    match duplicate {
        Some(name) => Err(Refusal::new(Reason::NotACloudEvent, [name.as_str()], "the event has this member twice")),
        None => Ok(by_name),
    }
}

struct Members<'a> {
    by_name: BTreeMap<String, &'a RawValue>,
    /// The name that occurs more than once; of several, the first in alphabetical order.
    duplicate: Option<String>,
    /// Whether there are more than [`MAX_MEMBERS`]. The others are not kept.
    too_many: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut by_name: BTreeMap<String, &'de RawValue> = BTreeMap::new();
                let (mut duplicate, mut too_many): (Option<String>, bool) = (None, false);
                while let Some((name, value)) = members.next_entry::<String, &RawValue>()? {
                    let count = by_name.len();
                    match by_name.entry(name) {
                        Entry::Vacant(_) if count == MAX_MEMBERS => too_many = true,
                        Entry::Vacant(entry) => {
                            entry.insert(value);
                        }
                        Entry::Occupied(entry) => {
                            let is_first = duplicate.as_ref().is_none_or(|first| entry.key() < first);
                            duplicate = if is_first { Some(entry.key().clone()) } else { duplicate };
                        }
                    }
                }
                Ok(Members { by_name, duplicate, too_many })
            }
        }

        deserializer.deserialize_map(Object)
    }
}
