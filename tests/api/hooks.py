"""Hooks and checks for schemathesis: gateway responses, long polling, problem documents."""

import json
import math
import os
import re

import schemathesis
import yaml
from schemathesis.core.failures import Failure

PROBLEMS = "https://roadcast.dev/problems/"

with open("openapi.yaml", encoding="utf-8") as file:
    GATEWAY_RESPONSES = yaml.safe_load(file)["x-amazon-apigateway-gateway-responses"]

# Errors of the local endpoint, and the gateway response that replaces each of them on AWS according to the contract.
LOCAL_REFUSALS = {
    b'{"message":"Unauthorized"}': "UNAUTHORIZED",
    b'{"message":"Missing Authentication Token"}': "MISSING_AUTHENTICATION_TOKEN",
}


# Parameters with rules that a schema cannot express, so a value that is valid against the schema may return 400.
BEYOND_SCHEMAS = {
    # Opaque values that only the API creates.
    "?cursor",
    # Must be after `from`.
    "?to",
    # At most 128 bytes; schemas count characters.
    "?externalId",
    # At most one day, in any unit.
    "?resolution",
    # Must be a known package, a path or branch of the catalogue, or an existing event attribute or type.
    "?package",
    "?signal",
    "?fields",
    "?type",
}


# Resources that do not exist: `before_call` replaces the ids of resources that other callers use with them.
ABSENT_FLEET = "flt_0000000000000000"
ABSENT_CLIENT = "unknown"


@schemathesis.hook
def after_call(context, case, response):
    """Replaces errors of the local endpoint, which does not support gateway responses, with the response of API Gateway."""
    refusal = LOCAL_REFUSALS.get(response.content.replace(b": ", b":").strip())
    if refusal is None:
        return
    gateway = GATEWAY_RESPONSES[refusal]
    response.status_code = int(gateway["statusCode"])
    response.content = gateway["responseTemplates"]["application/json"].encode()
    for parameter, value in gateway["responseParameters"].items():
        response.headers[parameter.removeprefix("gatewayresponse.header.").lower()] = [value.strip("'")]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Shortens long polling of the feed, which would otherwise wait for every generated `waitSeconds`. Prevents the offboarding of
    existing fleets and changes of their clients, because other callers use some of them."""
    fleet_id = (case.path_parameters or {}).get("fleetId")
    if case.method.upper() == "DELETE" and fleet_id in os.environ.get("ROADCAST_KEPT_FLEETS", "").split():
        case.path_parameters["fleetId"] = ABSENT_FLEET
    client_id = (case.path_parameters or {}).get("clientId")
    if case.method.upper() in ("DELETE", "PUT") and client_id in os.environ.get("ROADCAST_KEPT_CLIENTS", "").split():
        case.path_parameters["clientId"] = ABSENT_CLIENT
    wait = case.body.get("waitSeconds") if isinstance(case.body, dict) else None
    if case.path.endswith("/feed") and isinstance(wait, int) and not isinstance(wait, bool) and 1 < wait <= 20:
        case.body["waitSeconds"] = 1


def problem_of(response):
    """Returns the problem document of a response, or None."""
    if not any(value.startswith("application/problem+json") for value in response.headers.get("content-type", [])):
        return None
    return json.loads(response.content)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Ignores known false positives; each has its reason here."""
    problem = problem_of(response) or {}
    pointers = {error["pointer"] for error in problem.get("errors", [])}
    name = type(failure).__name__
    if name == "RejectedPositiveData" and response.status_code == 400 and pointers and pointers <= BEYOND_SCHEMAS:
        return False
    # `ce-` headers are read only in binary mode, if the body itself is not an event.
    if name == "AcceptedNegativeData" and re.search("`ce-[a-z]+`.* in header", failure.message):
        return False
    # The response is about the id that `before_call` inserted, not about the created resource.
    if name == "EnsureResourceAvailability" and {ABSENT_FLEET, ABSENT_CLIENT} & {*(case.path_parameters or {}).values()}:
        return False
    return True


class UndocumentedProblem(Failure):
    """A problem document without a documentation page, or with a contradictory status."""


class MistakenProblem(Failure):
    """A problem document with an incorrect statement about the request."""


class MisplacedProblem(Failure):
    """A problem document with a pointer that does not exist in the request."""


def fail(kind, case, title, message):
    """Fails the check."""
    raise kind(operation=case.operation.label, title=title, message=message)


@schemathesis.check
def problems_are_documented(ctx, response, case):
    """Every problem has a page in docs/problems, and its status equals the response status."""
    problem = problem_of(response)
    if problem is None:
        return
    kind = problem["type"].removeprefix(PROBLEMS)
    if not re.fullmatch("[a-z-]+", kind) or not os.path.exists(f"docs/problems/{kind}.md"):
        fail(UndocumentedProblem, case, "Undocumented problem", f"docs/problems has no page for {problem['type']}")
    if problem.get("status", response.status_code) != response.status_code:
        detail = f"status {problem['status']} in a {response.status_code} response"
        fail(UndocumentedProblem, case, "Wrong status in a problem", detail)


@schemathesis.check
def only_what_is_not_json_is_invalid_json(ctx, response, case):
    """A valid JSON body of the wrong structure is `invalid-body`, which has a pointer."""
    if (problem_of(response) or {}).get("type") == PROBLEMS + "invalid-json" and is_json(response.request.body):
        fail(MistakenProblem, case, "Valid JSON rejected as invalid", "the body is valid JSON")


def is_json(body):
    """Returns whether a body is interoperable JSON: no NaN, no number beyond a double, no lone surrogate."""

    def finite(text):
        if not math.isfinite(float(text)):
            raise ValueError(text)

    try:
        json.dumps(json.loads(body, parse_float=finite, parse_constant=finite), ensure_ascii=False).encode()
    except (ValueError, TypeError):
        return False
    return True


@schemathesis.check
def problems_name_their_places(ctx, response, case):
    """Every `errors[].pointer` is a known or sent parameter, or points to an existing or missing member of the body."""
    for error in (problem_of(response) or {}).get("errors", []):
        pointer = error["pointer"]
        if pointer.startswith("?"):
            known = {parameter.name for parameter in case.operation.query} | {*(case.query or {})}
            if pointer[1:] not in known:
                fail(MisplacedProblem, case, "Unknown parameter", f"{pointer} is not a parameter of {case.operation.label}")
        elif pointer and not pointer_exists(pointer, response.request):
            fail(MisplacedProblem, case, "Unknown pointer", f"{pointer} does not exist in the request body")


def pointer_exists(pointer, request):
    """Returns whether the parent of a JSON pointer exists in the body and can have members."""
    # In binary mode the attributes are headers, and pointers refer to the event that consists of headers and body.
    if any(name.lower().startswith("ce-") for name in request.headers) and not pointer.startswith("/data/"):
        return True
    try:
        node = json.loads(request.body)
        *parents, last = [segment.replace("~1", "/").replace("~0", "~") for segment in pointer.split("/")[1:]]
        for segment in parents:
            node = node[int(segment) if isinstance(node, list) else segment]
    except (ValueError, TypeError, KeyError, IndexError):
        return False
    return isinstance(node, dict) or (isinstance(node, list) and last.isdigit() and int(last) <= len(node))
