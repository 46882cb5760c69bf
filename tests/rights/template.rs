//! The roles of template.yaml with the names and ARNs that the resources have on the local stack. SAM adds nothing to roles
//! that the template states, so these are also the roles of the expanded template.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::policy::{Condition, Statement};

/// The account and Region of the local stack.
pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const REGION: &str = "eu-central-1";

/// A role and the statements of all its policies.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// The logical id.
    pub(crate) id: String,
    pub(crate) statements: Vec<Statement>,
}

/// The template.
pub(crate) struct Template {
    root: Value,
}

impl Template {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));
        Self::parse(&text.expect("template.yaml"))
    }

    pub(crate) fn parse(text: &str) -> Self {
        Self { root: long_form(serde_norway::from_str(text).expect("YAML")) }
    }

    /// Returns the roles of functions, by the name of the function.
    pub(crate) fn roles_of_functions(&self) -> BTreeMap<String, Role> {
        let functions = self.of_type("AWS::Serverless::Function");
        functions
            .map(|(id, function)| {
                let role =
                    function["Properties"]["Role"]["Fn::GetAtt"].as_str().unwrap_or_else(|| panic!("{id} has no role"));
                let role = self.role(role.trim_end_matches(".Arn"));
                (self.text(&function["Properties"]["FunctionName"]), role)
            })
            .collect()
    }

    /// Returns the roles that no function has.
    pub(crate) fn other_roles(&self) -> Vec<Role> {
        let of_functions: Vec<String> = self.roles_of_functions().into_values().map(|role| role.id).collect();
        let all = self.of_type("AWS::IAM::Role").map(|(id, _)| id.clone());
        all.filter(|id| !of_functions.contains(id)).map(|id| self.role(&id)).collect()
    }

    fn of_type(&self, resource_type: &str) -> impl Iterator<Item = (&String, &Value)> {
        let resources = self.root["Resources"].as_object().expect("resources");
        resources.iter().filter(move |(_, resource)| resource["Type"] == resource_type)
    }

    fn role(&self, id: &str) -> Role {
        let properties = &self.root["Resources"][id]["Properties"];
        let inline = list(&properties["Policies"]).into_iter().map(|policy| policy["PolicyDocument"].clone());
        let managed = list(&properties["ManagedPolicyArns"]).into_iter().filter_map(|policy| {
            // Others are managed by AWS, and no function has one.
            let id = policy["Ref"].as_str()?;
            Some(self.root["Resources"][id]["Properties"]["PolicyDocument"].clone())
        });
        let documents = inline.chain(managed);
        let statements =
            documents.flat_map(|document| list(&document["Statement"])).map(|statement| self.statement(&statement));
        Role { id: id.to_owned(), statements: statements.collect() }
    }

    fn statement(&self, statement: &Value) -> Statement {
        let members: Vec<&str> = statement.as_object().expect("a statement").keys().map(String::as_str).collect();
        let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
        assert!(members.iter().all(|member| known.contains(member)), "a statement with other members: {members:?}");
        let texts = |value: &Value| list(value).iter().map(|value| self.text(value)).collect::<Vec<String>>();
        let operators = statement["Condition"].as_object().into_iter().flatten();
        let conditions = operators.flat_map(|(operator, keys)| {
            let keys = keys.as_object().expect("keys of a condition").iter();
            keys.map(|(key, values)| Condition { operator: operator.clone(), key: key.clone(), values: texts(values) })
        });
        Statement {
            sid: statement["Sid"].as_str().expect("a Sid").to_owned(),
            denies: statement["Effect"] != "Allow",
            actions: texts(&statement["Action"]),
            resources: texts(&statement["Resource"]),
            conditions: conditions.collect(),
        }
    }

    /// Returns a text, with intrinsic functions resolved.
    fn text(&self, value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => self.intrinsic(value).unwrap_or_else(|| panic!("the test does not resolve {value}")),
        }
    }

    fn intrinsic(&self, value: &Value) -> Option<String> {
        let (name, argument) = value.as_object()?.iter().next()?;
        match name.as_str() {
            "Ref" => self.reference(argument.as_str()?),
            "Fn::GetAtt" => self.attribute(argument.as_str()?),
            "Fn::Sub" => self.substituted(argument.as_str()?),
            _ => None,
        }
    }

    fn substituted(&self, text: &str) -> Option<String> {
        let mut parts = text.split("${");
        let mut result = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            match name.strip_prefix('!') {
                Some(literal) => result.extend(["${", literal, "}"]),
                None if name.contains('.') => result.push_str(&self.attribute(name)?),
                None => result.push_str(&self.reference(name)?),
            }
            result.push_str(rest);
        }
        Some(result)
    }

    fn reference(&self, name: &str) -> Option<String> {
        let pseudo = match name {
            "AWS::Partition" => "aws",
            "AWS::Region" => REGION,
            "AWS::AccountId" => ACCOUNT,
            "Stage" => "local",
            _ => "",
        };
        if !pseudo.is_empty() {
            return Some(pseudo.to_owned());
        }
        if let Some(parameter) = self.root["Parameters"].get(name) {
            return Some(self.text(&parameter["Default"]));
        }
        let resource_type = self.root["Resources"][name]["Type"].as_str()?;
        match resource_type {
            "AWS::SecretsManager::Secret" | "AWS::Serverless::StateMachine" | "AWS::SNS::Topic" => self.arn(name),
            _ => self.name(name),
        }
    }

    fn attribute(&self, path: &str) -> Option<String> {
        let (id, attribute) = path.split_once('.')?;
        match attribute {
            "Arn" => self.arn(id),
            "QueueName" | "Name" => self.name(id),
            _ => None,
        }
    }

    fn name(&self, id: &str) -> Option<String> {
        let resource = &self.root["Resources"][id];
        let member = match resource["Type"].as_str()? {
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::S3::Bucket" => "BucketName",
            "AWS::SNS::Topic" => "TopicName",
            "AWS::SQS::Queue" => "QueueName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::Serverless::Function" => "FunctionName",
            // The id is generated; there is one.
            "AWS::Cognito::UserPool" => return Some("user-pool".to_owned()),
            "AWS::KMS::Key" => return Some("key".to_owned()),
            _ => "Name",
        };
        Some(self.text(resource["Properties"].get(member)?))
    }

    fn arn(&self, id: &str) -> Option<String> {
        let name = self.name(id)?;
        let (service, resource) = match self.root["Resources"][id]["Type"].as_str()? {
            "AWS::S3::Bucket" => return Some(format!("arn:aws:s3:::{name}")),
            "AWS::DynamoDB::Table" => ("dynamodb", format!("table/{name}")),
            "AWS::Kinesis::Stream" => ("kinesis", format!("stream/{name}")),
            "AWS::Events::EventBus" => ("events", format!("event-bus/{name}")),
            // The suffix of its ARN is generated.
            "AWS::Events::ApiDestination" => ("events", format!("api-destination/{name}")),
            "AWS::SNS::Topic" => ("sns", name),
            "AWS::SQS::Queue" => ("sqs", name),
            "AWS::Serverless::Function" => ("lambda", format!("function:{name}")),
            "AWS::Serverless::StateMachine" => ("states", format!("stateMachine:{name}")),
            "AWS::Cognito::UserPool" => ("cognito-idp", format!("userpool/{name}")),
            "AWS::KMS::Key" => ("kms", format!("key/{name}")),
            // The suffix of its ARN is generated.
            "AWS::SecretsManager::Secret" => ("secretsmanager", format!("secret:{name}")),
            "AWS::Logs::LogGroup" => ("logs", format!("log-group:{name}:*")),
            _ => return None,
        };
        Some(format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"))
    }
}

/// The items of a list, or the value alone; none for null.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// YAML as JSON, with the long forms of intrinsic functions (`!Ref x` becomes `{"Ref": "x"}`).
fn long_form(value: serde_norway::Value) -> Value {
    match value {
        serde_norway::Value::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = match tag.trim_start_matches('!') {
                name @ ("Ref" | "Condition") => name.to_owned(),
                name => format!("Fn::{name}"),
            };
            json!({ name: long_form(tagged.value) })
        }
        serde_norway::Value::Sequence(items) => items.into_iter().map(long_form).collect(),
        serde_norway::Value::Mapping(members) => {
            let member = |(name, value): (serde_norway::Value, _)| {
                (name.as_str().map_or_else(|| format!("{name:?}"), str::to_owned), long_form(value))
            };
            members.into_iter().map(member).collect::<Map<_, _>>().into()
        }
        other => serde_json::to_value(other).expect("plain YAML is JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Stage: { Default: dev }
  Prefix: { Default: p }
Resources:
  Reference: { Type: AWS::DynamoDB::Table, Properties: { TableName: !Sub 'roadcast-${Stage}-reference' } }
  Files: { Type: AWS::S3::Bucket, Properties: { BucketName: !Sub 'files-${AWS::AccountId}' } }
  Secret: { Type: AWS::SecretsManager::Secret, Properties: { Name: s } }
  Shared:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument: { Statement: { Sid: B, Effect: Deny, Action: 's3:*', Resource: !Sub '${Files.Arn}/${Prefix}/*' } }
  Api:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: !Sub 'roadcast-${Stage}-api', Role: !GetAtt ApiRole.Arn }
  ApiRole:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Shared]
      Policies:
        - PolicyDocument:
            Statement:
              - Sid: A
                Effect: Allow
                Action: dynamodb:Query
                Resource: [!GetAtt Reference.Arn, !Ref Secret]
                Condition: { ForAllValues:StringLike: { dynamodb:LeadingKeys: ['vin#*'] } }
  Other: { Type: AWS::IAM::Role, Properties: {} }
";

    #[test]
    fn role_has_its_inline_and_managed_statements_with_resolved_resources() {
        let template = Template::parse(TEMPLATE);
        let roles = template.roles_of_functions();
        let role = &roles["roadcast-local-api"];
        assert_eq!(role.id, "ApiRole");
        let [inline, managed] = &role.statements[..] else { panic!("{role:?}") };
        assert_eq!(
            (inline.sid.as_str(), inline.denies, inline.actions.as_slice()),
            ("A", false, &["dynamodb:Query".to_owned()][..])
        );
        let table = "arn:aws:dynamodb:eu-central-1:000000000000:table/roadcast-local-reference".to_owned();
        let secret = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:s".to_owned();
        assert_eq!(inline.resources, [table, secret]);
        let operator = "ForAllValues:StringLike".to_owned();
        let condition = Condition { operator, key: "dynamodb:LeadingKeys".to_owned(), values: vec!["vin#*".to_owned()] };
        assert_eq!(inline.conditions, [condition]);
        assert!(managed.denies);
        assert_eq!(managed.resources, ["arn:aws:s3:::files-000000000000/p/*"]);
        assert_eq!(template.other_roles().iter().map(|role| role.id.as_str()).collect::<Vec<_>>(), ["Other"]);
    }
}
