"""Writes openapi.yaml as plain OpenAPI in JSON: without what only API Gateway reads.

Usage: plain_contract.py CONTRACT OUTPUT
"""

import json
import sys

import yaml


def plain(node):
    """The node without its `x-amazon-*` members, which hold intrinsic functions of CloudFormation."""
    if isinstance(node, dict):
        return {name: plain(value) for name, value in node.items() if not str(name).startswith("x-amazon-")}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return node


class Loader(yaml.SafeLoader):
    """Reads times as the texts that they are in JSON."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

if __name__ == "__main__":
    contract, output = sys.argv[1:]
    with open(contract, encoding="utf-8") as file:
        document = yaml.load(file, Loader)
    with open(output, "w", encoding="utf-8") as file:
        json.dump(plain(document), file, indent=1)
