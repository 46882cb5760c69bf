//! Which schemas are taken.
//!
//! The vocabulary is closed: a keyword that is not listed here is refused, because a misspelt one would check nothing. It leaves
//! out what reaches beyond the schema (`$ref` to anywhere else, `$dynamicRef`, `$anchor`), what cannot be compared between
//! versions beside other keywords (`patternProperties`, `unevaluatedProperties`, `unevaluatedItems`), and recursion. So what it
//! costs to hold data against a schema has a bound that can be told from the schema alone: so many checks for each value of the
//! data, [`limits::SCHEMA_CHECKS`] at most.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{SchemaFault, pointer_to};
use crate::limits;

/// The formats that are asserted.
pub const FORMATS: [&str; 9] = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// The dialect that is spoken.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];
/// What a pattern counts for, in checks.
const PATTERN_CHECKS: usize = 8;
/// Values of an enumeration that count as one check.
const ENUM_VALUES_PER_CHECK: usize = 16;

/// A regular expression of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// JSON pointer to it, within the schema.
    pub pointer: String,
    /// The expression.
    pub expression: String,
}

/// Checks that a schema is one that is taken, and answers its patterns: whether they are regular expressions is left to whoever
/// compiles them.
pub fn check(schema: &Value) -> Result<Vec<Pattern>, SchemaFault> {
    if schema.to_string().len() > limits::SCHEMA_BYTES {
        return Err(SchemaFault::new("", format!("at most {} bytes", limits::SCHEMA_BYTES)));
    }
    let Value::Object(root) = schema else {
        return Err(SchemaFault::new("", "a schema is a JSON object"));
    };
    if root.get("$schema").is_some_and(|dialect| dialect.as_str().map(|text| text.trim_end_matches('#')) != Some(DIALECT)) {
        return Err(SchemaFault::new("/$schema", format!("must be {DIALECT}, or absent")));
    }
    if root.get("$id").is_some_and(|id| !id.is_string()) {
        return Err(SchemaFault::new("/$id", "must be a text"));
    }
    let definitions = match root.get("$defs") {
        None => None,
        Some(Value::Object(definitions)) => Some(definitions),
        Some(_) => return Err(SchemaFault::new("/$defs", "must be an object of schemas")),
    };
    let mut reader = Reader { definitions, known: BTreeMap::new(), patterns: Vec::new() };
    // Those that nothing refers to are checked as well.
    for name in definitions.into_iter().flat_map(Map::keys) {
        reader.definition(name, "/$defs", 0)?;
    }
    let load = reader.schema(schema, "", 0)?;
    if load.most() > limits::SCHEMA_CHECKS {
        let detail = format!(
            "asks for {} checks of one value, and at most {} are made: fewer alternatives, patterns or values in one place",
            load.most(),
            limits::SCHEMA_CHECKS
        );
        return Err(SchemaFault::new("", detail));
    }
    if load.deep > limits::SCHEMA_DEPTH {
        return Err(too_deep(""));
    }
    Ok(reader.patterns)
}

fn too_deep(pointer: &str) -> SchemaFault {
    SchemaFault::new(
        pointer,
        format!("at most {} schemas within one another, what is referred to included", limits::SCHEMA_DEPTH),
    )
}

/// How many checks a schema asks for: of the value that it is about, and of any one value within. And how many schemas lie within
/// one another.
#[derive(Copy, Clone, Debug)]
struct Load {
    here: usize,
    within: usize,
    deep: usize,
}

impl Load {
    fn most(self) -> usize {
        self.here.max(self.within)
    }

    /// A schema about the same value.
    fn beside(&mut self, other: Self) {
        self.here = self.here.saturating_add(other.here);
        self.within = self.within.saturating_add(other.within);
        self.deep = self.deep.max(other.deep + 1);
    }

    /// A schema about a value within.
    fn below(&mut self, other: Self) -> usize {
        self.deep = self.deep.max(other.deep + 1);
        other.most()
    }
}

struct Reader<'s> {
    definitions: Option<&'s Map<String, Value>>,
    /// Definitions that were read; nothing where one is being read.
    known: BTreeMap<&'s str, Option<Load>>,
    patterns: Vec<Pattern>,
}

impl<'s> Reader<'s> {
    fn definition(&mut self, name: &str, pointer: &str, depth: usize) -> Result<Load, SchemaFault> {
        let Some((name, schema)) = self.definitions.and_then(|definitions| definitions.get_key_value(name)) else {
            return Err(SchemaFault::new(pointer, "names nothing in $defs"));
        };
        match self.known.get(name.as_str()) {
            Some(Some(load)) => Ok(*load),
            Some(None) => Err(SchemaFault::new(pointer, "a schema must not refer to itself")),
            None => {
                self.known.insert(name, None);
                let load = self.schema(schema, &pointer_to("/$defs", name), depth + 1)?;
                self.known.insert(name, Some(load));
                Ok(load)
            }
        }
    }

    fn schema(&mut self, schema: &'s Value, pointer: &str, depth: usize) -> Result<Load, SchemaFault> {
        if depth > limits::SCHEMA_DEPTH {
            return Err(too_deep(pointer));
        }
        let keywords = match schema {
            Value::Bool(_) => return Ok(Load { here: 1, within: 0, deep: 1 }),
            Value::Object(keywords) => keywords,
            _ => return Err(SchemaFault::new(pointer, "a schema is an object, true or false")),
        };
        let mut load = Load { here: 1, within: 0, deep: 1 };
        // A value within is one member or one element: only one of these schemas is about it. Those of `beside` all are.
        let (mut one_of_them, mut beside) = (0, 0_usize);
        for (keyword, value) in keywords {
            let at = pointer_to(pointer, keyword);
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" if pointer.is_empty() => {}
                // Of any form.
                "title" | "description" | "$comment" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly"
                | "const" => {}
                "type" => check_type(value, &at)?,
                "enum" => load.here += check_list(value, &at)?.len().div_ceil(ENUM_VALUES_PER_CHECK),
                "format" => check_format(value, &at)?,
                "pattern" => {
                    self.check_pattern(value, &at)?;
                    load.here += PATTERN_CHECKS;
                }
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                    wrong_unless(value.is_number(), &at, "must be a number")?;
                }
                "multipleOf" => {
                    wrong_unless(value.as_f64().is_some_and(|step| step > 0.0), &at, "must be a number above 0")?;
                }
                "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
                | "maxContains" => wrong_unless(value.is_u64(), &at, "must be a whole number, not below 0")?,
                "uniqueItems" => wrong_unless(value.is_boolean(), &at, "must be true or false")?,
                "required" => check_names(value, &at)?,
                "dependentRequired" => {
                    for (name, names) in check_members(value, &at)? {
                        check_names(names, &pointer_to(&at, name))?;
                    }
                }
                "$ref" => {
                    let name = value.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
                    let plain = name.filter(|name| !name.contains(['/', '~', '%']));
                    let Some(name) = plain else {
                        let detail = "must be #/$defs/ and a name: nothing beyond the schema is ever fetched";
                        return Err(SchemaFault::new(at, detail));
                    };
                    load.beside(self.definition(name, &at, depth)?);
                }
                "allOf" | "anyOf" | "oneOf" => {
                    for (place, schema) in check_list(value, &at)?.iter().enumerate() {
                        load.beside(self.schema(schema, &pointer_to(&at, &place.to_string()), depth + 1)?);
                    }
                }
                "not" | "if" | "then" | "else" => load.beside(self.schema(value, &at, depth + 1)?),
                "dependentSchemas" => {
                    for (name, schema) in check_members(value, &at)? {
                        load.beside(self.schema(schema, &pointer_to(&at, name), depth + 1)?);
                    }
                }
                "properties" => {
                    for (name, schema) in check_members(value, &at)? {
                        let member = self.schema(schema, &pointer_to(&at, name), depth + 1)?;
                        one_of_them = load.below(member).max(one_of_them);
                    }
                }
                "prefixItems" => {
                    for (place, schema) in check_list(value, &at)?.iter().enumerate() {
                        let element = self.schema(schema, &pointer_to(&at, &place.to_string()), depth + 1)?;
                        one_of_them = load.below(element).max(one_of_them);
                    }
                }
                "additionalProperties" | "items" => {
                    let other = self.schema(value, &at, depth + 1)?;
                    one_of_them = load.below(other).max(one_of_them);
                }
                "contains" | "propertyNames" => {
                    let some = self.schema(value, &at, depth + 1)?;
                    beside = beside.saturating_add(load.below(some));
                }
                _ => return Err(SchemaFault::new(at, "not a keyword that is taken; docs/custom-events.md lists them")),
            }
        }
        load.within = load.within.saturating_add(one_of_them).saturating_add(beside);
        Ok(load)
    }

    fn check_pattern(&mut self, value: &Value, at: &str) -> Result<(), SchemaFault> {
        let short = value.as_str().filter(|expression| expression.len() <= limits::SCHEMA_PATTERN_BYTES);
        let Some(expression) = short else {
            let detail = format!("must be a text of at most {} bytes", limits::SCHEMA_PATTERN_BYTES);
            return Err(SchemaFault::new(at, detail));
        };
        self.patterns.push(Pattern { pointer: at.to_owned(), expression: expression.to_owned() });
        let detail = format!("at most {} patterns in a schema", limits::SCHEMA_PATTERNS);
        wrong_unless(self.patterns.len() <= limits::SCHEMA_PATTERNS, at, &detail)
    }
}

fn wrong_unless(right: bool, at: &str, detail: &str) -> Result<(), SchemaFault> {
    if right { Ok(()) } else { Err(SchemaFault::new(at, detail)) }
}

fn check_type(value: &Value, at: &str) -> Result<(), SchemaFault> {
    let is_type = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let right = match value {
        Value::Array(types) => !types.is_empty() && types.iter().all(is_type) && all_differ(types),
        one => is_type(one),
    };
    wrong_unless(right, at, "must be one of null, boolean, object, array, number, integer, string, or a list of some")
}

fn check_format(value: &Value, at: &str) -> Result<(), SchemaFault> {
    let known = value.as_str().is_some_and(|name| FORMATS.contains(&name));
    wrong_unless(known, at, &format!("must be one of {}", FORMATS.join(", ")))
}

fn check_names(value: &Value, at: &str) -> Result<(), SchemaFault> {
    let right = value.as_array().is_some_and(|names| names.iter().all(Value::is_string) && all_differ(names));
    wrong_unless(right, at, "must be a list of names, each once")
}

fn check_list<'v>(value: &'v Value, at: &str) -> Result<&'v [Value], SchemaFault> {
    let list = value.as_array().filter(|list| !list.is_empty());
    list.map(Vec::as_slice).ok_or_else(|| SchemaFault::new(at, "must be a list that is not empty"))
}

fn check_members<'v>(value: &'v Value, at: &str) -> Result<&'v Map<String, Value>, SchemaFault> {
    value.as_object().ok_or_else(|| SchemaFault::new(at, "must be an object"))
}

fn all_differ(texts: &[Value]) -> bool {
    let mut seen: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
    seen.sort_unstable();
    seen.windows(2).all(|pair| pair[0] != pair[1])
}
