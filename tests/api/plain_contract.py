"""Writes openapi.yaml as plain OpenAPI in JSON, for tools other than API Gateway.

Usage: plain_contract.py CONTRACT FOLDER

`openapi.json` is the contract without the extensions of API Gateway and the paths that have nothing else. `client.json` is
the input for client generation. It omits what openapi-python-client does not support: each request body has only its first
media type, because the code for several media types does not run, and time headers have no format.
"""

import json
import pathlib
import sys

import yaml


def plain(node):
    """Returns the node without `x-amazon-*` members, which contain intrinsic functions of CloudFormation."""
    if isinstance(node, dict):
        return {name: plain(value) for name, value in node.items() if not str(name).startswith("x-amazon-")}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return node


def for_a_client(node):
    """Returns the node with one media type in each request body and without header formats."""
    if isinstance(node, list):
        return [for_a_client(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: for_a_client(value) for name, value in node.items()}
    body, schema = node.get("requestBody"), node.get("schema")
    if isinstance(body, dict) and "content" in body:
        node["requestBody"] = {**body, "content": dict(list(body["content"].items())[:1])}
    if node.get("in") == "header" and isinstance(schema, dict):
        node["schema"] = {name: value for name, value in schema.items() if name != "format"}
    return node


def with_operations(paths):
    """Returns the paths with operations. The others are only for API Gateway."""
    return {path: item for path, item in paths.items() if any(name != "parameters" for name in item)}


class Loader(yaml.SafeLoader):
    """Reads timestamps as strings, as in JSON."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def main():
    """Reads the contract and writes both files."""
    contract, folder = map(pathlib.Path, sys.argv[1:])
    document = plain(yaml.load(contract.read_text(encoding="utf-8"), Loader))
    document["paths"] = with_operations(document["paths"])
    (folder / "openapi.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "client.json").write_text(json.dumps(for_a_client(document), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
