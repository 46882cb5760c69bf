"""The objectives of docs/operations/slo.md are those of the burn-rate alarms."""

import math
import pathlib
import re

from checks.functions import text_of

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "operations" / "slo.md"
ENRICHMENT = ROOT / "crates" / "services" / "src" / "delivery" / "enrichment.rs"
# The alarms of an objective: suffix of the name, burn rate and seconds of the window. They use up 2 % and 5 % of the budget, as is
# recommended in "Alerting on SLOs", Site Reliability Workbook, chapter 5.
WINDOWS = (("30m", 28.8, 1800), ("6h", 6.0, 21600))
ROW = re.compile(r"^\| \[`([\w-]+)`\]\(runbook/\1\.md\) \| ([\d.]+) % \| (requests|minutes) of 30 days \|", re.MULTILINE)


def objectives(text):
    """Returns the error budget, as a fraction, and the unit of each objective, by the name of its alarm."""
    return {name: (round(1 - float(percent) / 100, 6), unit) for name, percent, unit in ROW.findall(text)}


def requests_fault(alarm, budget, burn, seconds):
    """Returns what is wrong with the window of an objective that counts requests."""
    expected = round(budget * burn, 6)
    if alarm.get("Period") != seconds or alarm.get("EvaluationPeriods") != 1 or alarm.get("Statistic") != "Average":
        return f"must be the Average of one period of {seconds} s"
    if alarm["Threshold"] != expected:
        return f"has the threshold {alarm['Threshold']}; {burn} times the budget is {expected}"
    return None


def minutes_fault(alarm, budget, burn, seconds):
    """Returns what is wrong with the window of an objective that counts minutes."""
    periods = {metric["MetricStat"]["Period"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric}
    bad = max(1, math.ceil(round(budget * burn * seconds / 60, 6)))
    if periods != {60}:
        return "must have periods of 60 s, because the objective counts minutes"
    if (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) != (bad, seconds // 60):
        return f"must ring at {bad} of {seconds // 60} bad minutes, {burn} times the budget"
    return None


def check_objective(alarms, name, budget, unit):
    """Yields the faults of one objective."""
    expressions, check = set(), requests_fault if unit == "requests" else minutes_fault
    for suffix, burn, seconds in WINDOWS:
        logical_id, alarm = alarms.get(f"{name}-{suffix}", (None, None))
        if alarm is None:
            yield f"docs/operations/slo.md: {name} has no alarm {name}-{suffix}"
            continue
        fault = check(alarm, budget, burn, seconds)
        if fault:
            yield f"{logical_id}: {fault}"
        expressions |= {text_of(metric["Expression"]) for metric in alarm.get("Metrics", []) if "Expression" in metric}
    if len(expressions) > 1:
        yield f"{name}: the expressions of its alarms differ"


def check_lateness(resources):
    """Returns a fault if the alarm and the count of late events mean different times."""
    late_ms = re.search(r"LATE_MS: i64 = ([\d *]+);", ENRICHMENT.read_text(encoding="utf-8")).group(1)
    late_ms = math.prod(int(factor) for factor in late_ms.split("*"))
    expression = resources["FreshnessHalfHour"]["Properties"]["Metrics"][0]["Expression"]
    times = [int(time) for time in re.findall(r"> (\d+)", expression)]
    if times != [late_ms, late_ms // 1000]:
        return [f"FreshnessHalfHour: waits of {times}; events are late after {late_ms} ms (LATE_MS)"]
    return []


def faults(sources):
    """Returns the objectives without an alarm, the alarms of a window without an objective, and wrong burn rates."""
    resources = sources.expanded["Resources"]
    known = objectives(PAGE.read_text(encoding="utf-8"))
    alarms = {
        text_of(item["Properties"]["AlarmName"]).removeprefix("roadcast-${Stage}-"): (name, item["Properties"])
        for name, item in resources.items()
        if item["Type"] == "AWS::CloudWatch::Alarm"
    }
    found = [
        f"{logical_id}: has no objective in docs/operations/slo.md"
        for alarm, (logical_id, _) in alarms.items()
        for suffix, *_ in WINDOWS
        if alarm.endswith(f"-{suffix}") and alarm.removesuffix(f"-{suffix}") not in known
    ]
    for name, objective in known.items():
        found += check_objective(alarms, name, *objective)
    return found + check_lateness(resources)


def _alarm(sources, name):
    return sources.template["Resources"][name]["Properties"]


def _raise_threshold(sources):
    _alarm(sources, "ApiAvailabilitySixHours")["Threshold"] = 0.06


def _shorten_window(sources):
    _alarm(sources, "ApiAvailabilityHalfHour")["Period"] = 900


def _ring_late(sources):
    _alarm(sources, "FreshnessSixHours")["DatapointsToAlarm"] = 60


def _count_hours(sources):
    for metric in _alarm(sources, "WebhookDelaySixHours")["Metrics"]:
        if "MetricStat" in metric:
            metric["MetricStat"]["Period"] = 3600


def _forget_window(sources):
    del sources.template["Resources"]["FreshnessSixHours"]


def _differ(sources):
    _alarm(sources, "WebhookDelayHalfHour")["Metrics"][0]["Expression"] = "IF(FILL(events, 0) > 1, 1, 0)"


def _wait_longer(sources):
    for name in ("FreshnessHalfHour", "FreshnessSixHours"):
        expression = _alarm(sources, name)["Metrics"][0]
        expression["Expression"] = expression["Expression"].replace("300000", "900000")


def _add_objective(sources):
    alarm = {**_alarm(sources, "FreshnessHalfHour"), "AlarmName": {"Fn::Sub": "roadcast-${Stage}-latency-30m"}}
    sources.template["Resources"]["LatencyHalfHour"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}


BREAKAGES = [
    ("a threshold of another burn rate", _raise_threshold, "ApiAvailabilitySixHours: has the threshold 0.06"),
    ("a window of another length", _shorten_window, "ApiAvailabilityHalfHour: must be the Average of one period of 1800 s"),
    ("another number of bad minutes", _ring_late, "FreshnessSixHours: must ring at 11 of 360 bad minutes"),
    ("minutes that are counted as hours", _count_hours, "WebhookDelaySixHours: must have periods of 60 s"),
    ("an objective without one of its alarms", _forget_window, "freshness has no alarm freshness-6h"),
    ("alarms with different expressions", _differ, "webhook-delay: the expressions of its alarms differ"),
    ("an alarm that means another time than the count", _wait_longer, "FreshnessHalfHour: waits of [900000, 300]"),
    ("an objective that the page omits", _add_objective, "LatencyHalfHour: has no objective"),
]
