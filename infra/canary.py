#!/usr/bin/env python3
"""Writes the form of the built template that deploys new code gradually: docs/operations/deploy.md.

    sam build && target/lint/bin/python infra/canary.py && sam deploy --template-file .aws-sam/build/canary.yaml

Reads .aws-sam/build/template.yaml, or the template that is given, and writes canary.yaml and canary-openapi.yaml next to it. Each
function that the API or an event source mapping invokes gets an alias, through which it is invoked. CodeDeploy moves the alias to the
new version in steps, as the parameter DeploymentType says, and back if an alarm of the function rings. The functions that a
workflow, a bucket or a schedule invokes are replaced at once. See docs/decisions/0062-canary-deployments.md.

Requires PyYAML.
"""

import copy
import datetime
import hashlib
import pathlib
import re
import sys

import yaml

ALIAS = "live"
TYPES = [
    "Canary10Percent5Minutes",
    "Canary10Percent10Minutes",
    "Canary10Percent15Minutes",
    "Canary10Percent30Minutes",
    "Linear10PercentEvery1Minute",
    "Linear10PercentEvery2Minutes",
    "Linear10PercentEvery3Minutes",
    "Linear10PercentEvery10Minutes",
    "AllAtOnce",
]
# The alarms that end the deployment of a function, in addition to that of all functions.
OF_ALL = ["FunctionsFailing"]
OF_API = ["ApiErrorRateHigh", "ApiAvailabilityHalfHour"]
OF_FUNCTION = {
    "StreamProcessor": ["TelemetryIteratorAgeHigh", "QuarantineRateHigh"],
    "AlertEvaluator": ["AlertsEvaluationLate"],
    "AlertNotifier": ["AlertNoticesLate"],
    "Enrichment": ["TelemetryEnrichmentLate", "AlertsEnrichmentLate"],
    "WebhookFanOut": ["WebhooksLate"],
    "WebhookDispatcher": ["WebhooksLate", "WebhooksFailing"],
    "DeadLetterCollector": ["DeadLettersNotCollected"],
    # A back-test that fails is started again by its owner.
    "BackTester": [],
}
INTEGRATION = re.compile(r"/functions/\$\{(\w+)\.Arn\}/invocations")


def alias_of(function):
    """Returns the logical id that SAM gives to the alias of a function."""
    return f"{function}Alias{ALIAS}"


def texts(node):
    """Yields all texts of a document."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, (list, dict)):
        for item in node.values() if isinstance(node, dict) else node:
            yield from texts(item)


def integrated(openapi):
    """Returns the functions that the API invokes."""
    return {name for text in texts(openapi) for name in INTEGRATION.findall(text)}


def mapped(resources):
    """Returns the functions that an event source mapping invokes, in either form."""
    found = set()
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::EventSourceMapping":
            found.add(properties["FunctionName"]["Ref"])
        elif resource["Type"] == "AWS::Serverless::Function":
            events = properties.get("Events", {}).values()
            found |= {name for event in events if event["Type"] in ("Kinesis", "SQS", "DynamoDB")}
    return found


def with_aliases(node):
    """Returns the API with integrations that invoke aliases. `Ref` of an alias is its ARN."""
    if isinstance(node, str):
        return INTEGRATION.sub(lambda match: f"/functions/${{{alias_of(match.group(1))}}}/invocations", node)
    if isinstance(node, list):
        return [with_aliases(item) for item in node]
    if isinstance(node, dict):
        return {key: with_aliases(item) for key, item in node.items()}
    return node


def canary(template, openapi, release):
    """Returns the template that deploys gradually. `release` is a text that differs in each deployment: a version is published for
    each of them, because a changed parameter alone would not publish one."""
    template = copy.deepcopy(template)
    resources = template["Resources"]
    of_api, of_sources = integrated(openapi), mapped(resources)
    missing = of_sources - set(OF_FUNCTION)
    if missing:
        raise ValueError(f"state in OF_FUNCTION which alarms end the deployment of {', '.join(sorted(missing))}")
    template["Parameters"]["DeploymentType"] = {
        "Type": "String",
        "Default": "Canary10Percent15Minutes",
        "AllowedValues": TYPES,
        "Description": "How CodeDeploy moves requests to new code. AllAtOnce does not look at alarms: for corrections while one rings.",
    }
    gradually = {"Fn::Not": [{"Fn::Equals": [{"Ref": "DeploymentType"}, "AllAtOnce"]}]}
    template["Conditions"]["WatchAlarms"] = {"Fn::And": [{"Condition": "Cloud"}, gradually]}
    for function in sorted(of_api | of_sources):
        alarms = OF_ALL + (OF_API if function in of_api else []) + OF_FUNCTION.get(function, [])
        unknown = [alarm for alarm in alarms if alarm not in resources]
        if unknown:
            raise ValueError(f"{function}: the template has no alarm {', '.join(unknown)}")
        resources[function]["Properties"].update(
            AutoPublishAlias=ALIAS,
            AutoPublishCodeSha256=hashlib.sha256(f"{function} {release}".encode()).hexdigest(),
            DeploymentPreference={
                "Type": {"Ref": "DeploymentType"},
                "Alarms": {"Fn::If": ["WatchAlarms", [{"Ref": alarm} for alarm in alarms], [{"Ref": "AWS::NoValue"}]]},
            },
        )
    for resource in resources.values():
        properties = resource.get("Properties", {})
        invoked = properties.get("FunctionName", {})
        invoked = invoked.get("Ref") if isinstance(invoked, dict) else None
        if resource["Type"] == "AWS::Lambda::EventSourceMapping" or (
            resource["Type"] == "AWS::Lambda::Permission" and properties["Principal"] == "apigateway.amazonaws.com"
        ):
            properties["FunctionName"] = {"Ref": alias_of(invoked)}
    return template


def locations(node):
    """Yields the parameters of each AWS::Include."""
    if isinstance(node, list):
        for item in node:
            yield from locations(item)
    elif isinstance(node, dict):
        transform = node.get("Fn::Transform")
        if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
            yield transform["Parameters"]
        for item in node.values():
            yield from locations(item)


def main():
    if len(sys.argv) > 2:
        sys.exit("usage: canary.py [TEMPLATE]")
    # The loader is that of the linter, which reads the short forms of intrinsic functions.
    from lint_template import TemplateLoader

    path = pathlib.Path(sys.argv[1] if len(sys.argv) == 2 else ".aws-sam/build/template.yaml")
    if not path.exists():
        sys.exit(f"{path} does not exist; run `sam build` first")
    template = yaml.load(path.read_text(encoding="utf-8"), TemplateLoader)
    included = next(item for item in locations(template["Resources"]["Api"]) if item["Location"].endswith("openapi.yaml"))
    openapi = yaml.safe_load((path.parent / included["Location"]).read_text(encoding="utf-8"))
    result = canary(template, openapi, datetime.datetime.now(datetime.timezone.utc).isoformat())
    for item in locations(result["Resources"]["Api"]):
        if item["Location"] == included["Location"]:
            item["Location"] = "canary-openapi.yaml"
    for name, document in (("canary-openapi.yaml", with_aliases(openapi)), ("canary.yaml", result)):
        (path.parent / name).write_text(yaml.safe_dump(document, sort_keys=False, width=120), encoding="utf-8")
    print(f"{path.parent / 'canary.yaml'}")


if __name__ == "__main__":
    main()
