"""What holds data outlives the stack, except if its own creation is rolled back: a failed first deployment can be repeated.

CloudFormation: "RetainExceptOnCreate behaves like Retain for stack operations, except for the stack operation that initially
created the resource" (DeletionPolicy attribute, CloudFormation Template Reference). `Retain` keeps a resource with a fixed
name also if its creation is rolled back, so that the next create fails because the name is taken.
"""

HOLDS_DATA = {
    "AWS::ApiGateway::Account",
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::S3::Bucket",
    "AWS::SecretsManager::Secret",
}
PROTECTION = {"Fn::If": ["ProtectDeletion", True, False]}
USER_POOL_PROTECTION = {"Fn::If": ["ProtectDeletion", "ACTIVE", "INACTIVE"]}


def kept(resource):
    """Whether a resource outlives the stack, but not its own failed creation."""
    policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
    return policies == ("RetainExceptOnCreate", "Retain")


def references(node):
    """Yields the logical ids that a part of a template refers to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("Ref"), str):
            yield node["Ref"]
        if isinstance(node.get("Fn::GetAtt"), list):
            yield node["Fn::GetAtt"][0]
        for value in node.values():
            yield from references(value)


def faults(sources):
    """Returns the resources with data that would be lost, would block the next create, or cannot be protected."""
    resources, found = sources.expanded["Resources"], []
    for name, resource in resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if resource.get("DeletionPolicy") == "Retain":
            found.append(f"{name}: DeletionPolicy Retain also keeps it if its creation fails; use RetainExceptOnCreate")
        elif kind in HOLDS_DATA and not kept(resource):
            found.append(f"{name}: requires DeletionPolicy RetainExceptOnCreate and UpdateReplacePolicy Retain")
        if kind == "AWS::DynamoDB::Table" and properties.get("DeletionProtectionEnabled") != PROTECTION:
            found.append(f"{name}: DeletionProtectionEnabled must depend on the condition ProtectDeletion")
        if kind == "AWS::Cognito::UserPool" and properties.get("DeletionProtection") != USER_POOL_PROTECTION:
            found.append(f"{name}: DeletionProtection must depend on the condition ProtectDeletion")
        # A retained API Gateway account whose role was deleted could not write logs.
        if kind == "AWS::ApiGateway::Account":
            roles = {role for role in references(properties) if role in resources}
            lost = [role for role in roles if not kept(resources[role])]
            found += [f"{role}: {name} uses it and is retained, so it must be, too" for role in lost]
    if sources.expanded["Parameters"]["DeletionProtection"]["Default"] != "false":
        found.append("DeletionProtection: must be off by default, or a failed first deployment could not be rolled back")
    return found


def _retain(sources):
    sources.template["Resources"]["Reference"]["DeletionPolicy"] = "Retain"


def _delete_bucket(sources):
    del sources.template["Resources"]["ArchiveBucket"]["DeletionPolicy"]


def _replace_table(sources):
    sources.template["Resources"]["Vehicles"]["UpdateReplacePolicy"] = "Delete"


def _delete_role(sources):
    del sources.template["Resources"]["ApiAccountRole"]["DeletionPolicy"]


def _protect_always(sources):
    sources.template["Resources"]["Vehicles"]["Properties"]["DeletionProtectionEnabled"] = True


def _protect_pool_always(sources):
    sources.template["Resources"]["UserPool"]["Properties"]["DeletionProtection"] = "ACTIVE"


def _protect_by_default(sources):
    sources.template["Parameters"]["DeletionProtection"]["Default"] = "true"


BREAKAGES = [
    ("a table that a failed create keeps", _retain, "Reference: DeletionPolicy Retain also keeps it"),
    ("a bucket that is deleted with the stack", _delete_bucket, "ArchiveBucket: requires DeletionPolicy"),
    ("a table that an update replaces", _replace_table, "Vehicles: requires DeletionPolicy"),
    ("an account role that is deleted with the stack", _delete_role, "ApiAccountRole: ApiAccount uses it"),
    ("a table that is always protected", _protect_always, "Vehicles: DeletionProtectionEnabled must depend"),
    ("a user pool that is always protected", _protect_pool_always, "UserPool: DeletionProtection must depend"),
    ("deletion protection from the first deployment on", _protect_by_default, "must be off by default"),
]
