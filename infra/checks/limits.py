"""Names and policies stay within the limits of AWS, for each allowed stage and in each Region.

The local stack accepts any of them, so that only the first deployment would fail.
"""

import json
import re

# A Region with a name of maximum length, and an account.
REGION, ACCOUNT = "us-isof-south-1", "123456789012"
# The longest id of a fleet, as in `crates/domain/src/ids.rs`, and the limits of what provisioning names after it.
FLEET_ID = "flt_0123456789abcdef"
FEED_LIMITS = {"queue": 80, "rule": 64}
# Maximum lengths, from the CloudFormation reference of each type.
NAME_LIMITS = {
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::Cognito::UserPool", "UserPoolName"): 128,
    ("AWS::Cognito::UserPoolClient", "ClientName"): 128,
    ("AWS::Cognito::UserPoolDomain", "Domain"): 63,
    ("AWS::DynamoDB::Table", "TableName"): 255,
    ("AWS::Events::ApiDestination", "Name"): 64,
    ("AWS::Events::Connection", "Name"): 64,
    ("AWS::Events::EventBus", "Name"): 256,
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"): 128,
    ("AWS::IoT::Policy", "PolicyName"): 128,
    ("AWS::IoT::TopicRule", "RuleName"): 128,
    ("AWS::Kinesis::StreamConsumer", "ConsumerName"): 128,
    ("AWS::Kinesis::Stream", "Name"): 128,
    ("AWS::Lambda::Function", "FunctionName"): 64,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
    ("AWS::Logs::QueryDefinition", "Name"): 255,
    ("AWS::S3::Bucket", "BucketName"): 63,
    ("AWS::SNS::Topic", "TopicName"): 256,
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::SecretsManager::Secret", "Name"): 512,
    ("AWS::Scheduler::Schedule", "Name"): 64,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
    ("AWS::XRay::SamplingRule", "RuleName"): 32,
}
# Characters, without white space, of all inline policies of a role together, and of a managed policy ("IAM and STS quotas").
POLICY_LIMITS = {"AWS::IAM::Role": 10_240, "AWS::IAM::ManagedPolicy": 6_144}
# What a reference to another resource counts: an ARN of this length.
ARN_LENGTH = 150
# Cognito refuses domain prefixes that contain one of these texts.
REFUSED_IN_DOMAINS = ("aws", "amazon", "cognito")


def longest_stage(parameters):
    """Returns a stage of maximum length, or None if the pattern of the parameter does not bound the length."""
    pattern = parameters["Stage"]["AllowedPattern"]
    lengths = [length for length in range(1, 65) if re.fullmatch(pattern, "m" * length)]
    return "m" * lengths[-1] if lengths and lengths[-1] < 64 else None


def longest_text(node, stage):
    """Returns the text that a property has with this stage, or None if it is not a text or depends on other resources."""
    if isinstance(node, dict) and set(node) == {"Fn::Sub"} and isinstance(node["Fn::Sub"], str):
        values = {"Stage": stage, "AWS::Region": REGION, "AWS::AccountId": ACCOUNT}
        return re.sub(r"\$\{([\w:]+)\}", lambda match: values.get(match.group(1), match.group(0)), node["Fn::Sub"])
    return node if isinstance(node, str) else None


def name_faults(resources, stage):
    """Returns the names that are too long, and those whose limit is not known here."""
    found = []
    for name, resource in resources.items():
        for key, value in resource.get("Properties", {}).items():
            text = longest_text(value, stage)
            limit = NAME_LIMITS.get((resource["Type"], key))
            if text is None or "${" in text:
                continue
            if limit is not None and len(text) > limit:
                found.append(f"{name}: {key} has up to {len(text)} characters, such as {text}; the limit is {limit}")
            if limit is None and key.endswith("Name") and stage in text and resource["Type"] != "AWS::ApiGateway::RestApi":
                found.append(f"{name}: add the limit of {key} of {resource['Type']} to NAME_LIMITS")
    return found


def feed_faults(resources, stage):
    """Returns which names are too long that provisioning forms from the prefix of feeds and the id of a fleet."""
    found = []
    for name, resource in resources.items():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        prefix = longest_text(variables.get("FEED_QUEUE_PREFIX"), stage)
        for kind, limit in FEED_LIMITS.items():
            if prefix is not None and len(prefix + FLEET_ID) > limit:
                found.append(f"{name}: the {kind} of a fleet, {prefix + FLEET_ID}, exceeds {limit} characters")
    return found


def policy_text(node, stage):
    """Returns a policy document with texts in place of all intrinsic functions."""
    if isinstance(node, list):
        return [policy_text(item, stage) for item in node]
    if not isinstance(node, dict):
        return node
    text = longest_text(node, stage)
    if text is not None:
        return re.sub(r"\$\{[\w:.]+\}", "x" * ARN_LENGTH, text)
    if len(node) == 1 and next(iter(node)).startswith(("Fn::", "Ref")):
        return "x" * ARN_LENGTH
    return {key: policy_text(value, stage) for key, value in node.items()}


def policy_faults(resources, stage):
    """Returns the roles and managed policies whose documents are too large."""
    found = []
    for name, resource in resources.items():
        limit = POLICY_LIMITS.get(resource["Type"])
        if limit is None:
            continue
        properties = resource["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        size = sum(len(json.dumps(policy_text(document, stage), separators=(",", ":"))) for document in documents)
        if size > limit:
            found.append(f"{name}: the policies have up to {size} characters; the limit is {limit}")
    return found


def secret_faults(resources):
    """Returns the secrets whose name Secrets Manager could confuse with the end of an ARN: a hyphen and six characters."""
    return [
        f"{name}: the name of a secret must not end with a hyphen and six characters"
        for name, resource in resources.items()
        if resource["Type"] == "AWS::SecretsManager::Secret"
        and re.search(r"-\w{6}$", longest_text(resource["Properties"].get("Name"), "stage") or "")
    ]


def faults(sources):
    """Returns all names and policies that AWS would refuse."""
    parameters, resources = sources.template["Parameters"], sources.expanded["Resources"]
    stage = longest_stage(parameters)
    if stage is None:
        return ["Stage: AllowedPattern does not bound the length"]
    found = name_faults(resources, stage) + feed_faults(resources, stage) + secret_faults(resources)
    found += policy_faults(resources, stage)
    found += [
        f"Stage: AllowedPattern allows {text!r}, which Cognito refuses in the domain of the user pool"
        for text in REFUSED_IN_DOMAINS
        if re.fullmatch(parameters["Stage"]["AllowedPattern"], text)
        or re.fullmatch(parameters["Stage"]["AllowedPattern"], f"x{text}1")
    ]
    return found


def _allow_longer_stages(sources):
    sources.template["Parameters"]["Stage"]["AllowedPattern"] = "[a-z][a-z0-9]{0,31}"


def _allow_any_stage(sources):
    sources.template["Parameters"]["Stage"]["AllowedPattern"] = "[a-z]+"


def _lengthen_bucket_name(sources):
    bucket = sources.template["Resources"]["ArchiveBucket"]["Properties"]
    bucket["BucketName"] = {"Fn::Sub": "roadcast-${Stage}-telemetry-archive-${AWS::AccountId}-${AWS::Region}"}


def _lengthen_feed_names(sources):
    for resource in sources.template["Resources"].values():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        if "FEED_QUEUE_PREFIX" in variables:
            variables["FEED_QUEUE_PREFIX"] = {"Fn::Sub": "roadcast-${Stage}-feed-of-the-single-fleet-"}


def _add_unknown_type(sources):
    sources.template["Resources"]["Group"] = {
        "Type": "AWS::ResourceGroups::Group",
        "Properties": {"GroupName": {"Fn::Sub": "roadcast-${Stage}"}},
    }


def _grant_many_tables(sources):
    policy = sources.template["Resources"]["OnboardingRole"]["Properties"]["Policies"][0]["PolicyDocument"]
    grant = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": {"Fn::GetAtt": ["Reference", "Arn"]}}
    policy["Statement"] += [grant] * 50


def _rename_secret(sources):
    sources.template["Resources"]["StackSecret"]["Properties"]["Name"] = {"Fn::Sub": "roadcast-${Stage}-abcdef"}


BREAKAGES = [
    ("stages of 32 characters", _allow_longer_stages, "ArchiveBucket: BucketName has up to"),
    ("stages of any length", _allow_any_stage, "does not bound the length"),
    ("a bucket name that only short stages allow", _lengthen_bucket_name, "ArchiveBucket: BucketName has up to"),
    ("a long prefix of feeds", _lengthen_feed_names, "the rule of a fleet"),
    ("a type without a stated limit", _add_unknown_type, "add the limit of GroupName"),
    ("a role with too many statements", _grant_many_tables, "OnboardingRole: the policies have up to"),
    ("a secret that looks like the end of an ARN", _rename_secret, "StackSecret: the name of a secret"),
]
