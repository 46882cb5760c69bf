//! Compatibility of a new schema version with the previous one.

use crate::json_pointer::JsonPointer;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

/// A part of a new version that may refuse data that the old version allowed, or that removes a property that readers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// JSON pointer into the new version; into the old version if the part was removed.
    pub pointer: JsonPointer,
    /// What is incompatible.
    pub detail: String,
}

/// Keywords that do not constrain data.
const ANNOTATIONS: [&str; 10] =
    ["$schema", "$id", "title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly"];
/// Keywords with their own comparison. All other keywords must not change.
const COMPARED: [&str; 20] = [
    "$defs",
    "type",
    "enum",
    "const",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Returns every incompatibility of `new` with `old`. If there is none, data that is valid under `old` is valid under
/// `new`, and `new` has every property of `old`. Both schemas must have passed [`check`](super::check).
///
/// The comparison is conservative: a change that cannot be shown to allow at least as much, such as a changed `pattern` or
/// `anyOf`, is incompatible.
pub fn incompatibilities(old: &Value, new: &Value) -> Vec<Incompatibility> {
    let mut comparison = Comparison { found: Vec::new() };
    comparison.schemas(old, new, &JsonPointer::ROOT);
    comparison.found
}

struct Comparison {
    found: Vec<Incompatibility>,
}

impl Comparison {
    fn report(&mut self, pointer: JsonPointer, detail: impl Into<String>) {
        self.found.push(Incompatibility { pointer, detail: detail.into() });
    }

    fn schemas(&mut self, old: &Value, new: &Value, pointer: &JsonPointer) {
        let empty = Map::new();
        match (old, new) {
            (old, new) if old == new => {}
            // The old schema allowed nothing.
            (Value::Bool(false), _) => {}
            (_, Value::Bool(false)) => self.report(pointer.clone(), "no value is allowed any more"),
            (old, new) => self.keywords(old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty), pointer),
        }
    }

    fn keywords(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &JsonPointer) {
        self.definitions(old, new, pointer);
        self.types(old, new, pointer);
        self.values(old, new, pointer);
        self.members(old, new, pointer);
        let anything = Value::Bool(true);
        self.schemas(old.get("items").unwrap_or(&anything), new.get("items").unwrap_or(&anything), &pointer.child("items"));
        self.bounds(old, new, pointer);
        for keyword in ["pattern", "format"] {
            if new.get(keyword).is_some_and(|value| old.get(keyword) != Some(value)) {
                self.report(pointer.child(keyword), "was added or changed");
            }
        }
        let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for keyword in all {
            let name = keyword.as_str();
            let is_other = !ANNOTATIONS.contains(&name) && !COMPARED.contains(&name);
            if is_other && old.get(keyword) != new.get(keyword) {
                self.report(pointer.child(keyword), "must not change: versions of this keyword cannot be compared");
            }
        }
    }

    /// A definition must not change: it may be referenced below `not`, where allowing more refuses more.
    fn definitions(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &JsonPointer) {
        let at = pointer.child("$defs");
        for (name, definition) in old.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            if new.get("$defs").and_then(|definitions| definitions.get(name)) != Some(definition) {
                self.report(at.child(name), "a definition must not change; add a new definition instead");
            }
        }
    }

    fn types(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &JsonPointer) {
        let Some(now) = new.get("type").map(names) else { return };
        let before = old.get("type").map_or_else(|| types_without_keyword(old), names);
        let is_allowed = |name: &str| now.contains(&name) || (name == "integer" && now.contains(&"number"));
        let removed: Vec<&str> = before.into_iter().filter(|name| !is_allowed(name)).collect();
        if !removed.is_empty() {
            self.report(pointer.child("type"), format!("no longer allows {}", removed.join(", ")));
        }
    }

    fn values(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &JsonPointer) {
        let before = listed(old, "const").or_else(|| listed(old, "enum"));
        for keyword in ["const", "enum"] {
            let Some(now) = listed(new, keyword) else { continue };
            let detail = match before {
                None => "any value was allowed before",
                Some(before) if before.iter().any(|value| !now.contains(value)) => "an allowed value was removed",
                Some(_) => continue,
            };
            self.report(pointer.child(keyword), detail);
        }
    }

    fn members(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &JsonPointer) {
        let required_before: Vec<&str> = old.get("required").map(names).unwrap_or_default();
        for name in new.get("required").map(names).unwrap_or_default() {
            if !required_before.contains(&name) {
                self.report(pointer.child("required"), format!("{name:?} was not required before"));
            }
        }
        let anything = Value::Bool(true);
        let others_before = old.get("additionalProperties").unwrap_or(&anything);
        let others_now = new.get("additionalProperties").unwrap_or(&anything);
        self.schemas(others_before, others_now, &pointer.child("additionalProperties"));
        let before = old.get("properties").and_then(Value::as_object);
        let now = new.get("properties").and_then(Value::as_object);
        let at = pointer.child("properties");
        for name in before.into_iter().flat_map(Map::keys).filter(|name| now.is_none_or(|now| !now.contains_key(*name))) {
            self.report(at.child(name), "property was removed");
        }
        for (name, schema) in now.into_iter().flatten() {
            // Before, a new property was allowed as an additional property, unless the object was closed.
            let before = before.and_then(|before| before.get(name)).unwrap_or(others_before);
            self.schemas(before, schema, &at.child(name));
        }
    }

    fn bounds(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &JsonPointer) {
        let number = |schema: &Map<String, Value>, keyword: &str| schema.get(keyword).and_then(Value::as_number).cloned();
        let (below, above) = (Some(Ordering::Less), Some(Ordering::Greater));
        let equal = Some(Ordering::Equal);
        // Each entry: the keyword, the other keyword of its pair, the order of a tighter old bound relative to the new
        // one, and whether an equal bound of the other keyword is as tight.
        for (keyword, other, tighter, equal_is_as_tight) in [
            ("minimum", "exclusiveMinimum", above, true),
            ("maximum", "exclusiveMaximum", below, true),
            ("exclusiveMinimum", "minimum", above, false),
            ("exclusiveMaximum", "maximum", below, false),
            ("minLength", "", above, false),
            ("maxLength", "", below, false),
            ("minItems", "", above, false),
            ("maxItems", "", below, false),
            ("minProperties", "", above, false),
            ("maxProperties", "", below, false),
        ] {
            let Some(now) = number(new, keyword) else { continue };
            let is_as_tight = |before: Option<Number>, equal_is_as_tight: bool| {
                before
                    .map(|before| compare(&before, &now))
                    .is_some_and(|order| order == tighter || (equal_is_as_tight && order == equal))
            };
            // An unchanged bound is compatible. So is an old bound of the other keyword that is at least as tight.
            if !is_as_tight(number(old, keyword), true) && !is_as_tight(number(old, other), equal_is_as_tight) {
                self.report(pointer.child(keyword), "a wider range was allowed before");
            }
        }
    }
}

/// Returns the order of two numbers; `None` if it cannot be determined exactly.
fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    let integer = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (integer(a), integer(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (a_integer, b_integer) => {
            // Above 2^53 not every integer is a double.
            let exact = |integer: Option<i128>| integer.is_none_or(|integer| integer.unsigned_abs() <= 1 << 53);
            (exact(a_integer) && exact(b_integer)).then(|| a.as_f64()?.partial_cmp(&b.as_f64()?)).flatten()
        }
    }
}

/// Returns the JSON types that a schema without `type` allows.
fn types_without_keyword(schema: &Map<String, Value>) -> Vec<&'static str> {
    let of = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match listed(schema, "const").or_else(|| listed(schema, "enum")) {
        Some(values) => values.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect(),
        None => vec!["null", "boolean", "object", "array", "number", "string"],
    }
}

/// Returns the values of `const` or `enum`.
fn listed<'s>(schema: &'s Map<String, Value>, keyword: &str) -> Option<&'s [Value]> {
    let value = schema.get(keyword)?;
    if keyword == "const" { Some(std::slice::from_ref(value)) } else { value.as_array().map(Vec::as_slice) }
}

/// Returns one name or a list of names as a list.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
