//! The examples of the contract, as responses of the API.

use serde_json::{Value, json};

/// The contract.
pub(crate) struct Contract {
    document: Value,
}

impl Contract {
    pub(crate) fn read() -> Self {
        let text =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.yaml")).expect("the contract");
        Self { document: serde_norway::from_str(&text).expect("YAML") }
    }

    /// The status and the example of the first success of an operation. Lists end with their first page. `None` if the contract has
    /// no such operation.
    pub(crate) fn response(&self, method: &str, path: &str) -> Option<(u16, Value)> {
        let paths = self.document["paths"].as_object().expect("paths");
        // A path without parameters is preferred, as in API Gateway.
        let mut matching: Vec<&String> = paths.keys().filter(|template| matches(template, path)).collect();
        matching.sort_by_key(|template| template.matches('{').count());
        let operation = &self.document["paths"][matching.first()?][method.to_lowercase()];
        let responses = operation["responses"].as_object()?;
        let (status, response) = responses.iter().find(|(status, _)| status.starts_with('2')).expect("a success");
        let content = response["content"].as_object().and_then(|types| types.values().next());
        let example = content.and_then(|content| content["examples"].as_object()?.values().next());
        let mut body = example.map_or_else(|| json!(null), |example| self.value_of(example).clone());
        if let Some(members) = body.as_object_mut()
            && members.contains_key("items")
        {
            members.remove("next");
        }
        Some((status.parse().expect("a status"), body))
    }

    fn value_of<'v>(&'v self, example: &'v Value) -> &'v Value {
        let target = example["$ref"].as_str().map(|pointer| self.document.pointer(pointer.trim_start_matches('#')));
        &target.unwrap_or(Some(example)).expect("an example")["value"]
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(&path).all(|(of, part)| of.starts_with('{') || of == part)
}
