use serde_json::json;

use super::*;
use crate::limits;

fn fault(schema: &Value) -> Option<String> {
    check(schema).err().map(|fault| fault.pointer.into())
}

#[test]
fn schema_in_the_vocabulary_is_valid() {
    for schema in [
        json!({}),
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:example:tyre", "type": "object"}),
        json!({
            "title": "Tyre", "type": ["object", "null"], "required": ["wheel"], "additionalProperties": false,
            "properties": {
                "wheel": {"enum": ["fl", "fr", "rl", "rr"]}, "kPa": {"type": "number", "minimum": 0, "maximum": 1000},
                "$ref": {"$ref": "#/$defs/when"}, "a/b": {"pattern": "^[a-z]+$"},
                "list": {"type": "array", "prefixItems": [true], "items": {"const": 1}, "contains": {"type": "integer"}},
            },
            "$defs": {"when": {"type": "string", "format": "date-time"}},
            "if": {"required": ["kPa"]}, "then": {"minProperties": 2}, "dependentRequired": {"kPa": ["wheel"]},
        }),
    ] {
        assert_eq!(fault(&schema), None, "{schema}");
    }
}

#[test]
fn unsupported_part_is_reported_by_its_pointer() {
    for (schema, pointer) in [
        (json!(true), ""),
        (json!({"requird": ["a"]}), "/requird"),
        (json!({"properties": {"a/b": {"tpye": "string"}}}), "/properties/a~1b/tpye"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema"),
        (json!({"items": {"$id": "urn:x"}}), "/items/$id"),
        (json!({"items": {"$defs": {}}}), "/items/$defs"),
        (json!({"patternProperties": {"^a": true}}), "/patternProperties"),
        (json!({"unevaluatedProperties": false}), "/unevaluatedProperties"),
        (json!({"$dynamicRef": "#a"}), "/$dynamicRef"),
        (json!({"type": "float"}), "/type"),
        (json!({"type": ["string", "string"]}), "/type"),
        (json!({"items": [{}]}), "/items"),
        (json!({"allOf": []}), "/allOf"),
        (json!({"required": "a"}), "/required"),
        (json!({"maxLength": -1}), "/maxLength"),
        (json!({"multipleOf": 0}), "/multipleOf"),
        (json!({"exclusiveMinimum": true}), "/exclusiveMinimum"),
        (json!({"format": "iri"}), "/format"),
        (json!({"pattern": "a".repeat(limits::SCHEMA_PATTERN_BYTES + 1)}), "/pattern"),
        (json!({"const": "x".repeat(limits::SCHEMA_BYTES)}), ""),
    ] {
        assert_eq!(fault(&schema).as_deref(), Some(pointer), "{schema}");
    }
}

#[test]
fn external_and_recursive_references_are_refused() {
    for reference in [
        "https://example.com/schema.json",
        "file:///etc/passwd",
        "other.json",
        "#",
        "#/properties/a",
        "#anchor",
        "#/$defs/b/items",
        "#/$defs/missing",
        "#/$defs/%61",
    ] {
        let schema = json!({"properties": {"a": {"$ref": reference}}, "$defs": {"b": {"items": {}}, "a": {}}});
        assert_eq!(fault(&schema).as_deref(), Some("/properties/a/$ref"), "{reference}");
    }
    let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"left": {"$ref": "#/$defs/node"}}}}});
    assert_eq!(fault(&tree).as_deref(), Some("/$defs/node/properties/left/$ref"));
    let ring = json!({"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}});
    assert_eq!(fault(&ring).as_deref(), Some("/$defs/b/not/$ref"));
}

#[test]
fn short_schema_with_too_many_checks_is_refused() {
    // Each definition refers twice to the next one: twenty definitions need a million checks.
    let doubling = |keyword: &str, end: usize| {
        let mut definitions = serde_json::Map::new();
        for n in 0..end {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            let twice = match keyword {
                "allOf" => json!([next, next]),
                _ => json!([{"items": next}, {"items": next}]),
            };
            definitions.insert(format!("d{n}"), json!({"allOf": twice}));
        }
        definitions.insert(format!("d{end}"), json!({"type": "string"}));
        json!({"$ref": "#/$defs/d0", "$defs": definitions})
    };
    assert_eq!(fault(&doubling("allOf", 3)), None);
    assert_eq!(fault(&doubling("items", 3)), None);
    assert_eq!(fault(&doubling("allOf", 12)).as_deref(), Some(""));
    assert_eq!(fault(&doubling("items", 9)).as_deref(), Some(""));

    let variants = |count: usize| json!({"oneOf": (0..count).map(|n| json!({"const": n})).collect::<Vec<_>>()});
    assert_eq!(fault(&variants(limits::SCHEMA_CHECKS - 1)), None);
    assert_eq!(fault(&variants(limits::SCHEMA_CHECKS)).as_deref(), Some(""));
    // Many properties are allowed: each value belongs to one of them.
    let wide: serde_json::Map<String, Value> = (0..1000).map(|n| (format!("p{n}"), json!({"type": "string"}))).collect();
    assert_eq!(fault(&json!({"properties": wide})), None);
}

#[test]
fn depth_is_limited_inline_and_by_reference() {
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"items": inner}));
    assert_eq!(fault(&nested(limits::SCHEMA_DEPTH)), None);
    assert!(fault(&nested(limits::SCHEMA_DEPTH + 2)).is_some());
    // The definitions are checked in alphabetical order, from the end of the chain, so the recursion is never deep.
    let chain = |length: usize| {
        let link = |n: usize| match n {
            0 => json!({}),
            n => json!({"items": {"$ref": format!("#/$defs/d{:02}", n - 1)}}),
        };
        let definitions: serde_json::Map<String, Value> = (0..length).map(|n| (format!("d{n:02}"), link(n))).collect();
        json!({"items": {"$ref": format!("#/$defs/d{:02}", length - 1)}, "$defs": definitions})
    };
    assert_eq!(fault(&chain(12)), None);
    assert!(fault(&chain(40)).is_some());
}

fn found(old: &Value, new: &Value) -> Vec<String> {
    for schema in [old, new] {
        assert_eq!(fault(schema), None, "{schema}");
    }
    incompatibilities(old, new).into_iter().map(|found| found.pointer.into()).collect()
}

#[test]
fn new_version_may_allow_more() {
    let closed = |properties: Value| json!({"type": "object", "properties": properties, "additionalProperties": false});
    for (old, new) in [
        (json!({"type": "string"}), json!({"type": ["string", "null"]})),
        (json!({"type": "integer"}), json!({"type": "number"})),
        (json!({"type": "string"}), json!({})),
        (json!({"enum": ["a"]}), json!({"enum": ["b", "a"]})),
        (json!({"const": "a"}), json!({"enum": ["b", "a"]})),
        (json!({"const": 1}), json!({"const": 1, "type": "number"})),
        (json!({"required": ["a", "b"]}), json!({"required": ["a"]})),
        (closed(json!({"a": {"type": "string"}})), closed(json!({"a": {"type": "string"}, "b": {"type": "integer"}}))),
        (closed(json!({})), json!({"type": "object", "additionalProperties": {"type": "string"}})),
        (json!({"items": {"minimum": 1}}), json!({"items": {"minimum": 0}})),
        (json!({"minimum": 1}), json!({"exclusiveMinimum": 0})),
        (json!({"exclusiveMaximum": 9}), json!({"maximum": 9})),
        (json!({"minLength": 2, "maxLength": 3}), json!({"minLength": 1, "maxLength": 4})),
        (json!({"pattern": "^a"}), json!({})),
        (json!({"format": "date"}), json!({"title": "A day", "format": "date"})),
        (json!({"$defs": {"a": {}}}), json!({"$defs": {"a": {}, "b": {"type": "string"}}})),
        (json!({"anyOf": [{"type": "string"}]}), json!({"anyOf": [{"type": "string"}], "description": "x"})),
    ] {
        assert_eq!(found(&old, &new), [""; 0], "{old} -> {new}");
    }
}

#[test]
fn restriction_or_removal_is_reported_by_its_pointer() {
    let of = |properties: Value| json!({"properties": properties});
    for (old, new, pointer) in [
        (of(json!({"a": {}})), of(json!({})), "/properties/a"),
        (of(json!({"a": {"type": ["string", "null"]}})), of(json!({"a": {"type": "string"}})), "/properties/a/type"),
        (json!({"type": "number"}), json!({"type": "integer"}), "/type"),
        (json!({}), json!({"type": "object"}), "/type"),
        (json!({}), json!({"required": ["a"]}), "/required"),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["a"]}), "/enum"),
        (json!({"enum": ["a", "b"]}), json!({"const": "a"}), "/const"),
        (json!({}), json!({"enum": ["a"]}), "/enum"),
        (json!({}), json!({"additionalProperties": false}), "/additionalProperties"),
        (
            json!({"additionalProperties": true}),
            json!({"additionalProperties": {"type": "string"}}),
            "/additionalProperties/type",
        ),
        // An open object may have had a member with this name and any type.
        (json!({}), of(json!({"b": {"type": "integer"}})), "/properties/b/type"),
        (json!({"minimum": 0}), json!({"minimum": 1}), "/minimum"),
        (json!({"minimum": 0}), json!({"exclusiveMinimum": 0}), "/exclusiveMinimum"),
        (json!({}), json!({"maximum": 1}), "/maximum"),
        (json!({"maximum": 9_007_199_254_740_993_u64}), json!({"maximum": 9_007_199_254_740_992.0}), "/maximum"),
        (json!({"maxLength": 3}), json!({"maxLength": 2}), "/maxLength"),
        (json!({"maxItems": 3}), json!({"maxItems": 2}), "/maxItems"),
        (json!({}), json!({"minProperties": 1}), "/minProperties"),
        (json!({"pattern": "^a"}), json!({"pattern": "^ab?"}), "/pattern"),
        (json!({}), json!({"format": "date"}), "/format"),
        (json!({"items": {}}), json!({"items": {"type": "string"}}), "/items/type"),
        (json!({"items": {}}), json!({"items": false}), "/items"),
        (json!({"$defs": {"a": {}}}), json!({"$defs": {"a": {"type": "string"}}}), "/$defs/a"),
        (json!({"anyOf": [{"type": "string"}]}), json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), "/anyOf"),
        (json!({"not": {"type": "string"}}), json!({"not": {}}), "/not"),
        (json!({"uniqueItems": true}), json!({}), "/uniqueItems"),
    ] {
        assert_eq!(found(&old, &new), [pointer], "{old} -> {new}");
    }
}
