"""Each alarm has a page in docs/operations/runbook, each page has an alarm, and both name each other and the dashboard rightly."""

import pathlib
import re

from checks.functions import text_of
from checks.observability import widgets
from checks.slo import WINDOWS

RUNBOOK = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "operations" / "runbook"
INDEX = "README"
WIDGET = re.compile(r'[Dd]ashboard, "([^"]+)"')
# What each page answers.
SECTIONS = ("## What it means", "## Look at", "## Mend")


def alarms(resources):
    """Returns the properties of all alarms by logical id."""
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == "AWS::CloudWatch::Alarm"}


def page_of(alarm):
    """Returns the name of the page of an alarm: its name without the stage. The two alarms of an objective share a page."""
    name = text_of(alarm.get("AlarmName")).removeprefix("roadcast-${Stage}-")
    for suffix, *_ in WINDOWS:
        name = name.removesuffix(f"-{suffix}")
    return name


def page_names(folder):
    return {page.stem for page in folder.glob("*.md")} - {INDEX}


def check_links(resources, pages):
    """Returns the alarms without a page, and those whose description does not name it."""
    found = []
    for name, alarm in alarms(resources).items():
        page = page_of(alarm)
        if page not in pages:
            found.append(f"{name}: requires the page docs/operations/runbook/{page}.md")
        if not text_of(alarm.get("AlarmDescription")).endswith(f" docs/operations/runbook/{page}.md"):
            found.append(f"{name}: its description must end with docs/operations/runbook/{page}.md")
    return found


def check_pages(resources, folder):
    """Returns the pages without an alarm, without a section, or that the index omits."""
    found, index = [], (folder / f"{INDEX}.md").read_text(encoding="utf-8")
    notifying = {page_of(alarm) for alarm in alarms(resources).values() if alarm.get("AlarmActions")}
    for page in sorted(page_names(folder)):
        text = (folder / f"{page}.md").read_text(encoding="utf-8")
        if page not in notifying:
            found.append(f"docs/operations/runbook/{page}.md: no alarm that notifies has this name")
        found += [f"docs/operations/runbook/{page}.md: requires the section {section!r}" for section in SECTIONS if section not in text]
        if f"({page}.md)" not in index:
            found.append(f"docs/operations/runbook/{INDEX}.md: does not name {page}.md")
    found += [
        f"docs/operations/runbook/{INDEX}.md: {link} does not exist"
        for link in re.findall(r"\((\w[\w-]*)\.md\)", index)
        if link not in page_names(folder)
    ]
    return found


def check_widgets(titles, folder):
    """Returns the widgets that a page names and the dashboard does not have."""
    return [
        f"docs/operations/runbook/{page.name}: the dashboard has no widget {name!r}"
        for page in sorted(folder.glob("*.md"))
        for name in WIDGET.findall(page.read_text(encoding="utf-8"))
        if not any(title.startswith(name) for title in titles)
    ]


def faults(sources):
    """Returns the alarms without a page, the pages without an alarm, wrong links between them, and unknown widgets."""
    resources = sources.expanded["Resources"]
    titles = [widget["properties"].get("title", "") for widget in widgets(sources)]
    return check_links(resources, page_names(RUNBOOK)) + check_pages(resources, RUNBOOK) + check_widgets(titles, RUNBOOK)


def _add_alarm(sources):
    resources = sources.template["Resources"]
    properties = {**resources["StreamThrottled"]["Properties"], "AlarmName": {"Fn::Sub": "roadcast-${Stage}-stream-empty"}}
    resources["StreamEmpty"] = {"Type": "AWS::CloudWatch::Alarm", "Condition": "Cloud", "Properties": properties}


def _remove_alarm(sources):
    del sources.template["Resources"]["WorkflowFailed"]


def _silence_alarm(sources):
    del sources.template["Resources"]["StreamThrottled"]["Properties"]["AlarmActions"]


def _omit_link(sources):
    sources.template["Resources"]["QuarantineRateHigh"]["Properties"]["AlarmDescription"] = "Samples were quarantined."


def _omit_link_of_window(sources):
    sources.template["Resources"]["FreshnessHalfHour"]["Properties"]["AlarmDescription"] = "Part of freshness."


def _rename_widget(sources):
    body = sources.files["infra/dashboard.yaml"]
    body["Fn::Sub"] = text_of(body).replace("Iterator age (ms)", "Age (ms)")


BREAKAGES = [
    ("an alarm without a page", _add_alarm, "StreamEmpty: requires the page docs/operations/runbook/stream-empty.md"),
    ("a page without an alarm", _remove_alarm, "runbook/workflow-failed.md: no alarm that notifies"),
    ("a page of an alarm that notifies no one", _silence_alarm, "runbook/stream-throttled.md: no alarm that notifies"),
    ("an alarm that does not name its page", _omit_link, "QuarantineRateHigh: its description must end with"),
    ("a window that does not name the page of its objective", _omit_link_of_window, "FreshnessHalfHour: its description must end with"),
    ("a widget that the dashboard renames", _rename_widget, "freshness.md: the dashboard has no widget 'Iterator age'"),
]
