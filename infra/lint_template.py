#!/usr/bin/env python3
"""Expands template.yaml into plain CloudFormation, so that linters can check all of it, and checks the HTTP contract.

SAM and cfn-lint do not read files that the template includes with AWS::Include. A dangling reference in openapi.yaml
would therefore fail only at deployment. This script inserts the included files and the state machine definitions,
applies the SAM transform and writes the result for the linter:

    python infra/lint_template.py EXPANDED.json && cfn-lint EXPANDED.json -a cfn_lint_serverless.rules

It also checks rules that no linter knows: every operation of openapi.yaml is served by a function of the template that
the API may invoke, lists its scopes, and uses only what API Gateway can import. Each fault is one line on standard error.
The exit status is 1 if there is any fault. Requires PyYAML and aws-sam-translator.
"""

import copy
import json
import os
import pathlib
import re
import sys
import types

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERBS = ("get", "put", "post", "delete", "patch", "head", "options")
# Operations that require no token.
OPEN_OPERATIONS = {"getHealth"}
SCOPES = {"roadcast/ingest", "roadcast/read", "roadcast/admin"}
# Keywords that make API Gateway reject or ignore a model.
REFUSED_KEYWORDS = {"example", "nullable", "anyOf", "oneOf", "discriminator", "readOnly", "writeOnly", "deprecated"}
FUNCTION_OF_URI = re.compile(r":lambda:path/2015-03-31/functions/\$\{(\w+)\.Arn\}/invocations$")


class TemplateLoader(yaml.SafeLoader):
    """Reads the short forms of intrinsic functions (`!Ref`) as the long forms."""


def _intrinsic(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


TemplateLoader.add_multi_constructor("!", _intrinsic)


def inline_includes(node):
    """Replaces each AWS::Include with its file. API Gateway and CloudFormation do not allow short forms in included files,
    so a `!Ref` in one is an error here too."""
    if isinstance(node, list):
        return [inline_includes(item) for item in node]
    if not isinstance(node, dict):
        return node
    transform = node.get("Fn::Transform")
    if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
        return yaml.safe_load((ROOT / transform["Parameters"]["Location"]).read_text(encoding="utf-8"))
    return {key: inline_includes(value) for key, value in node.items()}


def expand(template):
    """Returns the template as CloudFormation receives it: packaged, with the SAM transform applied."""
    from samtranslator.translator.transform import transform

    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://packages/function.zip"
        elif resource["Type"] == "AWS::Serverless::StateMachine":
            definition = ROOT / properties.pop("DefinitionUri")
            properties["Definition"] = json.loads(definition.read_text(encoding="utf-8"))
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    return transform(template, {}, types.SimpleNamespace(load=dict))


def operations(openapi):
    """Yields each operation with its name, such as `GET /vehicles`."""
    for path, item in openapi["paths"].items():
        for verb in VERBS:
            if verb in item:
                yield f"{verb.upper()} {path}", item[verb]


def invocable_functions(resources):
    """Returns the logical ids of the functions that API Gateway may invoke."""
    return {
        resource["Properties"]["FunctionName"].get("Ref")
        for resource in resources.values()
        if resource["Type"] == "AWS::Lambda::Permission"
        and resource["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }


def check_operation(place, operation, functions, invocable):
    """Returns the faults of an operation and the function that serves it."""
    faults = []
    integration = operation.get("x-amazon-apigateway-integration", {})
    uri = integration.get("uri", {})
    match = FUNCTION_OF_URI.search(uri.get("Fn::Sub", "")) if isinstance(uri, dict) else None
    function = match.group(1) if match else None
    if integration.get("type") != "aws_proxy" or integration.get("httpMethod") != "POST":
        faults.append(f"{place}: the integration must be of type aws_proxy and use POST")
    if function is None:
        faults.append(f"{place}: the integration does not reference a function with Fn::Sub")
    elif function not in functions:
        faults.append(f"{place}: {function} is not a function of template.yaml")
    elif function not in invocable:
        faults.append(f"{place}: API Gateway has no permission to invoke {function}")

    requirements = operation.get("security")
    if operation.get("operationId") in OPEN_OPERATIONS:
        if requirements != []:
            faults.append(f"{place}: requires no token, so it needs `security: []`")
    else:
        scopes = [scope for requirement in requirements or [] for scope in requirement.get("cognito", [])]
        if not scopes or not set(scopes) <= SCOPES:
            faults.append(f"{place}: requires scopes, each one of {', '.join(sorted(SCOPES))}")
    return faults, function


def check_keywords(node, place):
    """Returns where a schema uses keywords that API Gateway cannot import. Property names are not keywords."""
    faults = []
    if isinstance(node, dict):
        faults += [f"{place}: API Gateway cannot import `{key}`" for key in node if key in REFUSED_KEYWORDS]
        for key, value in node.items():
            children = value.items() if key == "properties" else [(key, value)]
            for name, child in children:
                faults += check_keywords(child, f"{place}/{name}")
    elif isinstance(node, list):
        for index, child in enumerate(node):
            faults += check_keywords(child, f"{place}/{index}")
    return faults


def check(template, openapi):
    """Returns all faults of the contract and of the template that serves it."""
    resources = template["Resources"]
    functions = {name for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function"}
    invocable = invocable_functions(resources)
    faults, serving, ids = [], set(), set()
    for place, operation in operations(openapi):
        found, function = check_operation(place, operation, functions, invocable)
        faults += found
        serving.add(function)
        if operation.get("operationId") in ids:
            faults.append(f"{place}: duplicate operationId")
        ids.add(operation.get("operationId"))
    faults += [f"{function}: API Gateway may invoke it, but no operation uses it" for function in invocable - serving]
    for name, schema in openapi["components"]["schemas"].items():
        faults += check_keywords(schema, f"#/components/schemas/{name}")
        if not name.isalnum():
            faults.append(f"#/components/schemas/{name}: API Gateway requires alphanumeric names")
    return faults


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: lint_template.py EXPANDED.json")
    template = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), TemplateLoader)
    openapi = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    faults = check(template, openapi)
    for fault in faults:
        print(fault, file=sys.stderr)
    expanded = expand(inline_includes(template))
    pathlib.Path(sys.argv[1]).write_text(json.dumps(expanded, indent=1), encoding="utf-8")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
