//! Prepares the SAM template for the endpoint: long-form intrinsic functions, and S3 locations for the files that `sam
//! package` would upload. Everything else is unchanged.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use serde_norway::Value as Yaml;

/// The S3 location of an uploaded file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// A local file that the template refers to, and that is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Artefact<'a> {
    /// The binary of a function.
    Binary(&'a str),
    /// A file, relative to the template.
    File(&'a str),
}

/// Parses a template with short-form tags.
pub(crate) fn parse(text: &str) -> Result<Value> {
    long_form(serde_norway::from_str(text).context("template.yaml is not YAML")?)
}

/// The binaries of the template's functions.
pub(crate) fn binaries(template: &Value) -> Result<Vec<String>> {
    let mut binaries = Vec::new();
    for (name, resource) in resources(template) {
        if resource["Type"] == "AWS::Serverless::Function" {
            binaries.push(binary_of(name, resource)?.to_owned());
        }
    }
    binaries.sort();
    binaries.dedup();
    Ok(binaries)
}

/// The number of resources in the local stack: those without a condition. Conditional resources exist only on AWS.
pub(crate) fn resource_count(template: &Value) -> usize {
    resources(template).filter(|(_, resource)| resource.get("Condition").is_none()).count()
}

/// Replaces local paths by S3 locations.
pub(crate) fn relocate(template: &mut Value, locate: &mut impl FnMut(Artefact<'_>) -> Result<Location>) -> Result<()> {
    let members = template.get_mut("Resources").and_then(Value::as_object_mut).into_iter().flatten();
    for (name, resource) in members {
        match resource["Type"].as_str() {
            Some("AWS::Serverless::Function") => {
                let location = locate(Artefact::Binary(binary_of(name, resource)?))?;
                resource["Properties"]["CodeUri"] = location.to_json();
            }
            Some("AWS::Serverless::StateMachine") => {
                if let Some(path) = resource["Properties"]["DefinitionUri"].as_str() {
                    let location = locate(Artefact::File(path))?;
                    resource["Properties"]["DefinitionUri"] = location.to_json();
                }
            }
            _ => {}
        }
    }
    relocate_includes(template, locate)
}

fn relocate_includes(node: &mut Value, locate: &mut impl FnMut(Artefact<'_>) -> Result<Location>) -> Result<()> {
    if node["Fn::Transform"]["Name"] == "AWS::Include" {
        let location = &mut node["Fn::Transform"]["Parameters"]["Location"];
        if let Some(path) = location.as_str().filter(|path| !path.starts_with("s3://")) {
            let Location { bucket, key } = locate(Artefact::File(path))?;
            *location = json!(format!("s3://{bucket}/{key}"));
        }
    }
    match node {
        Value::Object(members) => members.values_mut().try_for_each(|member| relocate_includes(member, locate)),
        Value::Array(items) => items.iter_mut().try_for_each(|item| relocate_includes(item, locate)),
        _ => Ok(()),
    }
}

impl Location {
    fn to_json(&self) -> Value {
        json!({ "Bucket": self.bucket, "Key": self.key })
    }
}

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    template["Resources"].as_object().into_iter().flatten()
}

fn binary_of<'a>(name: &str, function: &'a Value) -> Result<&'a str> {
    function["Metadata"]["BuildProperties"]["Binary"]
        .as_str()
        .with_context(|| format!("function {name} in template.yaml has no Metadata.BuildProperties.Binary"))
}

fn long_form(yaml: Yaml) -> Result<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::Number(number) => serde_json::to_value(number)?,
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(long_form).collect::<Result<_>>()?),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                object.insert(key_text(&name)?, long_form(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let tag = tag.trim_start_matches('!');
            let value = long_form(tagged.value)?;
            match (tag, value) {
                ("Ref" | "Condition", value) => json!({ tag: value }),
                ("GetAtt", Value::String(path)) => {
                    let (resource, attribute) = path
                        .split_once('.')
                        .with_context(|| format!("!GetAtt {path} in template.yaml has no attribute name"))?;
                    json!({ "Fn::GetAtt": [resource, attribute] })
                }
                (_, value) => json!({ format!("Fn::{tag}"): value }),
            }
        }
    })
}

fn key_text(key: &Yaml) -> Result<String> {
    Ok(match key {
        Yaml::String(text) => text.clone(),
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(value) => value.to_string(),
        _ => bail!("template.yaml has a key that is not a string"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEMPLATE: &str = "
Conditions:
  Cloud: !Not [!Equals [!Ref Stage, local]]
  Both: !And [!Condition Cloud, !Condition Cloud]
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      DefinitionBody:
        Fn::Transform: { Name: AWS::Include, Parameters: { Location: openapi.yaml } }
  Query:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: roadcast-query } }
    Properties: { CodeUri: ., Role: !GetAtt QueryRole.Arn, Memory: 256 }
  Flow:
    Type: AWS::Serverless::StateMachine
    Condition: Cloud
    Properties: { DefinitionUri: infra/flow.asl.json, Name: !Sub 'x-${Stage}' }
  Endpoint: { Type: X, Properties: { Url: !GetAtt A.Endpoint.Address, Zones: !GetAZs '' } }
";

    #[test]
    fn tags_become_long_form_intrinsic_functions() {
        let template = parse(TEMPLATE).unwrap();
        assert_eq!(
            template["Conditions"],
            json!({
                "Cloud": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Stage"}, "local"]}]},
                "Both": {"Fn::And": [{"Condition": "Cloud"}, {"Condition": "Cloud"}]}
            })
        );
        let resources = &template["Resources"];
        assert_eq!(resources["Query"]["Properties"]["Role"], json!({"Fn::GetAtt": ["QueryRole", "Arn"]}));
        assert_eq!(resources["Query"]["Properties"]["Memory"], json!(256));
        assert_eq!(resources["Flow"]["Properties"]["Name"], json!({"Fn::Sub": "x-${Stage}"}));
        assert_eq!(
            resources["Endpoint"]["Properties"],
            json!({"Url": {"Fn::GetAtt": ["A", "Endpoint.Address"]}, "Zones": {"Fn::GetAZs": ""}})
        );
    }

    #[test]
    fn only_local_paths_are_replaced_by_s3_locations() {
        let mut template = parse(TEMPLATE).unwrap();
        let before = template.clone();
        let mut located = Vec::new();
        relocate(&mut template, &mut |artefact| {
            located.push(format!("{artefact:?}"));
            Ok(Location { bucket: "b".to_owned(), key: format!("k{}", located.len()) })
        })
        .unwrap();
        assert_eq!(located, ["File(\"infra/flow.asl.json\")", "Binary(\"roadcast-query\")", "File(\"openapi.yaml\")"]);

        let resources = &template["Resources"];
        assert_eq!(resources["Query"]["Properties"]["CodeUri"], json!({"Bucket": "b", "Key": "k2"}));
        assert_eq!(resources["Flow"]["Properties"]["DefinitionUri"], json!({"Bucket": "b", "Key": "k1"}));
        let include = &resources["Api"]["Properties"]["DefinitionBody"]["Fn::Transform"];
        assert_eq!(include["Parameters"]["Location"], "s3://b/k3");
        assert_eq!(template["Conditions"], before["Conditions"]);
        assert_eq!(resources["Endpoint"], before["Resources"]["Endpoint"]);
    }

    #[test]
    fn conditional_resources_are_not_counted() {
        let template = parse(TEMPLATE).unwrap();
        assert_eq!(resource_count(&template), 3);
        assert_eq!(binaries(&template).unwrap(), ["roadcast-query"]);
    }

    #[test]
    fn function_without_binary_is_named_in_the_error() {
        let template = parse("Resources: { Lost: { Type: AWS::Serverless::Function } }").unwrap();
        assert!(binaries(&template).unwrap_err().to_string().contains("Lost"));
    }

    #[test]
    fn project_template_can_be_packaged() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml")).unwrap();
        let mut template = parse(&text).unwrap();
        assert!(binaries(&template).unwrap().contains(&"roadcast-events-api".to_owned()));
        relocate(&mut template, &mut |_| Ok(Location { bucket: "b".to_owned(), key: "k".to_owned() })).unwrap();
        assert!(!template.to_string().contains("openapi.yaml"));
    }
}
