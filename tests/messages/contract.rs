//! The contract of events and messages, asyncapi.yaml.

use std::collections::{BTreeMap, BTreeSet};

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::Value;

/// A name for the document in references and errors.
const DOCUMENT: &str = "https://roadcast.dev/asyncapi.yaml";

/// A file of the repository.
pub(crate) fn read(file: &str) -> String {
    std::fs::read_to_string(format!("{}/../{file}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|error| panic!("{file}: {error}"))
}

pub(crate) struct Contract {
    document: Value,
    schemas: Schemas,
    parts: BTreeMap<(String, &'static str), SchemaIndex>,
}

impl Contract {
    /// Reads the contract and compiles the schemas of its messages. Fails if a reference in them does not resolve.
    pub(crate) fn read() -> Self {
        let document: Value = serde_norway::from_str(&read("asyncapi.yaml")).expect("asyncapi.yaml is YAML");
        let mut compiler = Compiler::new();
        // AsyncAPI schemas use draft 07.
        compiler.set_default_draft(Draft::V7);
        compiler.enable_format_assertions();
        compiler.add_resource(DOCUMENT, document.clone()).expect("a document");
        let mut schemas = Schemas::new();
        let mut parts = BTreeMap::new();
        for (name, message) in document["components"]["messages"].as_object().expect("messages") {
            for part in ["payload", "headers"].into_iter().filter(|part| message.get(part).is_some()) {
                let pointer = format!("{DOCUMENT}#/components/messages/{name}/{part}");
                let schema = compiler.compile(&pointer, &mut schemas).unwrap_or_else(|error| panic!("{pointer}: {error:#}"));
                parts.insert((name.clone(), part), schema);
            }
        }
        Self { document, schemas, parts }
    }

    /// A part of the document.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.document.pointer(pointer).unwrap_or_else(|| panic!("asyncapi.yaml has no {pointer}"))
    }

    /// The names of the messages.
    pub(crate) fn messages(&self) -> BTreeSet<String> {
        self.at("/components/messages").as_object().expect("messages").keys().cloned().collect()
    }

    /// Whether a message is a line of an NDJSON object.
    pub(crate) fn is_line(&self, message: &str) -> bool {
        self.at(&format!("/components/messages/{message}"))["contentType"] == "application/x-ndjson"
    }

    /// The address of a channel.
    pub(crate) fn address(&self, channel: &str) -> &str {
        self.at(&format!("/channels/{channel}/address")).as_str().expect("an address")
    }

    /// Checks a payload against the schema of its message.
    pub(crate) fn check(&self, message: &str, payload: &Value) -> Result<(), String> {
        self.check_part(message, "payload", payload)
    }

    /// Checks headers against the schema of their message.
    pub(crate) fn check_headers(&self, message: &str, headers: &Value) -> Result<(), String> {
        self.check_part(message, "headers", headers)
    }

    fn check_part(&self, message: &str, part: &'static str, value: &Value) -> Result<(), String> {
        let schema = self.parts.get(&(message.to_owned(), part)).unwrap_or_else(|| panic!("{message} has no {part}"));
        self.schemas.validate(value, *schema).map_err(|error| error.to_string())
    }
}
