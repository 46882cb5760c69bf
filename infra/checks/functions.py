"""Functions that invoke themselves: Lambda stops a loop through S3, SQS or SNS after about 16 invocations, unless the
function allows it ("Use Lambda recursive loop detection to prevent infinite loops", Lambda Developer Guide).

Such a function must limit its rounds itself, so no other function allows a loop.
"""

import fnmatch


def text_of(value):
    """Returns the text of a literal or of Fn::Sub; empty if it is something else."""
    if isinstance(value, dict):
        value = value.get("Fn::Sub", "")
    return value if isinstance(value, str) else ""


def listed(value):
    """Returns a value that may be a list or a single element as a list."""
    return value if isinstance(value, list) else [value]


def statements(resources, role):
    """Yields the statements of a role's own policies and of the managed policies of the template that it has."""
    properties = resources[role]["Properties"]
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    for arn in properties.get("ManagedPolicyArns", []):
        managed = resources.get(arn.get("Ref")) if isinstance(arn, dict) else None
        documents += [managed["Properties"]["PolicyDocument"]] if managed else []
    for document in documents:
        yield from (statement for statement in document["Statement"] if statement["Effect"] == "Allow")


def allowed_resources(resources, role, action):
    """Returns the texts of the resources for which a role has an action."""
    return [
        text_of(resource)
        for statement in statements(resources, role)
        if any(fnmatch.fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        for resource in listed(statement["Resource"])
    ]


def role_of(function):
    """Returns the logical id of the role of a function or a state machine."""
    role = function["Properties"].get("Role") or function["Properties"].get("RoleArn")
    return role["Fn::GetAtt"][0]


def invoking_prefixes(resources):
    """Yields each function that a bucket notifies, with the key prefix of the notification."""
    for resource in resources.values():
        if resource["Type"] != "AWS::S3::Bucket":
            continue
        for configuration in resource["Properties"].get("NotificationConfiguration", {}).get("LambdaConfigurations", []):
            rules = configuration.get("Filter", {}).get("S3Key", {}).get("Rules", [])
            prefix = next((rule["Value"] for rule in rules if rule["Name"] == "prefix"), "")
            yield configuration["Function"]["Fn::GetAtt"][0], prefix


def feeding_queues(resources):
    """Yields each function that a queue invokes, with the ARN of the queue."""
    for resource in resources.values():
        if resource["Type"] != "AWS::Lambda::EventSourceMapping":
            continue
        source, function = resource["Properties"]["EventSourceArn"], resource["Properties"]["FunctionName"]
        # The stream is the source of a mapping by a condition, a queue directly.
        name = source.get("Fn::GetAtt", [None])[0] if isinstance(source, dict) else None
        if resources.get(name, {}).get("Type") == "AWS::SQS::Queue":
            yield function["Ref"], source


def sent_to(resources, role):
    """Returns the queues of the template to which a role may send."""
    return [
        resource
        for statement in statements(resources, role)
        if "sqs:SendMessage" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]


def faults(sources):
    """Returns the functions whose loop Lambda would stop, and those that allow a loop without having one."""
    resources, found = sources.expanded["Resources"], []
    looping = {
        function
        for function, queue in feeding_queues(resources)
        if queue in sent_to(resources, role_of(resources[function]))
    }
    for function, prefix in invoking_prefixes(resources):
        written = allowed_resources(resources, role_of(resources[function]), "s3:PutObject")
        if any(arn.endswith(f"/{prefix}*") for arn in written):
            looping.add(function)
    for name, resource in resources.items():
        if resource["Type"] != "AWS::Lambda::Function":
            continue
        allows = resource["Properties"].get("RecursiveLoop") == "Allow"
        if name in looping and not allows:
            found.append(f"{name}: invokes itself; without RecursiveLoop: Allow, Lambda stops it after 16 rounds")
        if allows and name not in looping:
            found.append(f"{name}: does not invoke itself, so RecursiveLoop: Allow would only hide an endless loop")
    return found


def _stop_loader(sources):
    del sources.template["Resources"]["ReferenceLoader"]["Properties"]["RecursiveLoop"]


def _allow_loop(sources):
    sources.template["Resources"]["EventsApi"]["Properties"]["RecursiveLoop"] = "Allow"


def _stop_dispatcher(sources):
    del sources.template["Resources"]["WebhookDispatcher"]["Properties"]["RecursiveLoop"]


BREAKAGES = [
    ("a loader that Lambda stops", _stop_loader, "ReferenceLoader: invokes itself"),
    ("a dispatcher that Lambda stops", _stop_dispatcher, "WebhookDispatcher: invokes itself"),
    ("a function that may loop without a reason", _allow_loop, "EventsApi: does not invoke itself"),
]
