"""Bodies of requests and responses refer to a schema of `components`.

The import of API Gateway reports "Unsupported model type 'StringSchema' in 500 response" for an inline schema of a primitive
type (rstudio/plumber, issue 856), and "Unsupported model type 'ComposedSchema' in 200 response" for an inline `allOf` or
`anyOf` (aws-cloudformation/cloudformation-coverage-roadmap, issue 1579). A reference to a model has no such limits.
"""

from checks.contract import operations


def bodies(openapi):
    """Yields each request and response with its place."""
    for place, operation in operations(openapi):
        yield f"{place}: request", operation.get("requestBody", {})
        for status, response in operation.get("responses", {}).items():
            yield f"{place}: response {status}", response
    for name, response in openapi["components"].get("responses", {}).items():
        yield f"#/components/responses/{name}", response
    for name, body in openapi["components"].get("requestBodies", {}).items():
        yield f"#/components/requestBodies/{name}", body


def faults(sources):
    """Returns the bodies whose schema is inline."""
    return [
        f"{place}: the schema of {media_type} must be in #/components/schemas"
        for place, body in bodies(sources.openapi)
        for media_type, content in body.get("content", {}).items()
        if "$ref" not in content.get("schema", {"$ref": ""})
    ]


def _inline_string(sources):
    response = sources.openapi["paths"]["/vehicles/{vid}/history"]["get"]["responses"]["200"]
    response["content"]["text/csv"]["schema"] = {"type": "string"}


def _inline_request(sources):
    request = sources.openapi["paths"]["/vehicles"]["post"]["requestBody"]
    request["content"]["application/json"]["schema"] = {"anyOf": []}


BREAKAGES = [
    ("a response of a primitive type", _inline_string, "GET /vehicles/{vid}/history: response 200: the schema of text/csv"),
    ("a request with an inline schema", _inline_request, "POST /vehicles: request: the schema of application/json"),
]
