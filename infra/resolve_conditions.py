#!/usr/bin/env python3
"""Resolves the conditions of an expanded template as they are in production, for a linter that does not evaluate them.

    python infra/resolve_conditions.py EXPANDED.json RESOLVED.json

Parameters have their defaults and the values below. Resources of a false condition are removed.
"""

import json
import pathlib
import sys

PRODUCTION = {"Stage": "prod", "AlarmEmail": "alarms@example.com", "DeletionProtection": "true"}
ABSENT = object()


class Resolver:
    """Evaluates the conditions of a template."""

    def __init__(self, template):
        self.conditions = template.get("Conditions", {})
        defaults = {name: parameter.get("Default") for name, parameter in template["Parameters"].items()}
        self.parameters = {**defaults, **PRODUCTION}

    def holds(self, node):
        """Returns the value of a condition: its name or its expression."""
        if isinstance(node, str):
            return self.holds(self.conditions[node])
        ((function, operands),) = node.items()
        if function == "Condition":
            return self.holds(operands)
        if function == "Fn::Equals":
            left, right = (str(self.value(operand)) for operand in operands)
            return left == right
        if function == "Fn::Not":
            return not self.holds(operands[0])
        if function in ("Fn::And", "Fn::Or"):
            return (all if function == "Fn::And" else any)(self.holds(operand) for operand in operands)
        raise ValueError(f"{function} is not a function of conditions")

    def value(self, node):
        """Returns a part of the template with parameters and conditions replaced by their values."""
        if isinstance(node, list):
            return [value for value in map(self.value, node) if value is not ABSENT]
        if not isinstance(node, dict):
            return node
        if "Fn::If" in node:
            condition, if_true, if_false = node["Fn::If"]
            return self.value(if_true if self.holds(condition) else if_false)
        if node == {"Ref": "AWS::NoValue"}:
            return ABSENT
        if node.get("Ref") in self.parameters:
            value = self.parameters[node["Ref"]]
            return {"true": True, "false": False}.get(value, value)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not ABSENT}

    def exists(self, resource):
        """Whether the condition of a resource holds."""
        return "Condition" not in resource or self.holds(resource["Condition"])


def resolve(template):
    """Returns the template without conditions."""
    resolver = Resolver(template)
    resources = {name: resource for name, resource in template["Resources"].items() if resolver.exists(resource)}
    for resource in resources.values():
        resource.pop("Condition", None)
    return {"AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"], "Resources": resolver.value(resources)}


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: resolve_conditions.py EXPANDED.json RESOLVED.json")
    template = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    pathlib.Path(sys.argv[2]).write_text(json.dumps(resolve(template), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
