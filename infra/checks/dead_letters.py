"""Everything that fails ends in the store of dead letters: each failure destination is its queue or its bucket, the queue is
drained, and what is kept expires together."""

import json
import pathlib
import re

QUEUE, BUCKET, TABLE, COLLECTOR = "DeadLetters", "DeadLetterBucket", "DeadLetterTable", "DeadLetterCollector"
# Where Lambda stores failed batches in the bucket, and where the quarantine is in the archive.
NOTIFIED = {BUCKET: "aws/lambda/", "ArchiveBucket": "quarantine/"}
CODE = pathlib.Path(__file__).resolve().parents[2] / "crates/domain/src/dead_letter.rs"
# The retention of the items, which the code states.
RETENTION_DAYS = int(re.search(r"RETENTION_DAYS: i64 = (\d+);", CODE.read_text(encoding="utf-8")).group(1))


def arn_of(value):
    """Returns the logical id of `Fn::GetAtt: [id, Arn]`, or of `Ref: id`."""
    if isinstance(value, dict):
        attribute = value.get("Fn::GetAtt")
        return attribute[0] if isinstance(attribute, list) else value.get("Ref")
    return None


def of_type(resources, *types):
    return ((name, resource.get("Properties", {})) for name, resource in resources.items() if resource["Type"] in types)


def check_mappings(resources):
    """A batch of a stream is stored with its records; a message of a queue stays in the queue or is moved to ours."""
    for name, mapping in of_type(resources, "AWS::Lambda::EventSourceMapping"):
        source = arn_of(mapping.get("EventSourceArn"))
        destination = arn_of(mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        kind = resources.get(source, {}).get("Type")
        if kind == "AWS::SQS::Queue":
            if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
                yield f"{name}: one failed message would fail its batch; set ReportBatchItemFailures"
        elif destination != BUCKET:
            yield f"{name}: the failure destination must be {BUCKET}: any other destination gets no records"


def check_asynchronous(resources):
    for name, config in of_type(resources, "AWS::Lambda::EventInvokeConfig"):
        if arn_of(config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")) != QUEUE:
            yield f"{name}: the failure destination must be {QUEUE}"


def check_rules(resources):
    for name, rule in of_type(resources, "AWS::Events::Rule"):
        for target in rule.get("Targets", []):
            if arn_of(target.get("DeadLetterConfig", {}).get("Arn")) != QUEUE:
                yield f"{name}: target {target.get('Id')} must have {QUEUE} as dead-letter queue"
    for name, rule in of_type(resources, "AWS::IoT::TopicRule"):
        action = rule.get("TopicRulePayload", {}).get("ErrorAction", {}).get("Sqs", {})
        if arn_of(action.get("QueueUrl")) != QUEUE:
            yield f"{name}: the error action must send to {QUEUE}"


def check_queues(resources):
    for name, queue in of_type(resources, "AWS::SQS::Queue"):
        target = arn_of(queue.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        if name == QUEUE and target is not None:
            yield f"{name}: a second dead-letter queue would hide messages from {COLLECTOR}"
        elif queue.get("FifoQueue") and target is not None:
            yield f"{name}: SQS refuses a standard queue as the dead-letter queue of a FIFO queue"
        elif name != QUEUE and target != QUEUE and not queue.get("FifoQueue"):
            yield f"{name}: the redrive policy must move messages to {QUEUE}"


def role_of(resources, function):
    """Returns the role of a function as JSON."""
    return json.dumps(resources.get(arn_of(resources[function]["Properties"]["Role"]), {}))


def check_store(resources):
    """The queue is drained in time, and table and bucket keep what they have for the same time."""
    queue, bucket, table = (resources[name]["Properties"] for name in (QUEUE, BUCKET, TABLE))
    mappings = [m for _, m in of_type(resources, "AWS::Lambda::EventSourceMapping") if arn_of(m["EventSourceArn"]) == QUEUE]
    if [arn_of(mapping["FunctionName"]) for mapping in mappings] != [COLLECTOR]:
        yield f"{QUEUE}: must be drained by {COLLECTOR} alone"
    if queue.get("MessageRetentionPeriod") != 14 * 86400:
        yield f"{QUEUE}: must keep messages for 14 days, the maximum, while the collector fails"
    timeout = resources[COLLECTOR]["Properties"]["Timeout"]
    if queue.get("VisibilityTimeout", 30) < 6 * timeout:
        yield f"{QUEUE}: the visibility timeout must be six times the timeout of {COLLECTOR}, {timeout} s"
    if "KmsMasterKeyId" in queue:
        yield f"{QUEUE}: S3, EventBridge and IoT cannot send to a queue with the AWS managed key"
    expirations = [
        rule.get("ExpirationInDays")
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", [])
        if rule.get("Status") == "Enabled" and not rule.get("Prefix")
    ]
    if expirations != [RETENTION_DAYS]:
        yield f"{BUCKET}: all objects must expire after {RETENTION_DAYS} days, like the items of {TABLE}"
    if table.get("TimeToLiveSpecification") != {"AttributeName": "expiresAt", "Enabled": True}:
        yield f"{TABLE}: items must expire by expiresAt"
    stream_role = role_of(resources, "StreamProcessor")
    for right in ("s3:PutObject", "s3:ListBucket"):
        if right not in stream_role or BUCKET not in stream_role:
            yield f"StreamProcessor: its role needs {right} on {BUCKET}, to store failed batches"


def check_notifications(resources):
    """The buckets notify the queue of what failed, and its policy allows them, and only them, to do so."""
    statements = [
        statement
        for _, policy in of_type(resources, "AWS::SQS::QueuePolicy")
        if QUEUE in [arn_of(target) for target in policy["Queues"]]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    by_service = {statement["Principal"].get("Service"): statement for statement in statements if statement["Effect"] == "Allow"}
    allowed = json.dumps(by_service.get("s3.amazonaws.com", {}).get("Condition", {}))
    for name, prefix in NOTIFIED.items():
        resource = resources[name]
        notified = [
            (arn_of(config.get("Queue")), rule["Value"])
            for config in resource["Properties"].get("NotificationConfiguration", {}).get("QueueConfigurations", [])
            for rule in config.get("Filter", {}).get("S3Key", {}).get("Rules", [])
        ]
        if (QUEUE, prefix) not in notified:
            yield f"{name}: must notify {QUEUE} of objects under {prefix}"
        bucket_name = resource["Properties"]["BucketName"].get("Fn::Sub", "")
        if f":s3:::{bucket_name}" not in allowed or "aws:SourceAccount" not in allowed:
            yield f"{QUEUE}: its policy must allow {name} to send, by aws:SourceArn and aws:SourceAccount"
        if "DeadLettersPolicy" not in json.dumps(resource.get("DependsOn", [])):
            yield f"{name}: must depend on DeadLettersPolicy, or S3 refuses its notification"
    for service, statement in by_service.items():
        if "aws:SourceArn" not in json.dumps(statement.get("Condition", {})):
            yield f"{QUEUE}: {service} may send without a condition on aws:SourceArn"


def check_alarms(resources):
    alarms = {name: json.dumps(alarm) for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm")}
    for metric in ("DeadLettersKept", "DeadLettersNotCollected", "ApproximateAgeOfOldestMessage"):
        if not any(f'"{metric}"' in alarm for alarm in alarms.values()):
            yield f"{QUEUE}: no alarm on {metric}"


CHECKS = (check_mappings, check_asynchronous, check_rules, check_queues, check_store, check_notifications, check_alarms)


def faults(sources):
    """Returns all faults."""
    resources = sources.expanded["Resources"]
    return [fault for check in CHECKS for fault in check(resources)]


def properties(sources, name):
    return sources.template["Resources"][name]["Properties"]


def send_batches_to_the_queue(sources):
    mapping = properties(sources, "StreamProcessor")["Events"]["Telemetry"]["Properties"]
    mapping["DestinationConfig"]["OnFailure"] = {"Type": "SQS", "Destination": {"Fn::GetAtt": [QUEUE, "Arn"]}}


def forget_a_batch(sources):
    del properties(sources, "StreamProcessor")["Events"]["Telemetry"]["Properties"]["DestinationConfig"]


def drop_rights_of_the_mapping(sources):
    statements = properties(sources, "StreamProcessorRole")["Policies"][0]["PolicyDocument"]["Statement"]
    statements[:] = [statement for statement in statements if statement["Sid"] != "ListDeadLetterBucket"]


def drop_notification(sources):
    del properties(sources, "ArchiveBucket")["NotificationConfiguration"]


def drop_policy_of_buckets(sources):
    statements = properties(sources, "DeadLettersPolicy")["PolicyDocument"]["Statement"]
    statements[:] = [statement for statement in statements if statement["Sid"] != "AllowBuckets"]


def add_second_queue(sources):
    properties(sources, QUEUE)["RedrivePolicy"] = {"deadLetterTargetArn": {"Fn::GetAtt": [QUEUE, "Arn"]}}


def add_queue_without_redrive_policy(sources):
    sources.template["Resources"]["Other"] = {"Type": "AWS::SQS::Queue", "Properties": {}}


BREAKAGES = (
    ("failed batches are sent to the queue", send_batches_to_the_queue, "any other destination gets no records"),
    ("failed batches have no destination", forget_a_batch, "any other destination gets no records"),
    ("the role cannot list the bucket", drop_rights_of_the_mapping, "needs s3:ListBucket"),
    (
        "the import has another destination",
        lambda s: properties(s, "ReferenceLoaderInvokeConfig").pop("DestinationConfig"),
        "ReferenceLoaderInvokeConfig: the failure destination",
    ),
    (
        "the device rule has no error action",
        lambda s: properties(s, "DeviceRule")["TopicRulePayload"].pop("ErrorAction"),
        "the error action must send",
    ),
    (
        "a rule has no dead-letter queue",
        lambda s: next(iter(find_rules(s)))["Targets"][0].pop("DeadLetterConfig"),
        "as dead-letter queue",
    ),
    ("a queue has no redrive policy", add_queue_without_redrive_policy, "Other: the redrive policy"),
    ("the queue has a dead-letter queue", add_second_queue, "a second dead-letter queue"),
    ("the quarantine is not notified", drop_notification, "must notify DeadLetters of objects under quarantine/"),
    ("the buckets may not send", drop_policy_of_buckets, "must allow ArchiveBucket to send"),
    (
        "the bucket is created before the policy",
        lambda s: s.template["Resources"][BUCKET].pop("DependsOn"),
        "must depend on DeadLettersPolicy",
    ),
    (
        "any rule of any account may send",
        lambda s: properties(s, "DeadLettersPolicy")["PolicyDocument"]["Statement"][0].pop("Condition"),
        "may send without a condition",
    ),
    ("messages are kept for four days", lambda s: properties(s, QUEUE).update(MessageRetentionPeriod=345600), "14 days"),
    ("messages are visible too early", lambda s: properties(s, QUEUE).update(VisibilityTimeout=60), "visibility timeout"),
    (
        "objects are kept longer than items",
        lambda s: properties(s, BUCKET)["LifecycleConfiguration"]["Rules"][0].update(ExpirationInDays=RETENTION_DAYS + 1),
        f"must expire after {RETENTION_DAYS} days",
    ),
    ("items do not expire", lambda s: properties(s, TABLE).pop("TimeToLiveSpecification"), "must expire by expiresAt"),
    (
        "nothing drains the queue",
        lambda s: s.template["Resources"].pop("DeadLetterCollectorMapping"),
        "must be drained by DeadLetterCollector",
    ),
    (
        "one failed message fails its batch",
        lambda s: properties(s, "DeadLetterCollectorMapping").pop("FunctionResponseTypes"),
        "set ReportBatchItemFailures",
    ),
    ("no alarm on letters", lambda s: s.template["Resources"].pop("DeadLettersArrived"), "no alarm on DeadLettersKept"),
    (
        "no alarm on a collector that fails",
        lambda s: s.template["Resources"].pop("DeadLettersNotCollected"),
        "no alarm on DeadLettersNotCollected",
    ),
)


def find_rules(sources):
    """Yields the properties of the rules in the template."""
    return (properties for _, properties in of_type(sources.template["Resources"], "AWS::Events::Rule"))
