"""Enrichment receives each lane of the ingest bus through a queue of its own, which retries for about a day."""

from checks import arn, on_aws

# The lanes: the rule, the queue, the event of the function, and the detail type of the lane.
LANES = {
    "Telemetry": "roadcast.events.v1",
    "Alerts": "roadcast.alerts.v1",
}
# The rules of the bus that do not lead to enrichment: infra/checks/notices.py.
OF_NOTICES = ("AlertNoticesRule", "IncidentRule")
MAX_MESSAGE_BYTES = 1048576
# The batch size that Lambda allows without a batching window, which would delay alerts.
BATCH_SIZE = 10
RETENTION_S = 1209600
# How the backoff of crates/lambda-kit/src/queue_batches/backoff.rs grows: the mean of half of the backoff and all of it.
MEAN_DELAYS_S = [0.75 * min(2**failure, 300) for failure in range(1000)]
MIN_PATIENCE_S = 20 * 3600


def _rule_faults(resources, lane, detail_type):
    rule = resources.get(f"{lane}Rule", {}).get("Properties", {})
    targets = rule.get("Targets", [{}])
    if rule.get("EventPattern", {}).get("detail-type") != [detail_type]:
        yield f"{lane}Rule: must match the detail type {detail_type}, and no other"
    if rule.get("EventBusName") != {"Ref": "IngestBus"}:
        yield f"{lane}Rule: must be a rule of IngestBus"
    if len(targets) != 1 or targets[0].get("Arn") != arn(f"{lane}Queue"):
        yield f"{lane}Rule: its only target must be {lane}Queue"
    if targets[0].get("DeadLetterConfig") != {"Arn": arn("DeadLetters")}:
        yield f"{lane}Rule: what its target refuses must be sent to DeadLetters"
    if "RetryPolicy" not in targets[0]:
        yield f"{lane}Rule: its target needs a retry policy"


def _queue_faults(resources, lane, timeout, attempts):
    queue = resources.get(f"{lane}Queue", {}).get("Properties", {})
    redrive = queue.get("RedrivePolicy", {})
    if on_aws(queue.get("VisibilityTimeout", 30)) < 6 * timeout:
        yield f"{lane}Queue: the visibility timeout must be at least six times the timeout of Enrichment"
    if queue.get("MaximumMessageSize") != MAX_MESSAGE_BYTES:
        yield f"{lane}Queue: must accept messages of 1 MiB, because an entry has up to 1 MB"
    if queue.get("MessageRetentionPeriod") != RETENTION_S:
        yield f"{lane}Queue: must retain messages for 14 days"
    if queue.get("SqsManagedSseEnabled") is not True:
        yield f"{lane}Queue: must be encrypted"
    if redrive.get("deadLetterTargetArn") != arn("DeadLetters"):
        yield f"{lane}Queue: its dead letters must be sent to DeadLetters"
    if redrive.get("maxReceiveCount") != {"Ref": "EnrichmentAttempts"}:
        yield f"{lane}Queue: maxReceiveCount must be the parameter EnrichmentAttempts"
    if sum(MEAN_DELAYS_S[:attempts]) < MIN_PATIENCE_S:
        yield "EnrichmentAttempts: the default must retry for about a day"

    policy = resources.get(f"{lane}QueuePolicy", {}).get("Properties", {})
    statements = policy.get("PolicyDocument", {}).get("Statement", [])
    only_rule = {"ArnEquals": {"aws:SourceArn": arn(f"{lane}Rule")}}
    allowed = [
        statement.get("Principal") == {"Service": "events.amazonaws.com"}
        and statement.get("Action") == "sqs:SendMessage"
        and statement.get("Condition") == only_rule
        for statement in statements
    ]
    if policy.get("Queues") != [{"Ref": f"{lane}Queue"}] or allowed != [True]:
        yield f"{lane}QueuePolicy: must allow {lane}Rule, and nothing else, to send to {lane}Queue"


def _mapping_faults(resources, lane):
    mappings = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::EventSourceMapping"
        and resource["Properties"].get("EventSourceArn") == arn(f"{lane}Queue")
    ]
    if len(mappings) != 1:
        yield f"{lane}Queue: needs exactly one event source mapping"
        return
    mapping = mappings[0]
    if mapping.get("FunctionName") != {"Ref": "Enrichment"}:
        yield f"{lane}Queue: its mapping must invoke Enrichment"
    if mapping.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
        yield f"{lane}Queue: its mapping must apply partial batch responses"
    if mapping.get("BatchSize") != BATCH_SIZE or mapping.get("MaximumBatchingWindowInSeconds") != 0:
        yield f"{lane}Queue: its mapping must have batches of {BATCH_SIZE} without a batching window"
    if "MaximumConcurrency" not in mapping.get("ScalingConfig", {}):
        yield f"{lane}Queue: its mapping needs a maximum concurrency, or its backlog delays the other lane"


def _alarm_faults(resources, lane):
    dimension = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [f"{lane}Queue", "QueueName"]}}]
    alarms = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"].get("MetricName") == "ApproximateAgeOfOldestMessage"
        and resource["Properties"].get("Dimensions") == dimension
    ]
    if len(alarms) != 1:
        yield f"{lane}Queue: needs an alarm on the age of its oldest message"


def faults(sources):
    """Returns the faults of the rules, queues and mappings between the ingest bus and enrichment."""
    resources = sources.expanded["Resources"]
    timeout = resources["Enrichment"]["Properties"]["Timeout"]
    attempts = sources.expanded["Parameters"]["EnrichmentAttempts"]["Default"]
    found = []
    for lane, detail_type in LANES.items():
        found += _rule_faults(resources, lane, detail_type)
        found += _queue_faults(resources, lane, timeout, attempts)
        found += _mapping_faults(resources, lane)
        found += _alarm_faults(resources, lane)
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        of_lane = name in {f"{lane}Rule" for lane in LANES} or name in OF_NOTICES
        if resource["Type"] == "AWS::Events::Rule" and properties.get("EventBusName") == {"Ref": "IngestBus"} and not of_lane:
            found.append(f"{name}: entries of IngestBus reach enrichment by the rules of its lanes only, and notices by theirs")
        if resource["Type"] == "AWS::Lambda::EventInvokeConfig" and properties.get("FunctionName") == {"Ref": "Enrichment"}:
            found.append(f"{name}: Enrichment is not invoked asynchronously")
    return found


def _properties(sources, name):
    return sources.template["Resources"][name]["Properties"]


def _mix_lanes(sources):
    _properties(sources, "TelemetryRule")["EventPattern"]["detail-type"].append("roadcast.alerts.v1")


def _share_a_queue(sources):
    _properties(sources, "AlertsRule")["Targets"][0]["Arn"] = arn("TelemetryQueue")


def _invoke_directly(sources):
    _properties(sources, "TelemetryRule")["Targets"][0]["Arn"] = arn("Enrichment")


def _drop_undeliverable(sources):
    del _properties(sources, "AlertsRule")["Targets"][0]["DeadLetterConfig"]


def _shorten_visibility(sources):
    _properties(sources, "TelemetryQueue")["VisibilityTimeout"] = 60


def _lengthen_function(sources):
    _properties(sources, "Enrichment")["Timeout"] = 120


def _limit_messages(sources):
    _properties(sources, "AlertsQueue")["MaximumMessageSize"] = 262144


def _forget_redrive(sources):
    del _properties(sources, "TelemetryQueue")["RedrivePolicy"]


def _lose_patience(sources):
    sources.template["Parameters"]["EnrichmentAttempts"]["Default"] = 3


def _open_queue(sources):
    del _properties(sources, "AlertsQueuePolicy")["PolicyDocument"]["Statement"][0]["Condition"]


def _fail_batches_entirely(sources):
    del _properties(sources, "TelemetryMapping")["FunctionResponseTypes"]


def _wait_for_batches(sources):
    _properties(sources, "AlertsMapping")["MaximumBatchingWindowInSeconds"] = 20


def _unlimited_backlog(sources):
    del _properties(sources, "TelemetryMapping")["ScalingConfig"]


def _watch_another_queue(sources):
    _properties(sources, "AlertsEnrichmentLate")["Dimensions"][0]["Value"] = {"Fn::GetAtt": ["DeadLetters", "QueueName"]}


BREAKAGES = [
    ("telemetry and alerts in one queue by a pattern", _mix_lanes, "TelemetryRule: must match the detail type"),
    ("telemetry and alerts in one queue by a target", _share_a_queue, "AlertsRule: its only target must be AlertsQueue"),
    ("a rule that invokes enrichment directly", _invoke_directly, "TelemetryRule: its only target must be TelemetryQueue"),
    ("a rule without a dead-letter queue", _drop_undeliverable, "AlertsRule: what its target refuses"),
    ("a short visibility timeout", _shorten_visibility, "TelemetryQueue: the visibility timeout must be at least six times"),
    ("a longer function timeout", _lengthen_function, "AlertsQueue: the visibility timeout must be at least six times"),
    ("a queue for small messages", _limit_messages, "AlertsQueue: must accept messages of 1 MiB"),
    ("a queue that retries for ever", _forget_redrive, "TelemetryQueue: its dead letters must be sent to DeadLetters"),
    ("three attempts", _lose_patience, "EnrichmentAttempts: the default must retry for about a day"),
    ("a queue that every rule may send to", _open_queue, "AlertsQueuePolicy: must allow AlertsRule, and nothing else"),
    ("a mapping without partial batch responses", _fail_batches_entirely, "must apply partial batch responses"),
    ("a mapping that waits for a batch", _wait_for_batches, "without a batching window"),
    ("a backlog without an alarm", _watch_another_queue, "AlertsQueue: needs an alarm on the age of its oldest message"),
    ("a mapping without a limit", _unlimited_backlog, "its mapping needs a maximum concurrency"),
]
