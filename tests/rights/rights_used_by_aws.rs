//! The rights that no recorded call uses, with the reason: AWS uses them for the function, or they are used on AWS only.

/// A role (`*` for all), an action and a part of the resource, with the reason why the role needs the right.
pub(crate) type ListedRight = (&'static str, &'static str, &'static str, &'static str);

const LOGS: &str = "Lambda writes the logs of the function with its role";
const TRACES: &str = "Lambda and Step Functions send traces with the role of the function or state machine";
const STREAM: &str = "the event source mapping reads the stream with the role of the function";
const MESSAGES: &str = "the event source mapping receives and deletes the messages with the role of the function";
const FAILURES: &str = "Lambda sends failed invocations and batches to the destination with the role of the function";

const DELIVERY: &str = "Step Functions delivers the logs of the state machines with their role";

const CHILDREN: &str = "Step Functions starts, follows and stops the child executions of a distributed map with this role";

/// The rights.
pub(crate) const RIGHTS: &[ListedRight] = &[
    ("*", "logs:CreateLogStream", "log-group:/aws/lambda/", LOGS),
    ("*", "logs:PutLogEvents", "log-group:/aws/lambda/", LOGS),
    ("*", "xray:PutTraceSegments", "*", TRACES),
    ("*", "xray:PutTelemetryRecords", "*", TRACES),
    ("StreamProcessorRole", "kinesis:DescribeStream", "stream/", STREAM),
    ("StreamProcessorRole", "kinesis:DescribeStreamSummary", "stream/", STREAM),
    ("StreamProcessorRole", "kinesis:GetRecords", "stream/", STREAM),
    ("StreamProcessorRole", "kinesis:GetShardIterator", "stream/", STREAM),
    ("StreamProcessorRole", "kinesis:ListShards", "stream/", STREAM),
    ("StreamProcessorRole", "s3:PutObject", "-dead-letters-", FAILURES),
    ("StreamProcessorRole", "s3:ListBucket", "-dead-letters-", FAILURES),
    ("AlertEvaluatorRole", "kinesis:DescribeStream", "stream/", STREAM),
    ("AlertEvaluatorRole", "kinesis:DescribeStreamSummary", "stream/", STREAM),
    ("AlertEvaluatorRole", "kinesis:ListShards", "stream/", STREAM),
    (
        "AlertEvaluatorRole",
        "kinesis:SubscribeToShard",
        "consumer/",
        "the event source mapping reads by enhanced fan-out with the role of the function",
    ),
    (
        "AlertEvaluatorRole",
        "kinesis:DescribeStreamConsumer",
        "consumer/",
        "the event source mapping reads by enhanced fan-out with the role of the function",
    ),
    ("AlertEvaluatorRole", "s3:PutObject", "-dead-letters-", FAILURES),
    ("AlertEvaluatorRole", "s3:ListBucket", "-dead-letters-", FAILURES),
    ("AlertClockRole", "sqs:SendMessage", "-dead-letters", FAILURES),
    (
        "AlertScheduleRole",
        "lambda:InvokeFunction",
        "-alert-clock",
        "EventBridge Scheduler invokes the function with this role",
    ),
    ("AlertNotifierRole", "sqs:ReceiveMessage", "-alert-notices", MESSAGES),
    ("AlertNotifierRole", "sqs:DeleteMessage", "-alert-notices", MESSAGES),
    ("AlertNotifierRole", "sqs:GetQueueAttributes", "-alert-notices", MESSAGES),
    (
        "IncidentRole",
        "events:InvokeApiDestination",
        "api-destination/",
        "the rule posts notices to the incident tool with this role",
    ),
    ("EnrichmentRole", "sqs:ReceiveMessage", "-enrichment-", MESSAGES),
    ("EnrichmentRole", "sqs:DeleteMessage", "-enrichment-", MESSAGES),
    ("EnrichmentRole", "sqs:GetQueueAttributes", "-enrichment-", MESSAGES),
    ("DeadLetterCollectorRole", "sqs:ReceiveMessage", "-dead-letters", MESSAGES),
    ("DeadLetterCollectorRole", "sqs:DeleteMessage", "-dead-letters", MESSAGES),
    ("DeadLetterCollectorRole", "sqs:GetQueueAttributes", "-dead-letters", MESSAGES),
    ("WebhookFanOutRole", "sqs:ReceiveMessage", "-webhook-", MESSAGES),
    ("WebhookFanOutRole", "sqs:DeleteMessage", "-webhook-", MESSAGES),
    ("WebhookFanOutRole", "sqs:GetQueueAttributes", "-webhook-", MESSAGES),
    ("WebhookDispatcherRole", "sqs:ReceiveMessage", "-webhook-", MESSAGES),
    ("WebhookDispatcherRole", "sqs:DeleteMessage", "-webhook-", MESSAGES),
    ("WebhookDispatcherRole", "sqs:GetQueueAttributes", "-webhook-", MESSAGES),
    ("BackTesterRole", "sqs:ReceiveMessage", "-back-tests", MESSAGES),
    ("BackTesterRole", "sqs:DeleteMessage", "-back-tests", MESSAGES),
    ("BackTesterRole", "sqs:GetQueueAttributes", "-back-tests", MESSAGES),
    ("WebhookSchedulerRole", "sqs:SendMessage", "-dead-letters", FAILURES),
    (
        "WebhookScheduleRole",
        "lambda:InvokeFunction",
        "-webhook-scheduler",
        "EventBridge Scheduler invokes the function with this role",
    ),
    ("ReferenceLoaderRole", "sqs:SendMessage", "-dead-letters", FAILURES),
    (
        "ReferenceLoaderRole",
        "s3:GetObjectVersion",
        "-bulk-data-",
        "only on AWS does the bucket keep versions, so that the notification names one",
    ),
    ("DeviceRuleRole", "kinesis:PutRecord", "stream/", "IoT Core puts the messages of devices on the stream with this role"),
    ("DeviceRuleRole", "sqs:SendMessage", "-dead-letters", "IoT Core sends what it cannot put with this role"),
    ("WorkflowRole", "lambda:InvokeFunction", "-provisioner", "the state machines invoke the function with this role"),
    (
        "WorkflowRole",
        "lambda:InvokeFunction",
        "-eraser",
        "the state machine of erasures invokes the function with this role",
    ),
    ("WorkflowRole", "xray:GetSamplingRules", "*", TRACES),
    ("WorkflowRole", "xray:GetSamplingTargets", "*", TRACES),
    ("WorkflowRole", "logs:CreateLogDelivery", "*", DELIVERY),
    ("WorkflowRole", "logs:GetLogDelivery", "*", DELIVERY),
    ("WorkflowRole", "logs:UpdateLogDelivery", "*", DELIVERY),
    ("WorkflowRole", "logs:DeleteLogDelivery", "*", DELIVERY),
    ("WorkflowRole", "logs:ListLogDeliveries", "*", DELIVERY),
    ("WorkflowRole", "logs:PutResourcePolicy", "*", DELIVERY),
    ("WorkflowRole", "logs:DescribeResourcePolicies", "*", DELIVERY),
    ("WorkflowRole", "logs:DescribeLogGroups", "*", DELIVERY),
    ("RestoreRole", "lambda:InvokeFunction", "-archive-restorer", "the state machine invokes the function with this role"),
    ("RestoreRole", "states:StartExecution", "stateMachine:", CHILDREN),
    ("RestoreRole", "states:DescribeExecution", "execution:", CHILDREN),
    ("RestoreRole", "states:StopExecution", "execution:", CHILDREN),
    ("RestoreRole", "states:RedriveExecution", "execution:", CHILDREN),
    ("RestoreRole", "xray:GetSamplingRules", "*", TRACES),
    ("RestoreRole", "xray:GetSamplingTargets", "*", TRACES),
    ("RestoreRole", "logs:CreateLogDelivery", "*", DELIVERY),
    ("RestoreRole", "logs:GetLogDelivery", "*", DELIVERY),
    ("RestoreRole", "logs:UpdateLogDelivery", "*", DELIVERY),
    ("RestoreRole", "logs:DeleteLogDelivery", "*", DELIVERY),
    ("RestoreRole", "logs:ListLogDeliveries", "*", DELIVERY),
    ("RestoreRole", "logs:PutResourcePolicy", "*", DELIVERY),
    ("RestoreRole", "logs:DescribeResourcePolicies", "*", DELIVERY),
    ("RestoreRole", "logs:DescribeLogGroups", "*", DELIVERY),
];

/// Returns the entry for a right, if it is listed.
pub(crate) fn reason(role: &str, action: &str, resource: &str) -> Option<usize> {
    let applies = |(of, listed, part, _): &ListedRight| {
        (*of == "*" || *of == role) && *listed == action && (*part == "*" || resource.contains(part))
    };
    RIGHTS.iter().position(applies)
}
