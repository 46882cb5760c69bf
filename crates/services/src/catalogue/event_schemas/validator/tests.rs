#![allow(clippy::unwrap_used, clippy::panic)]
use std::time::{Duration, Instant};

use proptest::prelude::*;
use roadcast_domain::schema::incompatibilities;
use serde_json::json;

use super::*;

fn violation(schema: &Value, data: &Value) -> Option<(String, String)> {
    match Validator::compile(schema).unwrap().check(data) {
        Ok(()) => None,
        Err(SchemaViolation::Invalid { pointer, detail }) => Some((pointer.into(), detail)),
        Err(SchemaViolation::UnknownType) => panic!("a validator has a type"),
    }
}

#[test]
fn first_violation_is_reported_without_the_senders_values() {
    let schema = json!({
        "type": "object", "required": ["wheel"], "additionalProperties": false,
        "properties": {
            "wheel": {"enum": ["front-left", "front-right"]},
            "kPa": {"type": "number", "minimum": 0, "maximum": 1000},
            "at": {"type": "string", "format": "date-time"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}$", "maxLength": 2},
            "log": {"type": "array", "items": {"$ref": "#/$defs/entry"}, "uniqueItems": true},
            "a/b": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["x"]}]},
        },
        "$defs": {"entry": {"allOf": [{"required": ["n"]}, {"properties": {"n": {"type": "integer"}}}]}},
    });
    let with = |name: &str, value: Value| {
        let mut data = json!({"wheel": "front-left"});
        data[name] = value;
        data
    };
    assert_eq!(violation(&schema, &with("kPa", json!(240.5))), None);
    for (data, pointer, detail) in [
        (json!("secret"), "", "must be of type object"),
        (json!({}), "/wheel", "is required"),
        (with("wheel", json!("secret")), "/wheel", "must be one of the values of the schema's enum"),
        (with("kPa", json!("secret")), "/kPa", "must be of type number"),
        (with("kPa", json!(-7731)), "/kPa", "must be at least 0"),
        (with("at", json!("secret")), "/at", "must have the format date-time"),
        (with("code", json!("é1")), "/code", "must match ^[A-Z]{2}$"),
        (with("log", json!([{"n": 1}, {"n": "secret"}])), "/log/1/n", "must be of type integer"),
        (with("log", json!([{"n": 1}, {}])), "/log/1/n", "is required"),
        (with("log", json!([{"n": 1}, {"n": 1}])), "/log", "must not contain duplicate elements"),
        (with("a/b", json!({"secret": 1})), "/a~1b", "must match at least one of the alternatives"),
        (with("x~y", json!("secret")), "/x~0y", "unknown property; the schema does not allow it"),
        // Two violations: the first in the order of pointers.
        (json!({"wheel": 1, "kPa": "secret"}), "/kPa", "must be of type number"),
    ] {
        let (found_pointer, found_detail) = violation(&schema, &data).unwrap_or_else(|| panic!("{data}"));
        assert_eq!((found_pointer.as_str(), found_detail.as_str()), (pointer, detail), "{data}");
        assert!(!found_detail.contains("secret") && !found_detail.contains("7731"), "{found_detail}");
    }
}

#[test]
fn schema_and_id_keywords_are_ignored() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/tyre.json",
        "$ref": "#/$defs/a", "$defs": {"a": {"const": 1}},
    });
    assert_eq!(violation(&schema, &json!(1)), None);
    assert_eq!(violation(&schema, &json!(1.0)), None);
    assert!(violation(&schema, &json!(2)).is_some());
}

#[test]
fn invalid_and_oversized_patterns_are_refused() {
    let compile = |pattern: &str| Validator::compile(&json!({"items": {"pattern": pattern}})).map(|_| ());
    for pattern in [
        "^[A-HJ-NPR-Z0-9]{17}$",
        r"^\d{4}-\d{2}$",
        r"^\w+\s\S*$",
        ".",
        "[^a]",
        r"^[\d\w]+$",
        "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
    ] {
        assert_eq!(compile(pattern), Ok(()), "{pattern}");
    }
    for pattern in ["(", r"(?=a)", r"(a)\1", r"\p{L}", "é", "(a{99}){99}", "a{99999}", r"(\w{99}){99}", "((a{30}){30}){30}"]
    {
        assert_eq!(compile(pattern).map_err(|fault| fault.pointer), Err(["items", "pattern"].into()), "{pattern}");
    }
}

#[test]
fn most_expensive_accepted_schema_validates_in_bounded_time() {
    // Two patterns that would take years with backtracking, the maximum number of checks, and the maximum number of values.
    let checks: Vec<Value> = (0..limits::SCHEMA_CHECKS - 19).map(|n| json!({"maxLength": n})).collect();
    let schema = json!({"items": {"pattern": "^(a*)*$", "allOf": checks, "not": {"pattern": "(a|a)*(a|aa)*b$"}}});
    let validator = Validator::compile(&schema).unwrap();
    let data = json!(vec!["aaaa!"; limits::CUSTOM_DATA_VALUES - 1]);
    let long = json!(["a".repeat(limits::CUSTOM_DATA_BYTES)]);
    let started = Instant::now();
    assert!(validator.check(&data).is_err() && validator.check(&long).is_err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

/// Schemas over few names, types and values, so that the generated data often matches.
fn schemas() -> impl Strategy<Value = Value> {
    let types = prop::sample::subsequence(vec!["null", "integer", "number", "string", "object", "array"], 1..4);
    let leaf = prop_oneof![
        Just(json!({})),
        types.prop_map(|types| json!({ "type": types })),
        prop::sample::subsequence(vec![json!(0), json!(1), json!(1.5), json!("a"), json!("bb")], 1..4)
            .prop_map(|values| json!({ "enum": values })),
        (0..3, 0..3).prop_map(|(low, more)| json!({"minimum": low, "maximum": low + more})),
        (0..3, 1..4).prop_map(|(low, high)| json!({"exclusiveMinimum": low, "exclusiveMaximum": high})),
        (0..2, 1..3).prop_map(|(low, high)| json!({"minLength": low, "maxLength": high})),
        (0..3).prop_map(|max| json!({"type": "array", "maxItems": max})),
        Just(json!({"pattern": "^a"})),
        Just(json!({"const": "a"})),
        Just(json!({"not": {"type": "string"}})),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|items| json!({ "items": items })),
            (
                prop::collection::btree_map("[abc]", inner.clone(), 0..3),
                prop::sample::subsequence(vec!["a", "b"], 0..2),
                prop::option::of(inner),
            )
                .prop_map(|(properties, required, others)| {
                    let mut schema = json!({"properties": properties, "required": required});
                    if let Some(others) = others {
                        schema["additionalProperties"] = others;
                    }
                    schema
                }),
        ]
    })
    .prop_filter("a root is an object", Value::is_object)
}

fn data() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(vec![
        json!(null),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(2),
        json!(3),
        json!(""),
        json!("a"),
        json!("bb"),
        json!({}),
        json!([]),
    ]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map("[abcd]", inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Returns the schema with one nested keyword removed or replaced by keywords of another schema.
fn changed(schema: &Value, other: &Value, path: &[u8]) -> Value {
    let mut schema = schema.clone();
    let mut nested = &mut schema;
    for step in path {
        let Value::Object(keywords) = &*nested else { break };
        let inner: Vec<(String, Option<String>)> = keywords
            .iter()
            .flat_map(|(keyword, value)| match (keyword.as_str(), value) {
                ("items" | "additionalProperties", _) => vec![(keyword.clone(), None)],
                ("properties", Value::Object(members)) => {
                    members.keys().map(|name| (keyword.clone(), Some(name.clone()))).collect()
                }
                _ => Vec::new(),
            })
            .collect();
        let Some((keyword, name)) = inner.get(usize::from(*step) % (inner.len() + 1)) else { break };
        nested = match name {
            None => &mut nested[keyword],
            Some(name) => &mut nested[keyword][name],
        };
    }
    match (nested.as_object_mut(), other.as_object()) {
        (Some(keywords), Some(others)) => {
            let names: Vec<String> = keywords.keys().cloned().collect();
            match names.get(usize::from(path.iter().fold(0_u8, |sum, step| sum.wrapping_add(*step))) % (names.len() + 1)) {
                Some(name) if name != "properties" => {
                    keywords.remove(name);
                }
                _ => keywords.extend(others.clone()),
            }
        }
        _ => *nested = other.clone(),
    }
    schema
}

/// Pairs of versions, many of them compatible.
fn versions() -> impl Strategy<Value = (Value, Value)> {
    let change = (schemas(), prop::collection::vec(any::<u8>(), 0..4));
    (schemas(), prop::collection::vec(change, 1..3)).prop_map(|(old, changes)| {
        let new = changes.iter().fold(old.clone(), |schema, (other, path)| changed(&schema, other, path));
        (old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    #[test]
    fn valid_data_stays_valid_under_compatible_versions(
        (old, new) in versions(),
        samples in prop::collection::vec(data(), 1..24),
    ) {
        let (before, after) = (Validator::compile(&old), Validator::compile(&new));
        let (Ok(before), Ok(after)) = (before, after) else { return Err(TestCaseError::reject("invalid schema")) };
        prop_assume!(incompatibilities(&old, &new).is_empty());
        for sample in samples {
            if before.check(&sample).is_ok() {
                prop_assert!(after.check(&sample).is_ok(), "{old} -> {new} refuses {sample}");
            }
        }
    }
}
