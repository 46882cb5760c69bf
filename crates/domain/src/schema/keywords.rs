//! Checks of the values of keywords.

use crate::json_pointer::JsonPointer;
use serde_json::{Map, Value};

use super::SchemaFault;

/// The supported formats. They are asserted.
pub const FORMATS: [&str; 9] = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

pub(super) fn ensure(is_valid: bool, at: &JsonPointer, detail: &str) -> Result<(), SchemaFault> {
    if is_valid { Ok(()) } else { Err(SchemaFault::new(at.clone(), detail)) }
}

pub(super) fn check_type(value: &Value, at: &JsonPointer) -> Result<(), SchemaFault> {
    let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let is_valid = match value {
        Value::Array(types) => !types.is_empty() && types.iter().all(is_type) && are_distinct(types),
        one => is_type(one),
    };
    ensure(
        is_valid,
        at,
        "must be one of null, boolean, object, array, number, integer, string, or a list of them without duplicates",
    )
}

pub(super) fn check_format(value: &Value, at: &JsonPointer) -> Result<(), SchemaFault> {
    let is_supported = value.as_str().is_some_and(|name| FORMATS.contains(&name));
    ensure(is_supported, at, &format!("must be one of {}", FORMATS.join(", ")))
}

pub(super) fn check_names(value: &Value, at: &JsonPointer) -> Result<(), SchemaFault> {
    let is_valid = value.as_array().is_some_and(|names| names.iter().all(Value::is_string) && are_distinct(names));
    ensure(is_valid, at, "must be a list of names without duplicates")
}

pub(super) fn check_list<'v>(value: &'v Value, at: &JsonPointer) -> Result<&'v [Value], SchemaFault> {
    let list = value.as_array().filter(|list| !list.is_empty());
    list.map(Vec::as_slice).ok_or_else(|| SchemaFault::new(at.clone(), "must be a list with at least one item"))
}

pub(super) fn check_members<'v>(value: &'v Value, at: &JsonPointer) -> Result<&'v Map<String, Value>, SchemaFault> {
    value.as_object().ok_or_else(|| SchemaFault::new(at.clone(), "must be an object"))
}

fn are_distinct(texts: &[Value]) -> bool {
    let mut seen: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
    seen.sort_unstable();
    seen.windows(2).all(|pair| pair[0] != pair[1])
}
