"""A subscription becomes active only after events passed to its feed, and every fleet finds a delivery bus with room."""

import fnmatch

DEFINITION = "infra/provisioning.asl.json"
DEFINITIONS = (DEFINITION, "infra/offboarding.asl.json", "infra/erasure.asl.json")
# The state that handles failures has no other state to go to if it fails.
FAILURE_HANDLER = "HandleFailure"
# The states from which `Activate` may follow: events passed now, or passed since the last change.
PROOFS = {"ProbeFeed", "IsProven"}
# SetQueueAttributes: a change can take up to 60 seconds.
QUEUE_CHANGE_SECONDS = 60
# The retention of the stream: 24 hours.
STREAM_RETENTION_SECONDS = 24 * 60 * 60
# Provisioner: a round of probes, its last request and the calls of AWS.
ROUND_SECONDS = 45
STAGE = "dev"


def successors(state):
    """Returns the states that can follow, without those that catch its errors."""
    choices = [choice["Next"] for choice in state.get("Choices", [])]
    return choices + [state[member] for member in ("Next", "Default") if member in state]


def check_retries(path, definition):
    """Returns the tasks that are not retried a bounded number of times, or whose last failure is not handled."""
    found = []
    for name, state in definition["States"].items():
        if state["Type"] != "Task":
            continue
        retries = state.get("Retry", [])
        if not retries or any(not 1 <= retry.get("MaxAttempts", 3) <= 10 for retry in retries):
            found.append(f"{path}: {name} must be retried, 1 to 10 times")
        if any("States.ALL" not in retry["ErrorEquals"] for retry in retries):
            found.append(f"{path}: {name} must be retried after every error")
        caught = [catch["Next"] for catch in state.get("Catch", []) if "States.ALL" in catch["ErrorEquals"]]
        if name != FAILURE_HANDLER and caught != [FAILURE_HANDLER]:
            found.append(f"{path}: {name} must leave every error to {FAILURE_HANDLER}")
    return found


def check_order(definition):
    """Returns the paths on which a subscription becomes active without a proof."""
    states, found = definition["States"], []
    before = {name for name, state in states.items() if "Activate" in successors(state)}
    found += [f"{DEFINITION}: Activate must not follow {name}" for name in sorted(before - PROOFS)]
    if not before:
        found.append(f"{DEFINITION}: Activate is not reachable")
    probing = [name for name, state in states.items() if "ProbeFeed" in successors(state)]
    for name in probing:
        if states[name]["Type"] != "Wait" or "SecondsPath" not in states[name]:
            found.append(f"{DEFINITION}: ProbeFeed must follow a wait of a parameter, not {name}")
    proven = states.get("IsProven", {})
    expected = [{"Variable": "$.feed.proven", "BooleanEquals": True, "Next": "Activate"}]
    if proven.get("Choices") != expected or states.get(proven.get("Default"), {}).get("Type") != "Wait":
        found.append(f"{DEFINITION}: IsProven must activate a proven feed only, and wait otherwise")
    return found


def resolved(value):
    """Returns a text of the template with the stage inserted and everything else as a placeholder."""
    text = value.get("Fn::Sub", "") if isinstance(value, dict) else value
    return text.replace("${Stage}", STAGE)


def statement(resources, role, sid):
    """Returns a statement of a role's own policy; an empty one if it is missing."""
    policies = resources.get(role, {}).get("Properties", {}).get("Policies", [])
    statements = [entry for policy in policies for entry in policy["PolicyDocument"]["Statement"]]
    return next((entry for entry in statements if entry.get("Sid") == sid), {})


def check_resource(resources, role, sid, expected):
    """Returns a fault unless the resource of a statement matches all expected resources, and none of another stage."""
    pattern = resolved(statement(resources, role, sid).get("Resource", ""))
    matches = [fnmatch.fnmatchcase(resource, pattern.rsplit(":", 1)[-1]) for resource in expected]
    others = [resource.replace(f"-{STAGE}-", "-other-") for resource in expected]
    if not all(matches) or any(fnmatch.fnmatchcase(other, pattern.rsplit(":", 1)[-1]) for other in others):
        return [f"{role}: {sid} must allow exactly {', '.join(expected)}"]
    return []


def check_buses(resources):
    """Returns where the further delivery buses cannot be used, or their rules cannot send dead letters."""
    bus, rule = f"roadcast-{STAGE}-delivery", f"roadcast-{STAGE}-feed-flt_1"
    buses, further = [bus, f"{bus}-2"], [f"{bus}-2", f"{bus}-90"]
    found = check_resource(resources, "EnrichmentRole", "PutEvents", [f"event-bus/{name}" for name in buses])
    found += check_resource(resources, "ProvisionerRole", "CreateDeliveryBuses", [f"event-bus/{name}" for name in further])
    found += check_resource(resources, "ProvisionerRole", "ManageFeedRules", [f"rule/{name}/{rule}" for name in buses])
    conditions = [
        entry.get("Condition", {}).get("ArnLike", {}).get("aws:SourceArn", "")
        for resource in resources.values()
        if resource["Type"] == "AWS::SQS::QueuePolicy" and {"Ref": "DeadLetters"} in resource["Properties"]["Queues"]
        for entry in resource["Properties"]["PolicyDocument"]["Statement"]
    ]
    patterns = [resolved(value).rsplit(":", 1)[-1] for value in conditions]
    for name in buses:
        if not any(fnmatch.fnmatchcase(f"rule/{name}/{rule}", pattern) for pattern in patterns):
            found.append(f"DeadLetters: the rules of fleets on {name} must be allowed to send")
    return found


def check_parameters(template):
    """Returns the faults of the parameters and of the variables that they set."""
    parameters, resources = template["Parameters"], template["Resources"]
    found = []
    if parameters.get("ProvisioningWaitSeconds", {}).get("Default", 0) < QUEUE_CHANGE_SECONDS:
        found.append(f"ProvisioningWaitSeconds: the default must be at least {QUEUE_CHANGE_SECONDS}")
    if parameters.get("ErasureWaitSeconds", {}).get("Default", 0) <= STREAM_RETENTION_SECONDS:
        found.append("ErasureWaitSeconds: the default must be longer than the retention of the stream")
    if not 1 <= parameters.get("RulesPerBus", {}).get("Default", 0) <= 300:
        found.append("RulesPerBus: the default must not exceed the default quota, 300")
    for function, variable, value in (
        ("Provisioner", "PROVISIONING_WAIT_SECONDS", {"Ref": "ProvisioningWaitSeconds"}),
        ("Provisioner", "FEED_DEAD_LETTER_QUEUE_ARN", {"Fn::GetAtt": ["DeadLetters", "Arn"]}),
        ("Onboarding", "RULES_PER_BUS", {"Ref": "RulesPerBus"}),
        ("Eraser", "ERASURE_WAIT_SECONDS", {"Ref": "ErasureWaitSeconds"}),
    ):
        if resources[function]["Properties"]["Environment"]["Variables"].get(variable) != value:
            found.append(f"{function}: {variable} must be {value}")
    if resources["Provisioner"]["Properties"]["Timeout"] < ROUND_SECONDS:
        found.append(f"Provisioner: a round of probes takes up to {ROUND_SECONDS} s")
    return found


def faults(sources):
    """Returns all faults of the workflows and of what they need."""
    found = []
    for path in DEFINITIONS:
        found += check_retries(path, sources.files[path])
    return (
        found
        + check_order(sources.files[DEFINITION])
        + check_parameters(sources.template)
        + check_buses(sources.template["Resources"])
    )


def _state(sources, name):
    return sources.files[DEFINITION]["States"][name]


def _activate_without_probe(sources):
    _state(sources, "EnsureClient")["Next"] = "Activate"


def _probe_without_wait(sources):
    _state(sources, "IsProven")["Default"] = "ProbeFeed"


def _remove_retry(sources):
    del _state(sources, "ProbeFeed")["Retry"]


def _remove_catch(sources):
    del sources.files["infra/offboarding.asl.json"]["States"]["Drain"]["Catch"]


def _shorten_wait(sources):
    sources.template["Parameters"]["ProvisioningWaitSeconds"]["Default"] = 30


def _end_erasures_early(sources):
    sources.template["Parameters"]["ErasureWaitSeconds"]["Default"] = 3600


def _statement(sources, role, sid):
    return statement(sources.template["Resources"], role, sid)


def _publish_to_one_bus(sources):
    _statement(sources, "EnrichmentRole", "PutEvents")["Resource"] = {"Fn::GetAtt": ["DeliveryBus", "Arn"]}


def _create_rules_on_one_bus(sources):
    resource = _statement(sources, "ProvisionerRole", "ManageFeedRules")["Resource"]
    resource["Fn::Sub"] = resource["Fn::Sub"].replace("delivery*/", "delivery/")


def _refuse_dead_letters(sources):
    policy = sources.template["Resources"]["DeadLettersPolicy"]["Properties"]["PolicyDocument"]
    for entry in policy["Statement"]:
        entry.pop("Condition", None)
        entry["Condition"] = {"ArnLike": {"aws:SourceArn": {"Fn::Sub": "arn:aws:events:r:a:rule/roadcast-${Stage}-ingest/*"}}}


BREAKAGES = [
    ("a subscription that is activated without a probe", _activate_without_probe, "Activate must not follow EnsureClient"),
    ("a probe without a wait", _probe_without_wait, "ProbeFeed must follow a wait"),
    ("a step that is not retried", _remove_retry, "ProbeFeed must be retried"),
    ("a failure that is not handled", _remove_catch, "Drain must leave every error to HandleFailure"),
    ("a wait that is too short", _shorten_wait, "ProvisioningWaitSeconds: the default must be at least 60"),
    ("an erasure that ends too early", _end_erasures_early, "ErasureWaitSeconds: the default must be longer"),
    ("enrichment that can publish to one bus only", _publish_to_one_bus, "EnrichmentRole: PutEvents must allow"),
    ("rules that can be created on one bus only", _create_rules_on_one_bus, "ProvisionerRole: ManageFeedRules must allow"),
    ("dead letters of fleets that are refused", _refuse_dead_letters, "the rules of fleets on roadcast-dev-delivery must be"),
]
