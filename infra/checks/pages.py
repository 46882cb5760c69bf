"""The pages below docs/operations name resources as the template does."""

import pathlib
import re

PAGES = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "operations"
# A name of a stage in a page, with a capital letter or brackets for the stage. A trailing hyphen makes it a prefix.
NAME = re.compile(r"roadcast([-_])(?:STAGE|<stage>)[-_]([A-Za-z0-9_-]*(?:\.fifo)?)")
# Names that are not in the template: made by provisioning, or by an operator who follows the page.
OTHER_NAMES = {"delivery-2", "feed-FLEET"}
PROPERTIES = re.compile(r"(Name|Domain)$")


def suffixes(resources):
    """Returns what follows the stage in the names of the resources."""
    found = set()
    for resource in resources.values():
        for key, value in resource.get("Properties", {}).items():
            text = value.get("Fn::Sub") if isinstance(value, dict) else None
            if isinstance(text, str) and PROPERTIES.search(key):
                text = text.replace("${AWS::AccountId}", "ACCOUNT").replace("${AWS::Region}", "REGION")
                found.update(re.findall(r"roadcast[-_]\$\{Stage\}[-_](.*)", text))
    return found


def faults(sources):
    """Returns the names in the pages that no resource has."""
    known = suffixes(sources.expanded["Resources"]) | OTHER_NAMES
    found = []
    for page in sorted(PAGES.rglob("*.md")):
        for match in NAME.finditer(page.read_text(encoding="utf-8")):
            suffix = match.group(2)
            prefix = suffix == "" or suffix.endswith(("-", "_"))
            if suffix not in known and not (prefix and any(name.startswith(suffix) for name in known)):
                found.append(f"docs/operations/{page.relative_to(PAGES)}: no resource has the name {match.group(0)}")
    return found


def _rename_alarm(sources):
    alarm = sources.template["Resources"]["StreamThrottled"]["Properties"]
    alarm["AlarmName"] = {"Fn::Sub": "roadcast-${Stage}-stream-full"}


def _rename_table(sources):
    sources.template["Resources"]["Vehicles"]["Properties"]["TableName"] = {"Fn::Sub": "roadcast-${Stage}-cars"}


BREAKAGES = [
    ("an alarm that a page names otherwise", _rename_alarm, "no resource has the name roadcast-STAGE-stream-throttled"),
    ("a table that a page names otherwise", _rename_table, "no resource has the name roadcast-STAGE-vehicles"),
]
