"""The API has one public stage, answers each path and method with a problem document, and deploys with a small quota."""

import json

from checks.contract import SCOPES, VERBS, operations

ANY_METHOD = "x-amazon-apigateway-any-method"
# API Gateway matches these where no operation matches. `/{proxy+}` does not match the root.
CATCH_ALL = {"/", "/{proxy+}"}
# The methods of ANY. Settings of a stage do not know ANY itself.
METHODS = {"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"}
# What API Gateway answers by itself, with the status of its problem document.
GATEWAY_RESPONSES = {
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "THROTTLED": 429,
    "QUOTA_EXCEEDED": 429,
    "INTEGRATION_FAILURE": 503,
    "INTEGRATION_TIMEOUT": 503,
    # Their status differs, so that their documents have none.
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
}
RETRIED = {"THROTTLED", "INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"}


def of_type(resources, kind):
    """Yields the resources of a type with their properties."""
    for name, resource in resources.items():
        if resource["Type"] == kind:
            yield name, resource.get("Properties", {})


def stage_faults(sources):
    """Returns the faults of deployments, stages and permissions: there is one public stage."""
    found, resources = [], sources.expanded["Resources"]
    for name, properties in of_type(resources, "AWS::ApiGateway::Deployment"):
        if "StageName" in properties:
            stage = properties["StageName"]
            found.append(f"{name}: creates the stage {stage}, without throttle, log and alarm; set OpenApiVersion")
    stages = list(of_type(resources, "AWS::ApiGateway::Stage"))
    if len(stages) != 1:
        found.append(f"the API must have one stage, not {len(stages)}")
    for name, properties in of_type(resources, "AWS::Lambda::Permission"):
        if properties.get("Principal") != "apigateway.amazonaws.com":
            continue
        source = properties.get("SourceArn", {}).get("Fn::Sub", "")
        if not source.endswith(":${Api}/${Stage}/*"):
            found.append(f"{name}: SourceArn must be limited to the stage: `…:${{Api}}/${{Stage}}/*`")
    return found


def throttle_faults(sources):
    """Returns the faults of the throttle of requests without an operation."""
    found = []
    for name, stage in of_type(sources.expanded["Resources"], "AWS::ApiGateway::Stage"):
        settings = [s for s in stage.get("MethodSettings", []) if s.get("ResourcePath") == "/~1{proxy+}"]
        if {setting.get("HttpMethod") for setting in settings} != METHODS:
            found.append(f"{name}: /{{proxy+}} needs method settings for {', '.join(sorted(METHODS))}")
        for setting in settings:
            method = setting.get("HttpMethod")
            limits = [setting.get("ThrottlingRateLimit"), setting.get("ThrottlingBurstLimit")]
            values = [limit.get("Fn::If", [None, None])[1] if isinstance(limit, dict) else limit for limit in limits]
            if not all(isinstance(value, int) and value <= 20 for value in values):
                found.append(f"{name}: {method} /{{proxy+}} needs a small throttle of its own")
            if setting.get("LoggingLevel") != "ERROR" or setting.get("DataTraceEnabled") is not False:
                found.append(f"{name}: {method} /{{proxy+}} does not inherit the log settings of the stage")
    return found


def catch_all_faults(openapi):
    """Returns the faults of the paths that match where no operation does."""
    found, functions = [], set()
    places = {path: item[ANY_METHOD] for path, item in openapi["paths"].items() if ANY_METHOD in item}
    if set(places) != CATCH_ALL:
        found.append(f"{ANY_METHOD} must be on {' and '.join(sorted(CATCH_ALL))}, and only there")
    for path, method in places.items():
        scopes = {scope for requirement in method.get("security") or [] for scope in requirement.get("cognito", [])}
        if scopes != SCOPES:
            found.append(f"ANY {path}: requires a token with any scope, so it needs all of {', '.join(sorted(SCOPES))}")
        if any(verb in openapi["paths"][path] for verb in VERBS):
            found.append(f"ANY {path}: the path must have no operation, because it is not part of the contract")
        functions.add(json.dumps(method.get("x-amazon-apigateway-integration", {}).get("uri")))
    if len(functions) > 1:
        found.append("the paths without operations must be served by one function")
    return found


def gateway_response_faults(openapi):
    """Returns the faults of the responses that API Gateway gives by itself."""
    found = []
    responses = openapi.get("x-amazon-apigateway-gateway-responses", {})
    if set(responses) != set(GATEWAY_RESPONSES):
        found.append(f"gateway responses must be {', '.join(GATEWAY_RESPONSES)}, not {', '.join(responses)}")
    for kind, response in responses.items():
        template = response.get("responseTemplates", {}).get("application/json", "")
        parameters = response.get("responseParameters", {})
        if "$" in template or any("context." in value or "method." in value for value in parameters.values()):
            found.append(f"{kind}: the text must be fixed; a message of API Gateway can repeat a token")
            continue
        try:
            document = json.loads(template)
        except ValueError:
            found.append(f"{kind}: the template is not JSON")
            continue
        status = GATEWAY_RESPONSES.get(kind)
        if document.get("status") != status or response.get("statusCode") != (str(status) if status else None):
            found.append(f"{kind}: statusCode and the `status` of the document must be {status}")
        if parameters.get("gatewayresponse.header.Content-Type") != "'application/problem+json'":
            found.append(f"{kind}: the media type must be application/problem+json")
        if ("gatewayresponse.header.Retry-After" in parameters) != (kind in RETRIED):
            found.append(f"{kind}: Retry-After is required for {', '.join(sorted(RETRIED))}, and only for these")
    return found


def concurrency_faults(sources):
    """Returns the faults of reserved concurrency: the default deploys in a new account, and 0 stops no function."""
    found, template = [], sources.template
    parameter = template["Parameters"]["FeedConcurrency"]
    if parameter.get("Default") != 0:
        found.append("FeedConcurrency: must be 0 by default; an account with a small quota refuses any reservation")
    for name, properties in of_type(template["Resources"], "AWS::Serverless::Function"):
        reserved = properties.get("ReservedConcurrentExecutions")
        if reserved is None:
            continue
        condition, value, otherwise = reserved.get("Fn::If", [None] * 3) if isinstance(reserved, dict) else [None] * 3
        conditions = json.dumps(template["Conditions"].get(condition))
        if otherwise != {"Ref": "AWS::NoValue"} or json.dumps({"Fn::Equals": [value, 0]}) not in conditions:
            found.append(f"{name}: a reserved concurrency of 0 stops the function; use a condition and AWS::NoValue")
    return found


def faults(sources):
    """Returns all faults of the edge of the API."""
    found = stage_faults(sources) + throttle_faults(sources) + catch_all_faults(sources.openapi)
    return found + gateway_response_faults(sources.openapi) + concurrency_faults(sources)


def _resources(sources):
    return sources.template["Resources"]


def _api(sources):
    return _resources(sources)["Api"]["Properties"]


def _gateway(sources, kind):
    return sources.openapi["x-amazon-apigateway-gateway-responses"][kind]


def _allow_all_stages(sources):
    _resources(sources)["EventsApiPermission"]["Properties"]["SourceArn"]["Fn::Sub"] = "arn:aws:execute-api:x:y:${Api}/*"


def _repeat_message(sources):
    _gateway(sources, "DEFAULT_4XX")["responseTemplates"]["application/json"] = '{"detail":$context.error.messageString}'


def _forget_retry_after(sources):
    del _gateway(sources, "INTEGRATION_FAILURE")["responseParameters"]["gatewayresponse.header.Retry-After"]


def _reserve_by_default(sources):
    sources.template["Parameters"]["FeedConcurrency"]["Default"] = 20


def _reserve_zero(sources):
    _resources(sources)["FleetDelivery"]["Properties"]["ReservedConcurrentExecutions"] = {"Ref": "FeedConcurrency"}


def _serve_method(sources):
    any_method = sources.openapi["paths"]["/{proxy+}"][ANY_METHOD]
    sources.openapi["paths"]["/vehicles"][ANY_METHOD] = any_method


def _open_catch_all(sources):
    sources.openapi["paths"]["/{proxy+}"][ANY_METHOD]["security"] = []


BREAKAGES = [
    ("no OpenApiVersion", lambda s: _api(s).pop("OpenApiVersion"), "creates the stage Stage"),
    ("a permission for all stages", _allow_all_stages, "EventsApiPermission: SourceArn must be limited to the stage"),
    ("no throttle of unknown paths", lambda s: _api(s)["MethodSettings"].pop(), "needs method settings for"),
    (
        "the throttle of all requests for unknown paths",
        lambda s: _api(s)["MethodSettings"][1].update(ThrottlingRateLimit={"Ref": "ApiRequestsPerSecond"}),
        "GET /{proxy+} needs a small throttle of its own",
    ),
    (
        "unknown paths without a log",
        lambda s: _api(s)["MethodSettings"][1].pop("LoggingLevel"),
        "GET /{proxy+} does not inherit the log settings",
    ),
    ("unknown paths are not served", lambda s: s.openapi["paths"].pop("/{proxy+}"), "must be on / and /{proxy+}"),
    ("another path takes any method", _serve_method, "must be on / and /{proxy+}"),
    ("unknown paths without a token", _open_catch_all, "ANY /{proxy+}: requires a token with any scope"),
    ("a message of the gateway in a response", _repeat_message, "DEFAULT_4XX: the text must be fixed"),
    ("a throttled function without Retry-After", _forget_retry_after, "INTEGRATION_FAILURE: Retry-After is required"),
    ("a throttled function is a 500", lambda s: _gateway(s, "INTEGRATION_FAILURE").update(statusCode="500"), "must be 503"),
    ("reserved concurrency by default", _reserve_by_default, "FeedConcurrency: must be 0 by default"),
    ("a reserved concurrency of 0", _reserve_zero, "FleetDelivery: a reserved concurrency of 0 stops the function"),
]
