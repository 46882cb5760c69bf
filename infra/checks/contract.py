"""Every operation of openapi.yaml is served by a function that the API may invoke, and API Gateway can import the contract."""

import re

VERBS = ("get", "put", "post", "delete", "patch", "head", "options")
# Operations that require no token.
OPEN_OPERATIONS = {"getHealth"}
SCOPES = {"roadcast/ingest", "roadcast/read", "roadcast/admin"}
# Keywords that make API Gateway reject or ignore a model.
REFUSED_KEYWORDS = {"example", "nullable", "anyOf", "oneOf", "discriminator", "readOnly", "writeOnly", "deprecated"}
FUNCTION_OF_URI = re.compile(r":lambda:path/2015-03-31/functions/\$\{(\w+)\.Arn\}/invocations$")


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


def faults(sources):
    """Returns all faults of the contract and of the template that serves it."""
    openapi, resources = sources.openapi, sources.template["Resources"]
    functions = {name for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function"}
    invocable = invocable_functions(resources)
    found, serving, ids = [], set(), set()
    for place, operation in operations(openapi):
        of_operation, function = check_operation(place, operation, functions, invocable)
        found += of_operation
        serving.add(function)
        if operation.get("operationId") in ids:
            found.append(f"{place}: duplicate operationId")
        ids.add(operation.get("operationId"))
    found += [f"{function}: API Gateway may invoke it, but no operation uses it" for function in invocable - serving]
    for name, schema in openapi["components"]["schemas"].items():
        found += check_keywords(schema, f"#/components/schemas/{name}")
        if not name.isalnum():
            found.append(f"#/components/schemas/{name}: API Gateway requires alphanumeric names")
    return found


def _remove_scopes(sources):
    sources.openapi["paths"]["/vehicles"]["get"]["security"] = []


def _remove_permission(sources):
    del sources.template["Resources"]["VehiclesApiPermission"]


BREAKAGES = [
    ("an operation without scopes", _remove_scopes, "GET /vehicles: requires scopes"),
    ("a function that the API may not invoke", _remove_permission, "API Gateway has no permission to invoke VehiclesApi"),
]
