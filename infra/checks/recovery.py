"""What a deleted stack retains can be imported into a new stack, with infra/retained.py."""

import retained


def faults(sources):
    """Returns why the retained resources could not be imported."""
    values = {"Stage": "stage", "AWS::AccountId": "123456789012", "AWS::Region": "eu-central-1"}
    try:
        template = retained.retained(sources.expanded)
        places = retained.places(template, values, "pool", "secret", "key")
    except (ValueError, KeyError) as error:
        return [f"infra/retained.py: {error}"]
    without = [place["LogicalResourceId"] for place in places if "stage" not in str(place["ResourceIdentifier"].values())]
    return [
        f"{name}: its name must contain the stage, or it cannot be found again"
        for name in without
        if template["Resources"][name]["Type"] not in ("AWS::Cognito::UserPool", "AWS::KMS::Key", "AWS::SecretsManager::Secret")
    ]


def _retain_topic(sources):
    sources.template["Resources"]["Alarms"]["DeletionPolicy"] = "Retain"


def _refer_to_function(sources):
    sources.template["Resources"]["ArchiveBucket"]["Properties"]["Tags"] = [
        {"Key": "function", "Value": {"Fn::GetAtt": ["StreamProcessor", "Arn"]}}
    ]


def _forget_stage(sources):
    sources.template["Resources"]["Vehicles"]["Properties"]["TableName"] = {"Fn::Sub": "roadcast-vehicles"}


BREAKAGES = [
    ("a retained type that is not identified", _retain_topic, "how CloudFormation identifies AWS::SNS::Topic"),
    ("a retained bucket that refers to a function", _refer_to_function, "refers to StreamProcessor"),
    ("a table whose name lacks the stage", _forget_stage, "Vehicles: its name must contain the stage"),
]
