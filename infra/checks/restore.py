"""The workflow that restores from the archive.

The rules are about what Step Functions requires of a distributed map, and about what the local endpoint ignores.
"""

from checks import on_aws
from checks.provisioning import resolved, statement

DEFINITION = "infra/restore.asl.json"
MAP = "RestoreHours"
FUNCTION, ROLE, MACHINE = "ArchiveRestorer", "RestoreRole", "Restore"
# A task starts groups of batches for a minute, the last group starts records for a minute, and ends those in another one.
TASK_SECONDS = 180
# Concurrent functions that write into the tables, beside the processing of the stream.
MAX_CONCURRENCY = 20
# The local endpoint ignores these, so that the definition would do something else there.
IGNORED = ("ItemBatcher", "ItemReader", "ResultWriter", "ToleratedFailureCount", "ToleratedFailurePercentage")


def check_map(definition):
    """Returns the faults of the map and of the workflow of an hour."""
    state, found = definition["States"].get(MAP, {}), []
    processor = state.get("ItemProcessor", {})
    # A child execution has a history of its own; that of the parent ends after 25,000 events.
    if processor.get("ProcessorConfig") != {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}:
        found.append(f"{DEFINITION}: {MAP} must be distributed, with standard executions: an express one ends after 5 minutes")
    if not 1 <= state.get("MaxConcurrency", 0) <= MAX_CONCURRENCY:
        found.append(f"{DEFINITION}: {MAP} must have a MaxConcurrency of 1 to {MAX_CONCURRENCY}")
    found += [f"{DEFINITION}: {MAP} must not use {member}, which the local endpoint ignores" for member in IGNORED if member in state]
    states = processor.get("States", {})
    for name, task in states.items():
        if task["Type"] != "Task":
            continue
        retries = task.get("Retry", [])
        if not any("States.ALL" in retry["ErrorEquals"] and 1 <= retry.get("MaxAttempts", 3) <= 10 for retry in retries):
            found.append(f"{DEFINITION}: {name} must be retried after every error, 1 to 10 times")
        if "Catch" in task:
            found.append(f"{DEFINITION}: {name} must not catch a failure: the run would succeed without the hour")
    done = [{"Variable": "$.progress.done", "BooleanEquals": True, "Next": "Count"}]
    choice = states.get("IsDone", {})
    if choice.get("Choices") != done or choice.get("Default") != processor.get("StartAt"):
        found.append(f"{DEFINITION}: an hour must be continued until it is done")
    # The results of all hours together must not exceed 256 KiB.
    if states.get("Count", {}).get("OutputPath") != "$.progress.counts":
        found.append(f"{DEFINITION}: the result of an hour must be its counts only")
    return found


def check_role(resources, label):
    """Returns the rights that Step Functions needs for the child executions, if they are missing ("IAM policies for using
    Distributed Map states", Step Functions Developer Guide).
    """
    name = resources[MACHINE]["Properties"].get("Name", "")
    found = []
    for sid, kind, suffix, actions in (
        ("StartHours", "stateMachine", "", {"states:StartExecution"}),
        ("FollowHours", "execution", ":*", {"states:DescribeExecution", "states:StopExecution"}),
        ("RedriveHours", "execution", f"/{label}:*", {"states:RedriveExecution"}),
    ):
        entry = statement(resources, ROLE, sid)
        listed = entry.get("Action", [])
        allowed = set(listed if isinstance(listed, list) else [listed])
        if not actions <= allowed or not resolved(entry.get("Resource", "")).endswith(f":{kind}:{resolved(name)}{suffix}"):
            found.append(f"{ROLE}: {sid} must allow {', '.join(sorted(actions))} for the child executions")
    return found


def faults(sources):
    """Returns all faults of the workflow and of what it needs."""
    resources = sources.template["Resources"]
    definition = sources.files[DEFINITION]
    found = check_map(definition) + check_role(resources, definition["States"].get(MAP, {}).get("Label"))
    if on_aws(resources[FUNCTION]["Properties"].get("Timeout", 0)) < TASK_SECONDS:
        found.append(f"{FUNCTION}: a task takes up to {TASK_SECONDS} s")
    return found


def _map(sources):
    return sources.files[DEFINITION]["States"][MAP]


def _inline(sources):
    _map(sources)["ItemProcessor"]["ProcessorConfig"] = {"Mode": "INLINE"}


def _without_limit(sources):
    del _map(sources)["MaxConcurrency"]


def _in_batches(sources):
    _map(sources)["ItemBatcher"] = {"MaxItemsPerBatch": 10}


def _without_retry(sources):
    del _map(sources)["ItemProcessor"]["States"]["Restore"]["Retry"]


def _hide_failures(sources):
    _map(sources)["ItemProcessor"]["States"]["Restore"]["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Count"}]


def _end_after_one_task(sources):
    _map(sources)["ItemProcessor"]["States"]["IsDone"]["Default"] = "Count"


def _return_everything(sources):
    del _map(sources)["ItemProcessor"]["States"]["Count"]["OutputPath"]


def _forget_children(sources):
    statement(sources.template["Resources"], ROLE, "StartHours")["Resource"] = {"Fn::Sub": "arn:aws:states:r:a:stateMachine:x"}


def _end_early(sources):
    sources.template["Resources"][FUNCTION]["Properties"]["Timeout"] = 60


BREAKAGES = [
    ("a map in the history of the run", _inline, "RestoreHours must be distributed"),
    ("hours without a limit at the same time", _without_limit, "RestoreHours must have a MaxConcurrency"),
    ("hours in batches", _in_batches, "must not use ItemBatcher"),
    ("a task that is not retried", _without_retry, "Restore must be retried"),
    ("a failed hour in a run that succeeds", _hide_failures, "Restore must not catch a failure"),
    ("an hour that ends after one task", _end_after_one_task, "must be continued until it is done"),
    ("hours with their whole input as the result", _return_everything, "must be its counts only"),
    ("a role that cannot start hours", _forget_children, "RestoreRole: StartHours must allow"),
    ("a function that ends before its task", _end_early, "ArchiveRestorer: a task takes up to 180 s"),
]
