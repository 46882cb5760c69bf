"""Webhooks: entries reach the fan-out from every delivery bus, tasks reach the dispatcher, waits are woken, secrets stay sealed."""

import fnmatch
import json
import re

from checks import arn, on_aws

STAGE = "dev"
MAX_MESSAGE_BYTES = 1048576
RETENTION_S = 1209600
# Each queue with its mapping's function.
CONSUMERS = {
    "WebhookEvents": "WebhookFanOut",
    "WebhookDeliveries": "WebhookDispatcher",
    "WebhookOrdered": "WebhookDispatcher",
}
# Who may use the key of the secrets, and how.
KEY_USERS = {"WebhookDispatcherRole": {"kms:Decrypt"}, "EndpointsApiRole": {"kms:Encrypt", "kms:Decrypt"}}
PATTERN = {"detail": {"webhook": [True]}}
# The functions that send requests to URLs of fleets, or check these URLs.
SENDERS = ("WebhookDispatcher", "EndpointsApi")


def _properties(resources, name):
    return resources.get(name, {}).get("Properties", {})


def _resolved(value):
    """Returns a text with the stage inserted, from the sixth part of an ARN on."""
    text = value.get("Fn::Sub", "") if isinstance(value, dict) else value or ""
    return text.replace("${Stage}", STAGE).split(":")[-1]


def check_rule(resources):
    """The rule of the first delivery bus, and what provisioning needs to create the same rule on the others."""
    rule = _properties(resources, "WebhookRule")
    targets = rule.get("Targets", [{}])
    if rule.get("EventBusName") != {"Ref": "DeliveryBus"} or rule.get("EventPattern") != PATTERN:
        yield "WebhookRule: must match the marked entries of DeliveryBus, as provisioning does on further buses"
    if len(targets) != 1 or targets[0].get("Arn") != arn("WebhookEvents") or "InputPath" in targets[0]:
        yield "WebhookRule: its only target must be WebhookEvents, with the whole entry, which names the fleet"
    if "RetryPolicy" not in targets[0] or targets[0].get("DeadLetterConfig") != {"Arn": arn("DeadLetters")}:
        yield "WebhookRule: its target needs a retry policy, and DeadLetters for what it refuses"
    variables = _properties(resources, "Provisioner").get("Environment", {}).get("Variables", {})
    if variables.get("WEBHOOK_RULE") != rule.get("Name") or variables.get("WEBHOOK_EVENTS_QUEUE_ARN") != arn("WebhookEvents"):
        yield "Provisioner: must create the rule of WebhookRule, with its target, on further delivery buses"
    rule_name = _resolved(rule.get("Name"))
    statements = [
        statement
        for policy in _properties(resources, "ProvisionerRole").get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "ManageWebhookRules"
    ]
    expected = f"rule/roadcast-{STAGE}-delivery-2/{rule_name}"
    if not any(fnmatch.fnmatchcase(expected, _resolved(statement["Resource"])) for statement in statements):
        yield f"ProvisionerRole: ManageWebhookRules must allow {expected}"
    policies = [
        statement
        for resource in resources.values()
        if resource["Type"] == "AWS::SQS::QueuePolicy" and {"Ref": "WebhookEvents"} in resource["Properties"]["Queues"]
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]
    sources = [_resolved(statement.get("Condition", {}).get("ArnLike", {}).get("aws:SourceArn")) for statement in policies]
    for bus in (f"roadcast-{STAGE}-delivery", f"roadcast-{STAGE}-delivery-2"):
        if not any(fnmatch.fnmatchcase(f"rule/{bus}/{rule_name}", source) for source in sources):
            yield f"WebhookEvents: its policy must allow the rule on {bus} to send"
    others = (f"rule/roadcast-{STAGE}-delivery/roadcast-{STAGE}-feed-flt_1", f"rule/roadcast-other-delivery/{rule_name}")
    if any(not source or fnmatch.fnmatchcase(other, source) for source in sources for other in others):
        yield "WebhookEvents: its policy must allow no other rule to send"


def check_queues(resources):
    """Tasks and entries survive an outage, and a message is not received twice while it is processed."""
    for queue, function in CONSUMERS.items():
        properties = _properties(resources, queue)
        timeout = _properties(resources, function).get("Timeout", 900)
        if on_aws(properties.get("VisibilityTimeout", 30)) < 6 * timeout:
            yield f"{queue}: the visibility timeout must be at least six times the timeout of {function}"
        if properties.get("MessageRetentionPeriod") != RETENTION_S:
            yield f"{queue}: must retain messages for 14 days"
        mappings = [
            resource["Properties"]
            for resource in resources.values()
            if resource["Type"] == "AWS::Lambda::EventSourceMapping" and resource["Properties"]["EventSourceArn"] == arn(queue)
        ]
        if [mapping["FunctionName"] for mapping in mappings] != [{"Ref": function}]:
            yield f"{queue}: needs exactly one event source mapping, to {function}"
            continue
        mapping = mappings[0]
        if mapping.get("BatchSize") != 10 or mapping.get("MaximumBatchingWindowInSeconds", 0) != 0:
            yield f"{queue}: its mapping must have batches of 10 without a batching window"
        if "MaximumConcurrency" not in mapping.get("ScalingConfig", {}):
            yield f"{queue}: its mapping needs a maximum concurrency, or its backlog uses up that of the account"
    if _properties(resources, "WebhookEvents").get("MaximumMessageSize") != MAX_MESSAGE_BYTES:
        yield "WebhookEvents: must accept messages of 1 MiB, because an entry has up to 1 MB"
    ordered = _properties(resources, "WebhookOrdered")
    scope = (ordered.get("DeduplicationScope"), ordered.get("FifoThroughputLimit"))
    if ordered.get("FifoQueue") is not True or scope != ("messageGroup", "perMessageGroupId"):
        yield "WebhookOrdered: must be a FIFO queue with high throughput, or one endpoint's rate limits all others"
    if "FifoQueue" in _properties(resources, "WebhookDeliveries"):
        yield "WebhookDeliveries: must be a standard queue, whose messages can be delayed"


def check_dead_letters_of_the_fifo_queue(resources):
    """A FIFO queue cannot move messages to a standard queue, so the dispatcher sends what was received too often."""
    variables = _properties(resources, "WebhookDispatcher").get("Environment", {}).get("Variables", {})
    if variables.get("DEAD_LETTER_QUEUE_URL") != {"Ref": "DeadLetters"} or variables.get("MAX_RECEIVES") != {
        "Ref": "EnrichmentAttempts"
    }:
        yield "WebhookDispatcher: must send messages of WebhookOrdered to DeadLetters after EnrichmentAttempts receives"


def check_schedule(resources):
    """What waits in the store is woken every minute."""
    schedules = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Scheduler::Schedule" and resource["Properties"]["Target"]["Arn"] == arn("WebhookScheduler")
    ]
    if [schedule.get("ScheduleExpression") for schedule in schedules] != ["rate(1 minute)"]:
        yield "WebhookScheduler: must be invoked every minute by one schedule"
    if any(schedule.get("State", "ENABLED") != "ENABLED" for schedule in schedules):
        yield "WebhookScheduler: its schedule must be enabled"
    if _properties(resources, "WebhookScheduler").get("Timeout", 0) >= 60:
        yield "WebhookScheduler: must end before its next run, a minute later"


def check_key(resources):
    """Secrets are sealed under a key of the stack, which is rotated, and which only two functions may use."""
    key = _properties(resources, "WebhookKey")
    if key.get("EnableKeyRotation") is not True:
        yield "WebhookKey: must be rotated"
    if key.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        yield "WebhookKey: must be symmetric: an encryption context is not possible otherwise"
    used = {}
    for name, resource in resources.items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        for policy in resource["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                of_key = {action for action in actions if action.startswith("kms:")}
                if of_key:
                    used.setdefault(name, set()).update(of_key)
                if of_key and statement["Resource"] != arn("WebhookKey"):
                    yield f"{name}: {', '.join(sorted(of_key))} must be limited to WebhookKey"
    if used != KEY_USERS:
        yield f"WebhookKey: may be used by {KEY_USERS} only, not by {used}"


def check_table(resources):
    table = _properties(resources, "Deliveries")
    if table.get("TimeToLiveSpecification") != {"AttributeName": "expiresAt", "Enabled": True}:
        yield "Deliveries: items must expire by expiresAt"


def check_local_sinks(template, resources):
    """Only the local stage may send requests to this machine."""
    parameter = template["Parameters"].get("LocalSinks", {})
    if parameter.get("Default") != "":
        yield "LocalSinks: must be empty by default"
    pattern = parameter.get("AllowedPattern", ".*")
    for text in ("10.0.0.1:80", "169.254.169.254:80", "example.com:443", "127.0.0.1"):
        if re.fullmatch(pattern, text):
            yield f"LocalSinks: must not allow {text}"
    rules = [
        json.dumps(rule["Assertions"])
        for rule in template.get("Rules", {}).values()
        if rule.get("RuleCondition") == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Stage"}, "local"]}]}
    ]
    if not any('{"Fn::Equals": [{"Ref": "LocalSinks"}, ""]}' in rule for rule in rules):
        yield "LocalSinks: a rule must refuse it for each stage but local"
    for function in SENDERS:
        if _properties(resources, function)["Environment"]["Variables"].get("LOCAL_SINKS") != {"Ref": "LocalSinks"}:
            yield f"{function}: LOCAL_SINKS must be the parameter LocalSinks, and nothing else"


def check_alarms(resources):
    alarms = [json.dumps(resource) for resource in resources.values() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    for queue in CONSUMERS:
        dimension = json.dumps({"Fn::GetAtt": [queue, "QueueName"]})
        if not any("ApproximateAgeOfOldestMessage" in alarm and dimension in alarm for alarm in alarms):
            yield f"{queue}: no alarm on the age of its oldest message"
    for metric in ("WebhookAttemptsFailed", "EndpointsDisabled"):
        if not any(f'"{metric}"' in alarm for alarm in alarms):
            yield f"no alarm on {metric}"


def faults(sources):
    """Returns all faults."""
    resources = sources.expanded["Resources"]
    checks = (
        check_rule, check_queues, check_dead_letters_of_the_fifo_queue, check_schedule, check_key, check_table, check_alarms)
    found = [fault for check in checks for fault in check(resources)]
    return found + list(check_local_sinks(sources.template, resources))


def _of(sources, name):
    return sources.template["Resources"][name]["Properties"]


def _statement(sources, role, sid):
    statements = _of(sources, role)["Policies"][0]["PolicyDocument"]["Statement"]
    return next(statement for statement in statements if statement.get("Sid") == sid)


def _change(name, key, value):
    """Returns a breakage that sets a property of a resource; without a value, it removes the property."""

    def breaks(sources):
        if value is None:
            del _of(sources, name)[key]
        else:
            _of(sources, name)[key] = value

    return breaks


def _send_everything(sources):
    _of(sources, "WebhookRule")["EventPattern"] = {"detail": {"events": [{"exists": True}]}}


def _send_events_only(sources):
    _of(sources, "WebhookRule")["Targets"][0]["InputPath"] = "$.detail.events"


def _drop_refused(sources):
    del _of(sources, "WebhookRule")["Targets"][0]["DeadLetterConfig"]


def _forget_further_buses(sources):
    del _of(sources, "Provisioner")["Environment"]["Variables"]["WEBHOOK_EVENTS_QUEUE_ARN"]


def _narrow_provisioner(sources):
    _statement(sources, "ProvisionerRole", "ManageWebhookRules")["Resource"] = {"Fn::GetAtt": ["WebhookRule", "Arn"]}


def _admit(source):
    def breaks(sources):
        statement = _of(sources, "WebhookEventsPolicy")["PolicyDocument"]["Statement"][0]
        statement["Condition"] = {"ArnLike": {"aws:SourceArn": {"Fn::Sub": source}}}

    return breaks


def _never_give_up(sources):
    del _of(sources, "WebhookDispatcher")["Environment"]["Variables"]["MAX_RECEIVES"]


def _open_key(sources):
    statement = {"Sid": "Open", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": {"Fn::GetAtt": ["WebhookKey", "Arn"]}}
    _of(sources, "FleetDeliveryRole")["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def _any_key(sources):
    _statement(sources, "WebhookDispatcherRole", "OpenSecrets")["Resource"] = {
        "Fn::Sub": "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*"}


def _sinks_anywhere(sources):
    del sources.template["Rules"]["SinksAreLocal"]


def _any_sink(sources):
    sources.template["Parameters"]["LocalSinks"]["AllowedPattern"] = "[^:]*:[0-9]+"


def _fixed_sink(sources):
    _of(sources, "WebhookDispatcher")["Environment"]["Variables"]["LOCAL_SINKS"] = "127.0.0.1:8790"


def _default_sink(sources):
    sources.template["Parameters"]["LocalSinks"]["Default"] = "127.0.0.1:8790"


def _watch_one_queue(sources):
    for metric in _of(sources, "WebhooksLate")["Metrics"]:
        if "MetricStat" in metric:
            value = {"Fn::GetAtt": ["WebhookEvents", "QueueName"]}
            metric["MetricStat"]["Metric"]["Dimensions"] = [{"Name": "QueueName", "Value": value}]


def _ignore_failures(sources):
    del sources.template["Resources"]["WebhooksFailing"]


FEEDS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/roadcast-${Stage}-delivery*/*"
FIRST_BUS = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/roadcast-${Stage}-delivery/roadcast-${Stage}-webhooks"

BREAKAGES = [
    ("a rule that sends every entry", _send_everything, "WebhookRule: must match the marked entries"),
    ("a rule that drops the fleet", _send_events_only, "its only target must be WebhookEvents, with the whole entry"),
    ("a rule without a dead-letter queue", _drop_refused, "WebhookRule: its target needs a retry policy"),
    ("further buses without webhooks", _forget_further_buses, "Provisioner: must create the rule of WebhookRule"),
    ("a provisioner that may not create the rule", _narrow_provisioner, "ProvisionerRole: ManageWebhookRules must allow"),
    ("a queue for the first bus only", _admit(FIRST_BUS), "must allow the rule on roadcast-dev-delivery-2"),
    ("a queue that the rules of feeds may send to", _admit(FEEDS), "its policy must allow no other rule"),
    ("a short visibility timeout", _change("WebhookDeliveries", "VisibilityTimeout", 60), "WebhookDeliveries: the visibility"),
    ("a longer function timeout", _change("WebhookDispatcher", "Timeout", 120), "WebhookOrdered: the visibility timeout"),
    ("tasks that expire in four days", _change("WebhookOrdered", "MessageRetentionPeriod", None), "must retain messages for 14"),
    ("a queue without its mapping", _change("WebhookOrderedMapping", "EventSourceArn", arn("WebhookEvents")),
     "WebhookOrdered: needs exactly one event source mapping"),
    ("a mapping that waits for a batch", _change("WebhookDeliveriesMapping", "MaximumBatchingWindowInSeconds", 20),
     "WebhookDeliveries: its mapping must have batches of 10"),
    ("a mapping without a limit", _change("WebhookDeliveriesMapping", "ScalingConfig", None),
     "WebhookDeliveries: its mapping needs a maximum concurrency"),
    ("a queue for small entries", _change("WebhookEvents", "MaximumMessageSize", 262144), "must accept messages of 1 MiB"),
    ("a slow FIFO queue", _change("WebhookOrdered", "FifoThroughputLimit", "perQueue"), "a FIFO queue with high throughput"),
    ("delays in a FIFO queue", _change("WebhookDeliveries", "FifoQueue", True), "WebhookDeliveries: must be a standard queue"),
    ("a message that blocks its group", _never_give_up, "must send messages of WebhookOrdered to DeadLetters"),
    ("waits that end late", _change("WebhookSchedule", "ScheduleExpression", "rate(1 hour)"), "must be invoked every minute"),
    ("a schedule that is off", _change("WebhookSchedule", "State", "DISABLED"), "its schedule must be enabled"),
    ("runs that overlap", _change("WebhookScheduler", "Timeout", 120), "must end before its next run"),
    ("a key that is never rotated", _change("WebhookKey", "EnableKeyRotation", None), "WebhookKey: must be rotated"),
    ("an asymmetric key", _change("WebhookKey", "KeySpec", "RSA_2048"), "WebhookKey: must be symmetric"),
    ("a third user of the key", _open_key, "WebhookKey: may be used by"),
    ("a right for every key", _any_key, "WebhookDispatcherRole: kms:Decrypt must be limited to WebhookKey"),
    ("deliveries that never expire", _change("Deliveries", "TimeToLiveSpecification", None), "Deliveries: items must expire"),
    ("local receivers on AWS", _sinks_anywhere, "a rule must refuse it for each stage but local"),
    ("receivers in private networks", _any_sink, "LocalSinks: must not allow 10.0.0.1:80"),
    ("a receiver that no rule refuses", _fixed_sink, "WebhookDispatcher: LOCAL_SINKS must be the parameter"),
    ("a receiver by default", _default_sink, "LocalSinks: must be empty by default"),
    ("backlogs without an alarm", _watch_one_queue, "WebhookOrdered: no alarm on the age"),
    ("failures without an alarm", _ignore_failures, "no alarm on WebhookAttemptsFailed"),
]
