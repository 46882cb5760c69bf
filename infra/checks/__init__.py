"""The rules for the template and the contracts that no linter knows, one module for each subject.

A module has `faults(sources)`, which returns one text for each fault, and `BREAKAGES`: what breaks a rule on purpose, and a part
of the fault that must be found then. `sources` is a `Sources` of infra/lint_template.py.
"""


def arn(name):
    """Returns a reference to the ARN of a resource of the template."""
    return {"Fn::GetAtt": [name, "Arn"]}


def on_aws(value):
    """Returns the value of a property on AWS: the first branch of the condition Cloud."""
    if isinstance(value, dict) and "Fn::If" in value and value["Fn::If"][0] == "Cloud":
        return value["Fn::If"][1]
    return value
