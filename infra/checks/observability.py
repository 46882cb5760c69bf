"""Every function, failure and log is visible: dashboard, alarms, traces and log groups."""

import json
import re

from checks.functions import allowed_resources, role_of, text_of

FUNCTION_METRICS = ("Errors", "Throttles", "Duration")
QUEUE_METRIC = "ApproximateNumberOfMessagesVisible"
# "IAM policies for AWS X-Ray" of the Step Functions Developer Guide.
TRACING_ACTIONS = ("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets")
# Metrics of the device rule that count messages which are lost.
LOST_MESSAGES = ("RuleMessageThrottled", "ErrorActionFailure")
# "Alarms based on metric math expressions can reference a maximum of 10 metrics", CloudWatch User Guide, "Limits".
MAX_ALARM_METRICS = 10
SEARCH_WORD = re.compile(r"(\w|\$\{\w+\})+$")


def of_type(resources, kind):
    """Returns the resources of a type by logical id."""
    return {name: resource for name, resource in resources.items() if resource["Type"] == kind}


def widgets(sources):
    """Returns the widgets of the dashboard."""
    return json.loads(text_of(sources.files["infra/dashboard.yaml"]))["widgets"]


def graphed(widget):
    """Yields the metrics of a widget, with the short forms `.` and `...` replaced by what they repeat."""
    before = []
    for entry in widget["properties"].get("metrics", []):
        names = [part for part in entry if isinstance(part, str)]
        if not names:
            continue
        if names[0] == "...":
            names = before[: len(before) - len(names) + 1] + names[1:]
        before = [before[index] if name == "." else name for index, name in enumerate(names)]
        yield tuple(before)


def check_searches(dashboard):
    """Returns the searches that find nothing. In a search, a term in quotation marks is an entire name ("Search expression
    syntax", CloudWatch User Guide)."""
    found = []
    for search in re.findall(r"SEARCH\('\{[^}]*\}(.*?)',", json.dumps(dashboard).replace('\\"', '"').replace("\\\\", "")):
        terms = re.sub(r'MetricName="\w+"', "", search).replace('\\', "").split()
        found += [f"dashboard: the search term {term} must be separate words without quotation marks" for term in terms
                  if not SEARCH_WORD.match(term)]
    return found


def check_dashboard(sources):
    """Returns the functions and queues that the dashboard omits."""
    resources = sources.expanded["Resources"]
    shown = {metric for widget in widgets(sources) for metric in graphed(widget)}
    expected = [
        (name, ("AWS/Lambda", metric, "FunctionName", text_of(function["Properties"]["FunctionName"])))
        for name, function in of_type(resources, "AWS::Lambda::Function").items()
        for metric in FUNCTION_METRICS
    ]
    expected += [
        (name, ("AWS/SQS", QUEUE_METRIC, "QueueName", text_of(queue["Properties"]["QueueName"])))
        for name, queue in of_type(resources, "AWS::SQS::Queue").items()
    ]
    return [f"dashboard: {metric[1]} of {name} is missing" for name, metric in expected if metric not in shown]


def check_alarms(resources):
    """Returns the faults of alarms, and what has none."""
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    found = []
    for name, alarm in alarms.items():
        if not alarm["Properties"].get("AlarmActions"):
            found.append(f"{name}: notifies no one; it requires AlarmActions")
        count = sum("MetricStat" in metric for metric in alarm["Properties"].get("Metrics", []))
        if count > MAX_ALARM_METRICS:
            found.append(f"{name}: has {count} metrics; an alarm can have {MAX_ALARM_METRICS}")
    # Without dimensions, it is the metric of all functions.
    throttles = [alarm["Properties"] for alarm in alarms.values() if alarm["Properties"].get("MetricName") == "Throttles"]
    if not any(alarm["Namespace"] == "AWS/Lambda" and "Dimensions" not in alarm for alarm in throttles):
        found.append("no alarm covers the throttles of all functions")
    for rule in of_type(resources, "AWS::IoT::TopicRule"):
        texts = [json.dumps(alarm["Properties"]) for alarm in alarms.values()]
        # The rule is a dimension of the alarm, or a value in its query.
        of_rule = [text for text in texts if f'"Ref": "{rule}"' in text or f"${{{rule}}}" in text]
        found += [f"{rule}: no alarm on {metric}" for metric in LOST_MESSAGES if not any(metric in text for text in of_rule)]
    return found


def check_logs(resources):
    """Returns log groups without a retention period, and the execution logs that are not in the stack."""
    groups = of_type(resources, "AWS::Logs::LogGroup")
    endless = [name for name, group in groups.items() if "RetentionInDays" not in group["Properties"]]
    found = [f"{name}: requires RetentionInDays" for name in endless]
    for name, stage in of_type(resources, "AWS::ApiGateway::Stage").items():
        api = stage["Properties"]["RestApiId"]["Ref"]
        expected = f"API-Gateway-Execution-Logs_${{{api}}}/${{Stage}}"
        names = {text_of(group["Properties"].get("LogGroupName")): group_id for group_id, group in groups.items()}
        access_log = stage["Properties"]["AccessLogSetting"]["DestinationArn"]["Fn::GetAtt"][0]
        # API Gateway creates the group with the stage. The stage is created after the group of the access log.
        if expected not in names:
            found.append(f"{name}: the log group {expected} is not in the stack")
        elif names[expected] not in groups[access_log].get("DependsOn", []):
            found.append(f"{name}: {access_log} must depend on {names[expected]}, which must exist before the stage")
    return found


def check_traces(resources):
    """Returns the state machines that may not send traces by the sampling rules."""
    machines = of_type(resources, "AWS::StepFunctions::StateMachine")
    return [
        f"{name}: its role requires {action}"
        for name, machine in machines.items()
        if machine["Properties"].get("TracingConfiguration", {}).get("Enabled")
        for action in TRACING_ACTIONS
        if not allowed_resources(resources, role_of(machine), action)
    ]


def check_email(template):
    """Returns a fault if production can be deployed without a receiver of alarms."""
    rules = json.dumps(template.get("Rules", {}))
    if '{"Fn::Equals": [{"Ref": "Stage"}, "prod"]}' in rules and '{"Ref": "AlarmEmail"}' in rules:
        return []
    return ["Rules: the stage prod must require AlarmEmail"]


def faults(sources):
    """Returns what would be invisible in operation."""
    resources = sources.expanded["Resources"]
    return [
        *check_searches(widgets(sources)),
        *check_dashboard(sources),
        *check_alarms(resources),
        *check_logs(resources),
        *check_traces(resources),
        *check_email(sources.expanded),
    ]


def _replace_in_dashboard(sources, old, new):
    text = sources.files["infra/dashboard.yaml"]["Fn::Sub"]
    assert old in text, f"the dashboard does not contain {old}"
    sources.files["infra/dashboard.yaml"]["Fn::Sub"] = text.replace(old, new)


def _quote_prefix(sources):
    _replace_in_dashboard(sources, "roadcast ${Stage} feed", 'QueueName=\\"roadcast-${Stage}-feed-\\" \\"-dlq\\"')


def _omit_function(sources):
    _replace_in_dashboard(sources, "${Stage}-provisioner", "${Stage}-other")


def _omit_queue(sources):
    _replace_in_dashboard(sources, '"roadcast-${Stage}-dead-letters"', '"roadcast-${Stage}-other"')


def _silence_alarm(sources):
    del sources.template["Resources"]["StreamThrottled"]["Properties"]["AlarmActions"]


def _add_metrics(sources):
    metrics = sources.template["Resources"]["WorkflowFailed"]["Properties"]["Metrics"]
    metrics.extend([metrics[-1]] * MAX_ALARM_METRICS)


def _throttles_of_one(sources):
    alarm = sources.template["Resources"]["FunctionsThrottled"]["Properties"]
    alarm["Dimensions"] = [{"Name": "FunctionName", "Value": {"Ref": "EventsApi"}}]


def _remove(name):
    def breaks(sources):
        del sources.template["Resources"][name]

    return breaks


def _remove_execution_log(sources):
    _remove("ApiExecutionLog")(sources)
    del sources.template["Resources"]["ApiAccessLog"]["DependsOn"]


def _create_stage_first(sources):
    del sources.template["Resources"]["ApiAccessLog"]["DependsOn"]


def _keep_logs(sources):
    del sources.template["Resources"]["ProvisioningLog"]["Properties"]["RetentionInDays"]


def _ignore_sampling(sources):
    statements = sources.template["Resources"]["WorkflowRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements[:] = [statement for statement in statements if statement["Sid"] != "ReadSamplingRules"]


def _require_no_email(sources):
    del sources.template["Rules"]


BREAKAGES = [
    ("a search with a quoted prefix", _quote_prefix, "must be separate words without quotation marks"),
    ("a function that the dashboard omits", _omit_function, "dashboard: Errors of Provisioner is missing"),
    ("a queue that the dashboard omits", _omit_queue, "of DeadLetters is missing"),
    ("an alarm that notifies no one", _silence_alarm, "StreamThrottled: notifies no one"),
    ("too many metrics in an alarm", _add_metrics, "WorkflowFailed: has 13 metrics"),
    ("throttles of one function only", _throttles_of_one, "no alarm covers the throttles"),
    ("throttled devices without an alarm", _remove("DeviceRuleThrottled"), "DeviceRule: no alarm on RuleMessageThrottled"),
    ("lost messages without an alarm", _remove("DeviceMessagesLost"), "DeviceRule: no alarm on ErrorActionFailure"),
    ("an execution log outside the stack", _remove_execution_log, "is not in the stack"),
    ("an execution log that API Gateway creates", _create_stage_first, "must exist before the stage"),
    ("a log group without a retention period", _keep_logs, "ProvisioningLog: requires RetentionInDays"),
    ("workflows that ignore the sampling rules", _ignore_sampling, "its role requires xray:GetSamplingRules"),
    ("production without a receiver of alarms", _require_no_email, "the stage prod must require AlarmEmail"),
]
