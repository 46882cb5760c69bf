"""Every function has a role of its own, with named actions and resources, and writes only the reference data that it owns.

tests/rights compares the roles with the calls that the functions make. The rules here hold whatever the calls are. IAM
evaluates `ForAllValues` as true if the request does not have the key, so such a condition restricts only actions that always
have it.
"""

# Actions without resource-level permissions: they require `Resource: '*'`. Page: service authorization reference.
UNSCOPED_ACTIONS = {
    # Traces.
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets",
    # Log delivery of state machines.
    "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
}
# Policies that AWS manages, by the only role that has them.
AWS_POLICIES = {"ApiAccountRole": ["service-role/AmazonAPIGatewayPushToCloudWatchLogs"]}
LEADING_KEYS = "dynamodb:LeadingKeys"
# The actions of which every request has leading keys: of a query of a table, it is the partition. A scan has none.
ACTIONS_WITH_LEADING_KEYS = {
    f"dynamodb:{action}" for action in (
        "GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "ConditionCheckItem")
}
WRITES = {f"dynamodb:{action}" for action in ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")}
ONBOARDING = {"OnboardingRole", "ProvisionerRole"}
# The record of a fleet states what its endpoints want.
FLEETS = ONBOARDING | {"EndpointsApiRole"}
ERASER = {"EraserRole"}
# Which roles may write the kinds of items that decide who may see what.
WRITERS = {
    # The records of fleets, subscriptions and grants.
    "fleet#*": FLEETS | ERASER, "fleets": FLEETS, "vehicle#*": ONBOARDING | ERASER,
    # The audit trails of fleets.
    "audit#*": FLEETS | ERASER | {"WebhookDispatcherRole", "AlertsApiRole"},
    # Alert rules, and the versions by which caches detect changes.
    "alertRules#*": {"AlertsApiRole", "ProvisionerRole"}, "alertRules": {"AlertsApiRole", "ProvisionerRole"},
    "operatorAudit": {"AlertsApiRole"},
    # Webhook endpoints. The dispatcher disables those that are gone.
    "endpoints#*": {"EndpointsApiRole", "ProvisionerRole", "WebhookDispatcherRole"},
    # The number of fleets on each delivery bus.
    "buses": ONBOARDING,
    # The roles and credentials of machine clients.
    "client#*": ONBOARDING, "clients": ONBOARDING,
    "entitlements": ONBOARDING | ERASER | {"CatalogueApiRole"},
    "packages": {"CatalogueApiRole"},
    "schemas": {"CatalogueApiRole", "ReferenceLoaderRole"}, "schema#*": {"CatalogueApiRole", "ReferenceLoaderRole"},
    # The names of vehicles.
    "vin#*": {"VehiclesApiRole", "ReferenceLoaderRole"} | ERASER,
    "external#*": {"VehiclesApiRole", "ReferenceLoaderRole"} | ERASER,
    "vehicles": {"VehiclesApiRole"} | ERASER, "owned#*": {"VehiclesApiRole"} | ERASER,
    # What was erased, and the requests for it.
    "erased#*": ERASER, "erasures": {"OnboardingRole"} | ERASER,
    # The mappings of bulk files.
    "mapped#*": {"ReferenceLoaderRole"} | ERASER,
}


def as_list(value):
    """Returns a list as it is, and a value in a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def logical_id(value):
    """Returns the logical id that a `Ref` or `Fn::GetAtt` names; None for other values."""
    if not isinstance(value, dict):
        return None
    attribute = value.get("Fn::GetAtt")
    return value.get("Ref") or (attribute.split(".")[0] if isinstance(attribute, str) else attribute and attribute[0])


def statements_of(resources, role):
    """Returns the statements of a role, with those of its managed policies."""
    properties = resources[role]["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    managed = [logical_id(policy) for policy in properties.get("ManagedPolicyArns", [])]
    documents += [resources[policy]["Properties"]["PolicyDocument"] for policy in managed if policy in resources]
    return [statement for document in documents for statement in as_list(document["Statement"])]


def check_statement(place, statement):
    """Returns the faults of a statement of a role or managed policy."""
    found = [f"{place}: {member} allows everything else; name what is allowed"
             for member in ("NotAction", "NotResource") if member in statement]
    actions = as_list(statement.get("Action"))
    found += [f"{place}: {action} has a wildcard; name the actions" for action in actions if "*" in action]
    if "*" in as_list(statement.get("Resource")):
        found += [f"{place}: {action} on every resource; name the resources"
                  for action in actions if action not in UNSCOPED_ACTIONS]
    conditions = statement.get("Condition", {})
    present = conditions.get("Null", {})
    for operator, keys in conditions.items():
        for key, values in keys.items():
            if not operator.startswith("ForAllValues:") or statement["Effect"] != "Allow" or present.get(key) == "false":
                continue
            without = actions if key != LEADING_KEYS else [a for a in actions if a not in ACTIONS_WITH_LEADING_KEYS]
            found += [f"{place}: {action} may have no {key}, and then {operator} allows all; add a Null condition"
                      for action in without]
            if key == LEADING_KEYS:
                found += [f"{place}: {value} matches several kinds of keys" for value in as_list(values)
                          if "*" in value and not (value.endswith("#*") and value.count("*") == 1)]
    return found


def check_reference(role, statement):
    """Returns the faults of a statement about the reference table: it names kinds of items that the role may write."""
    place = f"{role}/{statement.get('Sid')}"
    if statement["Effect"] != "Allow" or "Reference" not in map(logical_id, as_list(statement.get("Resource"))):
        return []
    keys = as_list(statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get(LEADING_KEYS))
    if not keys:
        return [f"{place}: names no {LEADING_KEYS}, so it allows all reference data"]
    if not WRITES & set(as_list(statement["Action"])):
        return []
    return [f"{place}: may write {key}, which only {' and '.join(sorted(WRITERS[key]))} may"
            for key in keys if role not in WRITERS.get(key, {role})]


def faults(sources):
    """Returns all faults of roles and managed policies."""
    resources = sources.expanded["Resources"]
    found, users = [], {}
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if kind == "AWS::Lambda::Function":
            users.setdefault(logical_id(properties["Role"]), []).append(name)
        documents = []
        if kind == "AWS::IAM::Role":
            documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
            for policy in properties.get("ManagedPolicyArns", []):
                text = str(policy)
                if logical_id(policy) not in resources and not any(p in text for p in AWS_POLICIES.get(name, [])):
                    found.append(f"{name}: {text} is a policy of AWS, which allows more than the role needs")
        elif kind == "AWS::IAM::ManagedPolicy":
            documents = [properties["PolicyDocument"]]
        for document in documents:
            for statement in as_list(document["Statement"]):
                found += check_statement(f"{name}/{statement.get('Sid')}", statement)
    for role, functions in users.items():
        if resources.get(role, {}).get("Type") != "AWS::IAM::Role" or len(functions) > 1:
            found.append(f"{', '.join(functions)}: each function needs a role of its own in the template")
            continue
        for statement in statements_of(resources, role):
            found += check_reference(role, statement)
    return found


def _statement(sources, role, index=0):
    return sources.template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][index]


def _reference_statement(sources, role):
    statements = sources.template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    return next(statement for statement in statements if logical_id(statement["Resource"]) == "Reference")


def _share_a_role(sources):
    sources.template["Resources"]["VehiclesApi"]["Properties"]["Role"] = {"Fn::GetAtt": ["EventsApiRole", "Arn"]}


def _use_a_wildcard(sources):
    _statement(sources, "EventsApiRole")["Action"] = "logs:*"


def _allow_every_resource(sources):
    _statement(sources, "EventsApiRole")["Resource"] = "*"


def _allow_a_scan(sources):
    statement = _reference_statement(sources, "CatalogueApiRole")
    statement["Action"] = [*as_list(statement["Action"]), "dynamodb:Scan"]


def _remove_the_fence(sources):
    del _reference_statement(sources, "EnrichmentRole")["Condition"]


def _write_clients(sources):
    statement = _reference_statement(sources, "VehiclesApiRole")
    statement["Action"] = "dynamodb:PutItem"
    statement["Condition"]["ForAllValues:StringLike"][LEADING_KEYS] = ["client#*"]


def _match_all_keys(sources):
    statement = _reference_statement(sources, "EnrichmentRole")
    statement["Condition"]["ForAllValues:StringLike"][LEADING_KEYS] = ["*"]


def _attach_a_policy_of_aws(sources):
    policies = sources.template["Resources"]["EventsApiRole"]["Properties"]["ManagedPolicyArns"]
    policies.append({"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess"})


BREAKAGES = [
    ("two functions with one role", _share_a_role, "each function needs a role of its own"),
    ("an action with a wildcard", _use_a_wildcard, "logs:* has a wildcard"),
    ("every resource", _allow_every_resource, "on every resource; name the resources"),
    ("a scan under a condition on leading keys", _allow_a_scan, "dynamodb:Scan may have no dynamodb:LeadingKeys"),
    ("reference data without named keys", _remove_the_fence, "so it allows all reference data"),
    ("vehicles-api may write clients", _write_clients, "may write client#*, which only OnboardingRole and ProvisionerRole"),
    ("a pattern of all keys", _match_all_keys, "matches several kinds of keys"),
    ("a policy of AWS", _attach_a_policy_of_aws, "is a policy of AWS"),
]
