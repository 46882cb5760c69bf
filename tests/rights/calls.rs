//! The recorded calls, and what IAM checks for each. Page: "Actions, resources, and condition keys for AWS services" in the
//! service authorization reference.

use crate::policy::Request;
use crate::template::{ACCOUNT, REGION};

/// A recorded call, as `crates/cli/endpoint/recorder.py` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) function: String,
    service: String,
    operation: String,
    resource: String,
    keys: Vec<String>,
}

impl Call {
    /// Parses a line. A leading `~` marks a call that is not made in every run.
    pub(crate) fn parse(line: &str) -> Self {
        let mut words = line.trim_start_matches('~').split_whitespace().map(str::to_owned);
        let mut next = || words.next().unwrap_or_else(|| panic!("a line of calls.txt has fewer than four words: {line}"));
        let (function, service, operation, resource) = (next(), next(), next(), next());
        Self { function, service, operation, resource, keys: words.collect() }
    }

    /// Returns what IAM checks. Fails for an operation that is not in the table below.
    pub(crate) fn request(&self) -> Result<Request, String> {
        let unknown = || format!("{} {}: add the operation to tests/rights/calls.rs", self.service, self.operation);
        if self.resource == "*" {
            return Err(format!("{}, because the recorder does not know its form", unknown()));
        }
        let action = action(&self.service, &self.operation).ok_or_else(unknown)?;
        let arn = arn(&self.service, &self.resource).ok_or_else(unknown)?;
        Ok(Request {
            action: format!("{}:{action}", self.service),
            resource: arn,
            leading_keys: self.keys.iter().cloned().collect(),
        })
    }
}

/// Returns the action that IAM checks for an operation. The operations of a batch in SQS, and the parts of a transaction in
/// DynamoDB, need the right for a single one; a batch in DynamoDB needs its own.
fn action<'o>(service: &str, operation: &'o str) -> Option<&'o str> {
    let action = match (service, operation) {
        ("dynamodb", "TransactWriteItems/Put") => "PutItem",
        ("dynamodb", "TransactWriteItems/Update") => "UpdateItem",
        ("dynamodb", "TransactWriteItems/Delete") => "DeleteItem",
        ("dynamodb", "TransactWriteItems/ConditionCheck") => "ConditionCheckItem",
        ("dynamodb", "TransactGetItems/Get") => "GetItem",
        (
            "dynamodb",
            "GetItem" | "BatchGetItem" | "Query" | "Scan" | "PutItem" | "UpdateItem" | "DeleteItem" | "BatchWriteItem",
        )
        | ("kinesis", "PutRecord" | "PutRecords" | "ListShards" | "GetShardIterator" | "GetRecords")
        | ("kms", "Encrypt" | "Decrypt")
        | ("secretsmanager", "GetSecretValue")
        | ("sns", "Publish")
        | ("states", "StartExecution")
        | (
            "cognito-idp",
            "CreateUserPoolClient" | "DescribeUserPoolClient" | "ListUserPoolClients" | "DeleteUserPoolClient",
        )
        | (
            "events",
            "PutEvents" | "CreateEventBus" | "PutRule" | "PutTargets" | "DescribeRule" | "ListTargetsByRule"
            | "RemoveTargets" | "DeleteRule",
        )
        | (
            "sqs",
            "CreateQueue"
            | "GetQueueUrl"
            | "GetQueueAttributes"
            | "SetQueueAttributes"
            | "TagQueue"
            | "DeleteQueue"
            | "SendMessage"
            | "ReceiveMessage"
            | "DeleteMessage"
            | "ChangeMessageVisibility",
        )
        | (
            "s3",
            "GetObject" | "GetObjectVersion" | "PutObject" | "DeleteObject" | "AbortMultipartUpload" | "DeleteObjectVersion",
        ) => operation,
        ("events", "PutRule/Tags" | "CreateEventBus/Tags") => "TagResource",
        ("sqs", "CreateQueue/Tags") => "TagQueue",
        ("sqs", "SendMessageBatch" | "DeleteMessageBatch" | "ChangeMessageVisibilityBatch") => {
            operation.strip_suffix("Batch")?
        }
        ("s3", "HeadObject") => "GetObject",
        ("s3", "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => "PutObject",
        // To callers without this right, S3 returns 403 for an object that does not exist.
        ("s3", "missing-object" | "GET-bucket") => "ListBucket",
        ("s3", "GET-versions") => "ListBucketVersions",
        ("lambda", "Invoke") => "InvokeFunction",
        _ => return None,
    };
    Some(action)
}

fn arn(service: &str, name: &str) -> Option<String> {
    let resource = match service {
        "s3" => return Some(format!("arn:aws:s3:::{name}")),
        "dynamodb" => format!("table/{name}"),
        "kinesis" => format!("stream/{name}"),
        "kms" => format!("key/{name}"),
        // A rule has the name of its bus before its own.
        "events" if name.contains('/') => format!("rule/{name}"),
        "events" => format!("event-bus/{name}"),
        "secretsmanager" => format!("secret:{name}"),
        "states" => format!("stateMachine:{name}"),
        "cognito-idp" => format!("userpool/{name}"),
        "lambda" => format!("function:{name}"),
        "sns" | "sqs" => name.to_owned(),
        _ => return None,
    };
    Some(format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(call: &str) -> (String, String) {
        let request = Call::parse(&format!("f {call}")).request().unwrap();
        (request.action, request.resource)
    }

    fn arn_of(service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:eu-central-1:000000000000:{resource}")
    }

    #[test]
    fn parts_of_a_transaction_need_the_rights_for_single_items() {
        for (part, action) in [
            ("Put", "PutItem"),
            ("Update", "UpdateItem"),
            ("Delete", "DeleteItem"),
            ("ConditionCheck", "ConditionCheckItem"),
        ] {
            let expected = (format!("dynamodb:{action}"), arn_of("dynamodb", "table/t"));
            assert_eq!(checked(&format!("dynamodb TransactWriteItems/{part} t a#* b")), expected);
        }
        assert_eq!(checked("dynamodb TransactGetItems/Get t a#*").0, "dynamodb:GetItem");
    }

    #[test]
    fn batches_of_dynamodb_need_their_own_right_and_those_of_sqs_do_not() {
        assert_eq!(checked("dynamodb BatchGetItem t a#*").0, "dynamodb:BatchGetItem");
        assert_eq!(checked("dynamodb BatchWriteItem t a#*").0, "dynamodb:BatchWriteItem");
        assert_eq!(checked("sqs DeleteMessageBatch q"), ("sqs:DeleteMessage".to_owned(), arn_of("sqs", "q")));
    }

    #[test]
    fn operations_of_s3_need_the_rights_of_the_object_or_bucket() {
        for operation in ["PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"] {
            assert_eq!(checked(&format!("s3 {operation} b/raw/*")).0, "s3:PutObject");
        }
        assert_eq!(checked("s3 HeadObject b/raw/*").0, "s3:GetObject");
        assert_eq!(checked("s3 GetObjectVersion b/raw/*").1, "arn:aws:s3:::b/raw/*");
        assert_eq!(checked("s3 missing-object b"), ("s3:ListBucket".to_owned(), "arn:aws:s3:::b".to_owned()));
    }

    #[test]
    fn tags_need_a_right_of_their_own() {
        assert_eq!(
            checked("events PutRule/Tags bus/rule"),
            ("events:TagResource".to_owned(), arn_of("events", "rule/bus/rule"))
        );
        assert_eq!(checked("sqs CreateQueue/Tags q").0, "sqs:TagQueue");
    }

    #[test]
    fn call_of_an_unknown_form_is_an_error() {
        assert!(Call::parse("f dynamodb ExecuteStatement *").request().is_err());
        assert!(Call::parse("f dynamodb ExecuteStatement t").request().unwrap_err().contains("add the operation"));
    }
}
