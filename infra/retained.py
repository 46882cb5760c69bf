#!/usr/bin/env python3
"""Writes what CloudFormation needs to import the resources that a deleted stack left: docs/operations/recovery.md.

    python infra/retained.py STAGE ACCOUNT REGION USER_POOL_ID SECRET_ARN KEY_ID

writes `retained.json`, a template with only these resources, and `places.json`, which states where each one is, into the current
folder. Requires PyYAML and aws-sam-translator, as infra/lint_template.py does.
"""

import json
import logging
import pathlib
import re
import sys

# The role and the setting for the logs of API Gateway are shared with other APIs. A new stack makes its own.
NOT_IMPORTED = {"AWS::ApiGateway::Account", "AWS::IAM::Role"}
# Refers to functions and queues, which do not exist yet. The next deployment adds it again.
ADDED_LATER = {"AWS::S3::Bucket": "NotificationConfiguration"}


def retained(expanded):
    """Returns a template with only the resources that remain when the stack is deleted. Fails with ValueError if they refer to
    others."""
    resources = {}
    for name, resource in expanded["Resources"].items():
        if resource.get("DeletionPolicy") and resource["Type"] not in NOT_IMPORTED:
            later = ADDED_LATER.get(resource["Type"])
            properties = {key: value for key, value in resource["Properties"].items() if key != later}
            resources[name] = {**resource, "Properties": properties}
            resources[name].pop("DependsOn", None)
    template = {key: expanded[key] for key in ("AWSTemplateFormatVersion", "Parameters", "Conditions")}
    missing = referenced(resources) - set(resources) - set(template["Parameters"])
    if missing:
        raise ValueError(f"what a deleted stack retains refers to {', '.join(sorted(missing))}; add the property to ADDED_LATER")
    return {**template, "Resources": resources}


def referenced(node):
    """Returns the logical ids and parameters to which a part of a template refers."""
    if isinstance(node, list):
        return set().union(*(referenced(item) for item in node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*(referenced(item) for item in node.values()))
    if isinstance(node.get("Ref"), str) and not node["Ref"].startswith("AWS::"):
        found.add(node["Ref"])
    if "Fn::GetAtt" in node:
        found.add(node["Fn::GetAtt"][0])
    if isinstance(node.get("Fn::Sub"), str):
        found |= set(re.findall(r"\$\{(\w+)(?:\.\w+)?\}", node["Fn::Sub"]))
    return found


def places(template, values, pool, secret, key):
    """Returns for each resource of the template where it is. Fails with ValueError for a type that it does not know."""

    def name(value):
        return re.sub(r"\$\{([\w:]+)\}", lambda match: values[match.group(1)], value["Fn::Sub"])

    identifiers = {
        "AWS::DynamoDB::Table": lambda properties: {"TableName": name(properties["TableName"])},
        "AWS::S3::Bucket": lambda properties: {"BucketName": name(properties["BucketName"])},
        "AWS::Cognito::UserPool": lambda properties: {"UserPoolId": pool},
        "AWS::SecretsManager::Secret": lambda properties: {"Id": secret},
        "AWS::KMS::Key": lambda properties: {"KeyId": key},
    }
    unknown = {resource["Type"] for resource in template["Resources"].values()} - set(identifiers)
    if unknown:
        raise ValueError(f"state in infra/retained.py how CloudFormation identifies {', '.join(sorted(unknown))}")
    return [
        {
            "ResourceType": resource["Type"],
            "LogicalResourceId": logical_id,
            "ResourceIdentifier": identifiers[resource["Type"]](resource["Properties"]),
        }
        for logical_id, resource in template["Resources"].items()
    ]


def main():
    import lint_template

    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    if len(sys.argv) != 7:
        sys.exit("usage: retained.py STAGE ACCOUNT REGION USER_POOL_ID SECRET_ARN KEY_ID")
    stage, account, region, pool, secret, key = sys.argv[1:]
    sources = lint_template.load()
    template = retained(lint_template.expand(sources))
    found = places(template, {"Stage": stage, "AWS::AccountId": account, "AWS::Region": region}, pool, secret, key)
    pathlib.Path("retained.json").write_text(json.dumps(template), encoding="utf-8")
    pathlib.Path("places.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"{len(found)} resources to import: {', '.join(place['LogicalResourceId'] for place in found)}")


if __name__ == "__main__":
    main()
