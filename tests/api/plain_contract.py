"""Writes openapi.yaml as plain OpenAPI in JSON, for tools that are not API Gateway.

Usage: plain_contract.py CONTRACT FOLDER

`openapi.json` is the contract without what only API Gateway reads. `client.json`, which clients are generated from, also keeps
only the first media type of each request body: of a body of several, openapi-python-client makes code that cannot be imported.
"""

import json
import pathlib
import sys

import yaml


def plain(node):
    """The node without its `x-amazon-*` members, which hold intrinsic functions of CloudFormation."""
    if isinstance(node, dict):
        return {name: plain(value) for name, value in node.items() if not str(name).startswith("x-amazon-")}
    if isinstance(node, list):
        return [plain(item) for item in node]
    return node


def with_one_media_type(node):
    """The node with one media type in each request body."""
    if isinstance(node, list):
        return [with_one_media_type(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: with_one_media_type(value) for name, value in node.items()}
    body = node.get("requestBody")
    if isinstance(body, dict) and "content" in body:
        node["requestBody"] = {**body, "content": dict(list(body["content"].items())[:1])}
    return node


class Loader(yaml.SafeLoader):
    """Reads times as the texts that they are in JSON."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def main():
    """Reads the contract, and writes both."""
    contract, folder = map(pathlib.Path, sys.argv[1:])
    document = plain(yaml.load(contract.read_text(encoding="utf-8"), Loader))
    (folder / "openapi.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (folder / "client.json").write_text(json.dumps(with_one_media_type(document), indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
