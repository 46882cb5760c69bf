//! Whether a version of a schema may follow another.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use super::pointer_to;

/// A part of a new version that may refuse what the old one allowed, or that takes away what readers look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// JSON pointer into the new version; into the old one where it is about something that is gone.
    pub pointer: String,
    /// What it is.
    pub detail: String,
}

/// Keywords that say nothing about data.
const ANNOTATIONS: [&str; 10] =
    ["$schema", "$id", "title", "description", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly"];
/// Keywords that are compared one by one, below. All others must be the same.
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

/// Everything that keeps `new` from following `old`. Where there is nothing, data that is valid under `old` is valid under
/// `new`, and every field of `old` is still there. Both must be [taken](super::check).
///
/// It is careful: what cannot be seen to allow as much, such as a changed `pattern` or `anyOf`, counts as incompatible.
pub fn incompatibilities(old: &Value, new: &Value) -> Vec<Incompatibility> {
    let mut comparison = Comparison { found: Vec::new() };
    comparison.schemas(old, new, "");
    comparison.found
}

struct Comparison {
    found: Vec<Incompatibility>,
}

impl Comparison {
    fn note(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.found.push(Incompatibility { pointer: pointer.into(), detail: detail.into() });
    }

    fn schemas(&mut self, old: &Value, new: &Value, pointer: &str) {
        let nothing = Map::new();
        match (old, new) {
            (old, new) if old == new => {}
            // Nothing was allowed before.
            (Value::Bool(false), _) => {}
            (_, Value::Bool(false)) => self.note(pointer, "nothing is allowed here any more"),
            (old, new) => self.keywords(old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing), pointer),
        }
    }

    fn keywords(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str) {
        self.definitions(old, new, pointer);
        self.types(old, new, pointer);
        self.values(old, new, pointer);
        self.members(old, new, pointer);
        let anything = Value::Bool(true);
        self.schemas(
            old.get("items").unwrap_or(&anything),
            new.get("items").unwrap_or(&anything),
            &pointer_to(pointer, "items"),
        );
        self.bounds(old, new, pointer);
        for keyword in ["pattern", "format"] {
            if new.get(keyword).is_some_and(|value| old.get(keyword) != Some(value)) {
                self.note(pointer_to(pointer, keyword), "was not asked for, or another was");
            }
        }
        let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for keyword in all {
            let name = keyword.as_str();
            let is_other = !ANNOTATIONS.contains(&name) && !COMPARED.contains(&name);
            if is_other && old.get(keyword) != new.get(keyword) {
                self.note(pointer_to(pointer, keyword), "a keyword whose versions cannot be compared must stay as it is");
            }
        }
    }

    /// What is referred to must stay as it is: a reference may stand under `not`, where more would be less.
    fn definitions(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str) {
        let at = pointer_to(pointer, "$defs");
        for (name, definition) in old.get("$defs").and_then(Value::as_object).into_iter().flatten() {
            if new.get("$defs").and_then(|definitions| definitions.get(name)) != Some(definition) {
                self.note(pointer_to(&at, name), "a definition must stay as it is; add another");
            }
        }
    }

    fn types(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str) {
        let Some(now) = new.get("type").map(names) else { return };
        let before = old.get("type").map_or_else(|| types_of_any(old), names);
        let holds = |name: &str| now.contains(&name) || (name == "integer" && now.contains(&"number"));
        let lost: Vec<&str> = before.into_iter().filter(|name| !holds(name)).collect();
        if !lost.is_empty() {
            self.note(pointer_to(pointer, "type"), format!("no longer allows {}", lost.join(", ")));
        }
    }

    fn values(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str) {
        let before = listed(old, "const").or_else(|| listed(old, "enum"));
        for keyword in ["const", "enum"] {
            let Some(now) = listed(new, keyword) else { continue };
            let detail = match before {
                None => "any value was allowed",
                Some(before) if before.iter().any(|value| !now.contains(value)) => "a value that was allowed is gone",
                Some(_) => continue,
            };
            self.note(pointer_to(pointer, keyword), detail);
        }
    }

    fn members(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str) {
        let asked: Vec<&str> = old.get("required").map(names).unwrap_or_default();
        for name in new.get("required").map(names).unwrap_or_default() {
            if !asked.contains(&name) {
                self.note(pointer_to(pointer, "required"), format!("{name:?} was not required"));
            }
        }
        let anything = Value::Bool(true);
        let others_before = old.get("additionalProperties").unwrap_or(&anything);
        let others_now = new.get("additionalProperties").unwrap_or(&anything);
        self.schemas(others_before, others_now, &pointer_to(pointer, "additionalProperties"));
        let before = old.get("properties").and_then(Value::as_object);
        let now = new.get("properties").and_then(Value::as_object);
        let at = pointer_to(pointer, "properties");
        for name in before.into_iter().flat_map(Map::keys).filter(|name| now.is_none_or(|now| !now.contains_key(*name))) {
            self.note(pointer_to(&at, name), "a field is gone");
        }
        for (name, schema) in now.into_iter().flatten() {
            // What is new here was allowed as any other member before, unless the object was closed.
            let before = before.and_then(|before| before.get(name)).unwrap_or(others_before);
            self.schemas(before, schema, &pointer_to(&at, name));
        }
    }

    fn bounds(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, pointer: &str) {
        let number = |schema: &Map<String, Value>, keyword: &str| schema.get(keyword).and_then(Value::as_number).cloned();
        let (below, above) = (Some(Ordering::Less), Some(Ordering::Greater));
        let equal = Some(Ordering::Equal);
        // Each: the keyword, the one that is as strict or stricter, and what a bound that was there must be to the new one.
        for (keyword, exclusive, tighter, alike) in [
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
            let is_kept = |before: Option<Number>, alike: bool| {
                before
                    .map(|before| compare(&before, &now))
                    .is_some_and(|order| order == tighter || (alike && order == equal))
            };
            // The same keyword may stay as it is; the other of the pair may where it says no less.
            if !is_kept(number(old, keyword), true) && !is_kept(number(old, exclusive), alike) {
                self.note(pointer_to(pointer, keyword), "a wider range was allowed");
            }
        }
    }
}

/// The order of two numbers, where it can be told exactly.
fn compare(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (a_whole, b_whole) => {
            // Above 2^53 not every whole number is a double.
            let exact = |whole: Option<i128>| whole.is_none_or(|whole| whole.unsigned_abs() <= 1 << 53);
            (exact(a_whole) && exact(b_whole)).then(|| a.as_f64()?.partial_cmp(&b.as_f64()?)).flatten()
        }
    }
}

/// The types of what a schema without `type` allows.
fn types_of_any(schema: &Map<String, Value>) -> Vec<&'static str> {
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

/// The values that a keyword lists.
fn listed<'s>(schema: &'s Map<String, Value>, keyword: &str) -> Option<&'s [Value]> {
    let value = schema.get(keyword)?;
    if keyword == "const" { Some(std::slice::from_ref(value)) } else { value.as_array().map(Vec::as_slice) }
}

/// One name, or a list of them.
fn names(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}
