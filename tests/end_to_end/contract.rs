//! The HTTP contract: checks responses against openapi.yaml.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

use crate::shared::Shared;

const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// The URL of the document in references and errors.
const DOCUMENT: &str = "https://roadcast.dev/openapi.yaml";

/// An operation of the contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Operation {
    pub(crate) method: String,
    /// The path template.
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) scopes: BTreeSet<String>,
}

/// The contract with the compiled schemas of its responses.
pub(crate) struct Contract {
    pub(crate) operations: Vec<Operation>,
    /// Schemas by operation id, status and media type; no schema if the response has no body.
    responses: BTreeMap<(String, u16), BTreeMap<String, SchemaIndex>>,
    schemas: Schemas,
}

impl Contract {
    pub(crate) fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi.yaml");
        let text = std::fs::read_to_string(path).expect("cannot read openapi.yaml");
        let document: Value = serde_norway::from_str(&text).expect("openapi.yaml is YAML");
        let mut compiler = Compiler::new();
        // OpenAPI 3.0 schemas are a dialect of this draft.
        compiler.set_default_draft(Draft::V4);
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, document.clone()).expect("a document");
        let mut contract = Self { operations: Vec::new(), responses: BTreeMap::new(), schemas: Schemas::new() };
        for (path, item) in document["paths"].as_object().expect("paths") {
            for verb in VERBS.iter().filter(|verb| item.get(**verb).is_some()) {
                let operation = &item[*verb];
                let id = operation["operationId"].as_str().expect("an id").to_owned();
                let pointer = format!("/paths/{}/{verb}/responses", escaped(path));
                for status in operation["responses"].as_object().expect("responses").keys() {
                    let at = resolved(&document, format!("{pointer}/{status}"));
                    let content = document.pointer(&format!("{at}/content")).and_then(Value::as_object);
                    let schema = |media_type: &String| {
                        let location = format!("{at}/content/{}/schema", escaped(media_type));
                        let location = format!("{DOCUMENT}#{}", location.replace('{', "%7B").replace('}', "%7D"));
                        let schema = compiler.compile(&location, &mut contract.schemas);
                        (media_type.clone(), schema.unwrap_or_else(|error| panic!("{location}: {error:#}")))
                    };
                    let media_types = content.into_iter().flat_map(serde_json::Map::keys).map(schema).collect();
                    contract.responses.insert((id.clone(), status.parse().expect("a status")), media_types);
                }
                let scopes = operation["security"].as_array().into_iter().flatten();
                let scopes = scopes.flat_map(|scheme| scheme["cognito"].as_array().cloned().unwrap_or_default());
                let scopes = scopes.filter_map(|scope| scope.as_str().map(str::to_owned)).collect();
                let method = verb.to_uppercase();
                contract.operations.push(Operation { method, path: path.clone(), id, scopes });
            }
        }
        contract
    }

    /// Checks status, media type and body of a response against the contract. The error states the violation.
    pub(crate) fn check(
        &self,
        method: &str,
        path: &str,
        status: u16,
        media_type: Option<&str>,
        body: &str,
    ) -> Result<(), String> {
        let ensure = |condition: bool, error: String| if condition { Ok(()) } else { Err(format!("{error}: {body}")) };
        let Some(operation) = self.operation(method, path) else {
            return ensure([401, 404, 405].contains(&status), format!("{method} {path} is not in the contract"));
        };
        let what = format!("{} returned {status}", operation.id);
        let media_types = self.responses.get(&(operation.id.clone(), status));
        let media_types = media_types.ok_or_else(|| format!("{what}, which is not in the contract: {body}"))?;
        let Some(media_type) = media_type else {
            return ensure(media_types.is_empty() && body.is_empty(), format!("{what} without a media type"));
        };
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        let schema = media_types.get(essence).ok_or_else(|| format!("{what} as {media_type}: {body}"))?;
        let value = if essence.ends_with("json") {
            serde_json::from_str(body).map_err(|error| format!("{what} with invalid JSON: {error}: {body}"))?
        } else {
            Value::String(body.to_owned())
        };
        let valid = self.schemas.validate(&value, *schema);
        valid.map_err(|error| format!("{what} with a body that violates the contract: {error:#}\n{body}"))
    }

    /// The operation of a request; None if it is not in the contract.
    fn operation(&self, method: &str, path: &str) -> Option<&Operation> {
        let path = path.split('?').next().unwrap_or_default();
        self.operations.iter().find(|operation| operation.method == method && matches_template(path, &operation.path))
    }
}

/// Whether a path matches a path template.
fn matches_template(path: &str, template: &str) -> bool {
    let (path, template): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), template.split('/').collect());
    path.len() == template.len()
        && path.iter().zip(template).all(|(actual, expected)| *actual == expected || expected.starts_with('{'))
}

/// The pointer to a response, with its reference resolved.
fn resolved(document: &Value, pointer: String) -> String {
    let reference = document.pointer(&pointer).and_then(|response| response["$ref"].as_str());
    reference.map_or(pointer, |reference| reference.trim_start_matches('#').to_owned())
}

/// A member name, escaped for a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Checks [`Contract::check`] itself. It needs no stack.
pub(crate) fn check_fails_for_wrong_members_statuses_and_media_types(_: &Shared) {
    let contract = Contract::read();
    let fails = |status: u16, media_type: &str, body: &str| {
        contract.check("GET", "/fleets?limit=1", status, Some(media_type), body).is_err()
    };
    let fleet = |id: &str| {
        let rest = r#""name":"n","plan":"standard","state":"active","createdAt":"2026-01-01T00:00:00.000Z""#;
        format!(r#"{{"items":[{{"{id}":"flt_x",{rest}}}]}}"#)
    };
    assert!(!fails(200, "application/json", &fleet("fleetId")));
    assert!(fails(200, "application/json", &fleet("id")), "a renamed member");
    assert!(fails(418, "application/json", &fleet("fleetId")), "an unknown status");
    assert!(fails(200, "text/html", &fleet("fleetId")), "another media type");
    assert!(fails(404, "application/problem+json", r#"{"type":"x","title":"y"}"#), "a status of another operation");
    assert!(fails(400, "application/problem+json", r#"{"title":"y"}"#), "a missing member");
}
