//! Checks that a schema is supported.
//!
//! The vocabulary is closed: an unsupported keyword is refused, because a misspelled one would check nothing. It excludes
//! references outside the schema (`$ref` to another document, `$dynamicRef`, `$anchor`), keywords that cannot be compared
//! between versions in combination with others (`patternProperties`, `unevaluatedProperties`, `unevaluatedItems`), and
//! recursion. Therefore the cost of validating data is limited by the schema alone: at most [`limits::SCHEMA_CHECKS`]
//! checks for each value of the data.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::SchemaFault;
use super::keywords::{check_format, check_list, check_members, check_names, check_type, ensure};
use crate::json_pointer::JsonPointer;
use crate::limits;

/// The supported dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// The number of checks that a pattern counts as.
const PATTERN_CHECKS: usize = 8;
/// The number of `enum` values that count as one check.
const ENUM_VALUES_PER_CHECK: usize = 16;

/// A regular expression of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// JSON pointer to the expression in the schema.
    pub pointer: JsonPointer,
    /// The expression.
    pub expression: String,
}

/// Checks that a schema is supported. Returns its patterns; the caller checks that they are valid regular expressions
/// when it compiles them.
pub fn check(schema: &Value) -> Result<Vec<Pattern>, SchemaFault> {
    if schema.to_string().len() > limits::SCHEMA_BYTES {
        return Err(SchemaFault::new(JsonPointer::ROOT, format!("must have at most {} bytes", limits::SCHEMA_BYTES)));
    }
    let Value::Object(root) = schema else {
        return Err(SchemaFault::new(JsonPointer::ROOT, "must be a JSON object"));
    };
    if root.get("$schema").is_some_and(|dialect| dialect.as_str().map(|text| text.trim_end_matches('#')) != Some(DIALECT)) {
        return Err(SchemaFault::new(["$schema"], format!("must be {DIALECT} or absent")));
    }
    if root.get("$id").is_some_and(|id| !id.is_string()) {
        return Err(SchemaFault::new(["$id"], "must be a string"));
    }
    let definitions = match root.get("$defs") {
        None => None,
        Some(Value::Object(definitions)) => Some(definitions),
        Some(_) => return Err(SchemaFault::new(["$defs"], "must be an object of schemas")),
    };
    let mut checker = SchemaChecker { definitions, costs: BTreeMap::new(), patterns: Vec::new() };
    // Definitions without a reference are checked, too.
    for name in definitions.into_iter().flat_map(Map::keys) {
        checker.definition(name, &["$defs"].into(), 0)?;
    }
    let cost = checker.schema(schema, &JsonPointer::ROOT, 0)?;
    if cost.max_checks() > limits::SCHEMA_CHECKS {
        let detail = format!(
            "needs {} checks of one value, at most {} are allowed; use fewer alternatives, patterns or values in one place",
            cost.max_checks(),
            limits::SCHEMA_CHECKS
        );
        return Err(SchemaFault::new(JsonPointer::ROOT, detail));
    }
    if cost.depth > limits::SCHEMA_DEPTH {
        return Err(too_deep(&JsonPointer::ROOT));
    }
    Ok(checker.patterns)
}

fn too_deep(pointer: &JsonPointer) -> SchemaFault {
    SchemaFault::new(
        pointer.clone(),
        format!("must have at most {} levels of nested schemas, including referenced ones", limits::SCHEMA_DEPTH),
    )
}

/// The cost of a schema.
#[derive(Copy, Clone, Debug)]
struct Cost {
    /// Checks of the value itself.
    own: usize,
    /// Maximum checks of any one nested value.
    nested: usize,
    /// Nesting depth of the schemas.
    depth: usize,
}

impl Cost {
    const ONE_CHECK: Self = Self { own: 1, nested: 0, depth: 1 };

    fn max_checks(self) -> usize {
        self.own.max(self.nested)
    }

    /// Adds the cost of a subschema that applies to the same value.
    fn add_same_value(&mut self, other: Self) {
        self.own = self.own.saturating_add(other.own);
        self.nested = self.nested.saturating_add(other.nested);
        self.depth = self.depth.max(other.depth + 1);
    }

    /// Adds the depth of a subschema that applies to a nested value. Returns its checks.
    fn add_nested_value(&mut self, other: Self) -> usize {
        self.depth = self.depth.max(other.depth + 1);
        other.max_checks()
    }
}

struct SchemaChecker<'s> {
    definitions: Option<&'s Map<String, Value>>,
    /// Costs of the definitions that were checked; `None` while a definition is being checked.
    costs: BTreeMap<&'s str, Option<Cost>>,
    patterns: Vec<Pattern>,
}

impl<'s> SchemaChecker<'s> {
    fn definition(&mut self, name: &str, pointer: &JsonPointer, depth: usize) -> Result<Cost, SchemaFault> {
        let Some((name, schema)) = self.definitions.and_then(|definitions| definitions.get_key_value(name)) else {
            return Err(SchemaFault::new(pointer.clone(), "refers to a definition that does not exist in $defs"));
        };
        match self.costs.get(name.as_str()) {
            Some(Some(cost)) => Ok(*cost),
            Some(None) => {
                Err(SchemaFault::new(pointer.clone(), "a schema must not refer to itself, directly or indirectly"))
            }
            None => {
                self.costs.insert(name, None);
                let cost = self.schema(schema, &JsonPointer::from(["$defs", name]), depth + 1)?;
                self.costs.insert(name, Some(cost));
                Ok(cost)
            }
        }
    }

    fn schema(&mut self, schema: &'s Value, pointer: &JsonPointer, depth: usize) -> Result<Cost, SchemaFault> {
        if depth > limits::SCHEMA_DEPTH {
            return Err(too_deep(pointer));
        }
        let keywords = match schema {
            Value::Bool(_) => return Ok(Cost::ONE_CHECK),
            Value::Object(keywords) => keywords,
            _ => return Err(SchemaFault::new(pointer.clone(), "must be an object, true or false")),
        };
        let mut cost = Cost::ONE_CHECK;
        // A nested value is one member or one element, so only one of the schemas of `properties` or `items` applies to
        // it. All schemas of `contains` and `propertyNames` apply to it.
        let (mut exclusive, mut additional) = (0, 0_usize);
        for (keyword, value) in keywords {
            let at = pointer.child(keyword);
            match keyword.as_str() {
                "$schema" | "$id" | "$defs" if pointer.is_root() => {}
                // Any value is allowed.
                "title" | "description" | "$comment" | "default" | "examples" | "deprecated" | "readOnly" | "writeOnly"
                | "const" => {}
                "type" => check_type(value, &at)?,
                "enum" => cost.own += check_list(value, &at)?.len().div_ceil(ENUM_VALUES_PER_CHECK),
                "format" => check_format(value, &at)?,
                "pattern" => {
                    self.check_pattern(value, &at)?;
                    cost.own += PATTERN_CHECKS;
                }
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                    ensure(value.is_number(), &at, "must be a number")?;
                }
                "multipleOf" => {
                    ensure(value.as_f64().is_some_and(|step| step > 0.0), &at, "must be a number greater than 0")?;
                }
                "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
                | "maxContains" => ensure(value.is_u64(), &at, "must be an integer of at least 0")?,
                "uniqueItems" => ensure(value.is_boolean(), &at, "must be true or false")?,
                "required" => check_names(value, &at)?,
                "dependentRequired" => {
                    for (name, names) in check_members(value, &at)? {
                        check_names(names, &at.child(name))?;
                    }
                }
                "$ref" => {
                    let name = value.as_str().and_then(|text| text.strip_prefix("#/$defs/"));
                    let plain = name.filter(|name| !name.contains(['/', '~', '%']));
                    let Some(name) = plain else {
                        let detail = "must be #/$defs/ followed by a name; other documents are never fetched";
                        return Err(SchemaFault::new(at.clone(), detail));
                    };
                    cost.add_same_value(self.definition(name, &at, depth)?);
                }
                "allOf" | "anyOf" | "oneOf" => {
                    for (index, schema) in check_list(value, &at)?.iter().enumerate() {
                        cost.add_same_value(self.schema(schema, &at.index(index), depth + 1)?);
                    }
                }
                "not" | "if" | "then" | "else" => cost.add_same_value(self.schema(value, &at, depth + 1)?),
                "dependentSchemas" => {
                    for (name, schema) in check_members(value, &at)? {
                        cost.add_same_value(self.schema(schema, &at.child(name), depth + 1)?);
                    }
                }
                "properties" => {
                    for (name, schema) in check_members(value, &at)? {
                        let member = self.schema(schema, &at.child(name), depth + 1)?;
                        exclusive = cost.add_nested_value(member).max(exclusive);
                    }
                }
                "prefixItems" => {
                    for (index, schema) in check_list(value, &at)?.iter().enumerate() {
                        let element = self.schema(schema, &at.index(index), depth + 1)?;
                        exclusive = cost.add_nested_value(element).max(exclusive);
                    }
                }
                "additionalProperties" | "items" => {
                    let other = self.schema(value, &at, depth + 1)?;
                    exclusive = cost.add_nested_value(other).max(exclusive);
                }
                "contains" | "propertyNames" => {
                    let some = self.schema(value, &at, depth + 1)?;
                    additional = additional.saturating_add(cost.add_nested_value(some));
                }
                _ => {
                    return Err(SchemaFault::new(at, "unsupported keyword; docs/custom-events.md lists the supported ones"));
                }
            }
        }
        cost.nested = cost.nested.saturating_add(exclusive).saturating_add(additional);
        Ok(cost)
    }

    fn check_pattern(&mut self, value: &Value, at: &JsonPointer) -> Result<(), SchemaFault> {
        let short = value.as_str().filter(|expression| expression.len() <= limits::SCHEMA_PATTERN_BYTES);
        let Some(expression) = short else {
            let detail = format!("must be a string of at most {} bytes", limits::SCHEMA_PATTERN_BYTES);
            return Err(SchemaFault::new(at.clone(), detail));
        };
        self.patterns.push(Pattern { pointer: at.clone(), expression: expression.to_owned() });
        let detail = format!("a schema must have at most {} patterns", limits::SCHEMA_PATTERNS);
        ensure(self.patterns.len() <= limits::SCHEMA_PATTERNS, at, &detail)
    }
}
