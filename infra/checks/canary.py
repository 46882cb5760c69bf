"""The gradual form of the template invokes code through aliases only, and the plain form has none."""

import dataclasses
import json

import canary

ADDED_TYPES = ("AWS::Lambda::Alias", "AWS::Lambda::Version", "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup")
# Moves aliases back to the version before: "Automatic rollbacks", CodeDeploy User Guide.
ROLLBACKS = {"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"}


def gradual(sources):
    """Returns the sources of the gradual form, expanded."""
    from lint_template import expand

    template = canary.canary(sources.template, sources.openapi, "check")
    result = dataclasses.replace(sources, template=template, openapi=canary.with_aliases(sources.openapi))
    return dataclasses.replace(result, expanded=expand(result))


def check_invocations(sources, resources):
    """Yields the invokers of functions with an alias that do not use it."""
    aliases = {name for name, resource in resources.items() if resource["Type"] == "AWS::Lambda::Alias"}
    for function in sorted(canary.integrated(sources.openapi)):
        yield f"{function}: the API invokes it without its alias"
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        is_invoker = resource["Type"] == "AWS::Lambda::EventSourceMapping" or (
            resource["Type"] == "AWS::Lambda::Permission" and properties["Principal"] == "apigateway.amazonaws.com"
        )
        if is_invoker and properties["FunctionName"].get("Ref") not in aliases:
            yield f"{name}: must refer to an alias in the gradual form"


def check_groups(resources):
    """Yields the aliases that are not moved gradually, or that no alarm moves back."""
    for name, resource in resources.items():
        if resource["Type"] != "AWS::Lambda::Alias":
            continue
        update = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
        group = resources.get(update.get("DeploymentGroupName", {}).get("Ref"), {}).get("Properties", {})
        if not group:
            yield f"{name}: is not moved by CodeDeploy"
            continue
        if set(group.get("AutoRollbackConfiguration", {}).get("Events", [])) != ROLLBACKS:
            yield f"{name}: is not moved back after each failure"
        _, alarms, otherwise = group.get("AlarmConfiguration", {}).get("Fn::If", (None, {}, {}))
        watched = [alarm["Name"].get("Ref") for alarm in alarms.get("Alarms", [])]
        if not watched or any(alarm not in resources for alarm in watched):
            yield f"{name}: no alarm moves it back"


def faults(sources):
    """Returns the faults of both forms."""
    plain = [
        f"{name}: the plain form must not have a resource of type {resource['Type']}; see infra/canary.py"
        for name, resource in sources.expanded["Resources"].items()
        if resource["Type"] in ADDED_TYPES
    ]
    if plain:
        return plain
    try:
        other = gradual(sources)
    except ValueError as error:
        return [f"infra/canary.py: {error}"]
    resources = other.expanded["Resources"]
    return [*check_invocations(other, resources), *check_groups(resources)]


def _publish_always(sources):
    sources.template["Resources"]["StreamProcessor"]["Properties"]["AutoPublishAlias"] = "live"


def _rename_alarm(sources):
    resources = sources.template["Resources"]
    resources["WebhooksTooLate"] = resources.pop("WebhooksLate")


def _map_another_function(sources):
    sources.template["Resources"]["AlertsMapping"]["Properties"]["FunctionName"] = {"Ref": "Provisioner"}


def _invoke_by_name(sources):
    text = json.dumps(sources.openapi)
    sources.openapi = json.loads(text.replace("/functions/${Onboarding.Arn}/", "/functions/arn:${Onboarding.Arn}/"))


BREAKAGES = [
    ("an alias in the plain form", _publish_always, "the plain form must not have a resource of type AWS::Lambda::Alias"),
    ("an alarm that the template renames", _rename_alarm, "the template has no alarm WebhooksLate"),
    ("a mapping of a function without alarms", _map_another_function, "state in OF_FUNCTION which alarms"),
    ("an integration that is not recognized", _invoke_by_name, "OnboardingPermission: must refer to an alias"),
]
