"""Queues encrypt their messages with the key of SQS, which costs nothing. The rule of checkov expects a key of KMS."""


def faults(sources):
    """Returns the queues that do not encrypt their messages."""
    return [
        f"{name}: requires SqsManagedSseEnabled"
        for name, resource in sources.expanded["Resources"].items()
        if resource["Type"] == "AWS::SQS::Queue" and resource["Properties"].get("SqsManagedSseEnabled") is not True
    ]


def _do_not_encrypt(sources):
    sources.template["Resources"]["DeadLetters"]["Properties"]["SqsManagedSseEnabled"] = False


BREAKAGES = [("a queue without encryption", _do_not_encrypt, "DeadLetters: requires SqsManagedSseEnabled")]
