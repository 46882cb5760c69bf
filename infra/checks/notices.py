"""Notices of the operator's alerts: marked entries reach the notifier, its topic is encrypted, and the incident tool is retried.

What the local endpoint does not check: it needs no policy of a queue, no role of a rule and no key of a topic, and it knows
neither connections nor API destinations in a template.
"""

from checks import arn, on_aws

CLOUD_ONLY = ("IncidentConnection", "IncidentDestination", "IncidentRule", "IncidentRole")
# EventBridge retries for a day at most.
MAX_AGE_S = 86400


def properties(resources, name):
    return resources.get(name, {}).get("Properties", {})


def check_rules(resources):
    """Yields the faults of the rules and their targets."""
    for name, pattern, target_arn in (
        ("AlertNoticesRule", {"detail-type": ["roadcast.alerts.v1"], "detail": {"notice": [True]}}, arn("AlertNotices")),
        ("IncidentRule", {"detail-type": ["roadcast.alert-notice.v1"]}, arn("IncidentDestination")),
    ):
        rule = properties(resources, name)
        targets = rule.get("Targets", [{}])
        if rule.get("EventPattern") != {"source": ["roadcast.ingest"], **pattern}:
            yield f"{name}: must match {pattern} of the source roadcast.ingest, and nothing else"
        if rule.get("EventBusName") != {"Ref": "IngestBus"}:
            yield f"{name}: must be a rule of IngestBus"
        if len(targets) != 1 or targets[0].get("Arn") != target_arn:
            yield f"{name}: its only target must be {target_arn}"
        if targets[0].get("InputPath") != "$.detail":
            yield f"{name}: its target gets the detail"
        if targets[0].get("RetryPolicy", {}).get("MaximumEventAgeInSeconds") != MAX_AGE_S:
            yield f"{name}: its target must be retried for a day"


def check_queue(resources):
    queue, function = properties(resources, "AlertNotices"), properties(resources, "AlertNotifier")
    if on_aws(queue.get("VisibilityTimeout", 30)) < 6 * function.get("Timeout", 0):
        yield "AlertNotices: the visibility timeout must be six times the timeout of AlertNotifier"
    if queue.get("MaximumMessageSize") != 1048576:
        yield "AlertNotices: must accept messages of 1 MiB, because an entry has up to 1 MB"
    statements = properties(resources, "AlertNoticesPolicy").get("PolicyDocument", {}).get("Statement", [])
    if [statement.get("Condition") for statement in statements] != [{"ArnEquals": {"aws:SourceArn": arn("AlertNoticesRule")}}]:
        yield "AlertNoticesPolicy: must allow AlertNoticesRule, and nothing else, to send"


def check_topic(resources):
    if properties(resources, "OperatorAlerts").get("KmsMasterKeyId") != "alias/aws/sns":
        yield "OperatorAlerts: must be encrypted, with the key that functions may publish with"


def check_incident_tool(resources, parameters):
    for name in CLOUD_ONLY:
        if resources.get(name, {}).get("Condition") != "IncidentEndpoint":
            yield f"{name}: must have the condition IncidentEndpoint"
    targets = properties(resources, "IncidentRule").get("Targets", [{}])
    if targets[0].get("RoleArn") != arn("IncidentRole"):
        yield "IncidentRule: EventBridge calls an API destination with a role"
    statements = [
        statement
        for policy in properties(resources, "IncidentRole").get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    rights = [(statement["Action"], statement["Resource"]) for statement in statements]
    if rights != [("events:InvokeApiDestination", arn("IncidentDestination"))]:
        yield "IncidentRole: must allow to invoke the destination, and nothing else"
    key = properties(resources, "IncidentConnection").get("AuthParameters", {}).get("ApiKeyAuthParameters", {})
    if key.get("ApiKeyValue") != {"Ref": "IncidentEndpointKey"} or parameters["IncidentEndpointKey"].get("NoEcho") is not True:
        yield "IncidentConnection: its key must be a parameter that is not shown"
    if not parameters["IncidentEndpointUrl"].get("AllowedPattern", "").startswith("(https://"):
        yield "IncidentEndpointUrl: EventBridge calls https only"


def faults(sources):
    """Returns all faults."""
    resources = sources.expanded["Resources"]
    return [
        *check_rules(resources),
        *check_queue(resources),
        *check_topic(resources),
        *check_incident_tool(resources, sources.template["Parameters"]),
    ]


def of(sources, name):
    return sources.template["Resources"][name]["Properties"]


BREAKAGES = (
    (
        "alerts of fleets are told",
        lambda s: of(s, "AlertNoticesRule")["EventPattern"].pop("detail"),
        "AlertNoticesRule: must match",
    ),
    (
        "the tool gets the entry",
        lambda s: of(s, "IncidentRule")["Targets"][0].pop("InputPath"),
        "IncidentRule: its target gets the detail",
    ),
    (
        "the tool is not retried",
        lambda s: of(s, "IncidentRule")["Targets"][0].pop("RetryPolicy"),
        "IncidentRule: its target must be retried",
    ),
    ("another bus", lambda s: of(s, "IncidentRule").pop("EventBusName"), "IncidentRule: must be a rule of IngestBus"),
    (
        "another target",
        lambda s: of(s, "AlertNoticesRule")["Targets"][0].update(Arn=arn("DeadLetters")),
        "AlertNoticesRule: its only target",
    ),
    ("messages are visible too early", lambda s: of(s, "AlertNotices").update(VisibilityTimeout=60), "six times the timeout"),
    ("small messages", lambda s: of(s, "AlertNotices").update(MaximumMessageSize=262144), "messages of 1 MiB"),
    (
        "a queue that every rule may send to",
        lambda s: of(s, "AlertNoticesPolicy")["PolicyDocument"]["Statement"][0].pop("Condition"),
        "AlertNoticesPolicy: must allow",
    ),
    ("a topic without encryption", lambda s: of(s, "OperatorAlerts").pop("KmsMasterKeyId"), "OperatorAlerts: must be encrypted"),
    (
        "a connection on the local stack",
        lambda s: s.template["Resources"]["IncidentConnection"].update(Condition="Cloud"),
        "IncidentConnection: must have the condition",
    ),
    (
        "no role",
        lambda s: of(s, "IncidentRule")["Targets"][0].pop("RoleArn"),
        "IncidentRule: EventBridge calls an API destination with a role",
    ),
    (
        "a role for every destination",
        lambda s: of(s, "IncidentRole")["Policies"][0]["PolicyDocument"]["Statement"][0].update(Resource="*"),
        "IncidentRole: must allow to invoke",
    ),
    ("a key that is shown", lambda s: s.template["Parameters"]["IncidentEndpointKey"].pop("NoEcho"), "that is not shown"),
    (
        "a URL without TLS",
        lambda s: s.template["Parameters"]["IncidentEndpointUrl"].update(AllowedPattern="(https?://.*)?"),
        "calls https only",
    ),
)
