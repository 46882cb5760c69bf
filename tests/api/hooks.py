"""What schemathesis does not know of this API: what the gateway answers, what is slow, and two promises of our own."""

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

# The local endpoint's own refusals, and which response of the gateway the contract puts in their place on AWS.
LOCAL_REFUSALS = {
    b'{"message":"Unauthorized"}': "UNAUTHORIZED",
    b'{"message":"Missing Authentication Token"}': "MISSING_AUTHENTICATION_TOKEN",
}


# Parameters of which a schema cannot say all, so that 400 may answer what keeps to theirs.
BEYOND_SCHEMAS = {
    # Texts that only the API makes.
    "?cursor",
    "?ack",
    # Must lie after `from`.
    "?to",
    # At most 128 bytes, where schemas count characters.
    "?externalId",
    # Up to a day, in whatever unit.
    "?resolution",
    # One of those that GET /packages lists, a path of the catalogue or a branch of it, attributes and types that events have.
    "?package",
    "?signal",
    "?fields",
    "?type",
}


@schemathesis.hook
def after_call(context, case, response):
    """Answers as API Gateway would where the local endpoint, which knows no gateway responses, refuses by itself."""
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
    """A feed is asked for without long polling: every wait that is allowed would be waited for. Fleets that were there before
    stay, with all that they have: another caller reads as one of them."""
    fleet_id = (case.path_parameters or {}).get("fleetId")
    if case.method.upper() == "DELETE" and fleet_id in os.environ.get("ROADCAST_KEPT_FLEETS", "").split():
        case.path_parameters["fleetId"] = "flt_0000000000000000"
    wait = (case.query or {}).get("wait")
    if case.path.endswith("/feed") and isinstance(wait, int) and not isinstance(wait, bool) and 1 < wait <= 20:
        case.query["wait"] = 1


def problem_of(response):
    """The problem document of an answer, or nothing where it is none."""
    if not any(value.startswith("application/problem+json") for value in response.headers.get("content-type", [])):
        return None
    return json.loads(response.content)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Drops what is no fault, each for a reason of its own."""
    problem = problem_of(response) or {}
    pointers = {error["pointer"] for error in problem.get("errors", [])}
    name = type(failure).__name__
    if name == "RejectedPositiveData" and response.status_code == 400 and pointers and pointers <= BEYOND_SCHEMAS:
        return False
    # `ce-` headers are looked at in binary mode only, where the body is no event by itself.
    if name == "AcceptedNegativeData" and re.search("`ce-[a-z]+`.* in header", failure.message):
        return False
    # API Gateway knows methods and paths together: a method that a resource lacks is a resource that does not exist.
    if name == "UnsupportedMethodResponse" and problem.get("type") == PROBLEMS + "not-found":
        return False
    return True


class UndocumentedProblem(Failure):
    """A problem document that the documentation does not know, or that contradicts itself."""


class MistakenProblem(Failure):
    """A problem document that says of the request what is not so."""


class MisplacedProblem(Failure):
    """A problem document that names a place that the request does not have."""


def fail(kind, case, title, message):
    """Fails the check."""
    raise kind(operation=case.operation.label, title=title, message=message)


@schemathesis.check
def problems_are_documented(ctx, response, case):
    """Every problem has a page in docs/problems, and its status is that of the answer."""
    problem = problem_of(response)
    if problem is None:
        return
    kind = problem["type"].removeprefix(PROBLEMS)
    if not re.fullmatch("[a-z-]+", kind) or not os.path.exists(f"docs/problems/{kind}.md"):
        fail(UndocumentedProblem, case, "Undocumented problem", f"docs/problems has no page on {problem['type']}")
    if problem.get("status", response.status_code) != response.status_code:
        fail(UndocumentedProblem, case, "Wrong status in a problem", f"status {problem['status']} in a {response.status_code}")


@schemathesis.check
def only_what_is_not_json_is_invalid_json(ctx, response, case):
    """JSON of another shape is `invalid-body`, which names the place."""
    if (problem_of(response) or {}).get("type") == PROBLEMS + "invalid-json" and is_json(response.request.body):
        fail(MistakenProblem, case, "JSON was called invalid", "the body is JSON, but answered as invalid-json")


def is_json(body):
    """Whether a body is JSON that every reader takes: no NaN, no number beyond a double, no half of a character."""

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
    """Every `errors[].pointer` is a parameter that was sent or could be, or leads to something in the body or missing there."""
    for error in (problem_of(response) or {}).get("errors", []):
        pointer = error["pointer"]
        if pointer.startswith("?"):
            known = {parameter.name for parameter in case.operation.query} | {*(case.query or {})}
            if pointer[1:] not in known:
                fail(MisplacedProblem, case, "No such parameter", f"{pointer} is no parameter of {case.operation.label}")
        elif pointer and not leads_somewhere(pointer, response.request):
            fail(MisplacedProblem, case, "No such place", f"{pointer} leads nowhere in the body that was sent")


def leads_somewhere(pointer, request):
    """Whether all of a JSON pointer but its last segment exists in the body, and that can have members."""
    # In binary mode attributes are headers, and pointers lead into the event that they make with the body.
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
