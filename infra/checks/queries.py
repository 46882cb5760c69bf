"""The saved queries of Logs Insights read fields that are logged, in log groups of the stack, and the runbook uses each of them."""

import pathlib
import re

from checks.functions import text_of

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = ROOT / "docs" / "operations"
# Words of the query language that are used, and values that a query compares with.
WORDS = frozenset(
    "fields filter stats sort limit by as asc desc and or not like in bin count sum min max pct latest ispresent".split()
)
# Fields of every line of the logger of the functions ("json" format of tracing-subscriber): crates/lambda-kit/src/logging.rs.
LINE_FIELDS = {"service", "stage", "level", "message", "target"}
# Fields that CloudWatch adds to each line, and to the report that Lambda writes after each invocation.
DISCOVERED = {"@timestamp", "@message", "@log", "@logStream", "@requestId", "@type", "@duration", "@maxMemoryUsed", "@memorySize"}
# Fields of the log of Step Functions ("Log levels for Step Functions execution events").
WORKFLOW_FIELDS = {"type", "execution_arn", "details.error", "details.cause"}
MACRO = re.compile(r"tracing::(?:trace|debug|info|warn|error)!\(")
SPAN = re.compile(r"tracing::info_span!\(")
FIELD = re.compile(r"^(?:[%?]\s*)?(\w+)$|^(\w+)\s*=[^=]")


def arguments(text, start):
    """Returns the arguments of a macro whose opening bracket ends at `start`."""
    parts, depth, begin, position = [], 0, start, start
    while position < len(text):
        char = text[position]
        if char == '"':
            position += 1
            while text[position] != '"':
                position += 2 if text[position] == "\\" else 1
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            if depth == 0:
                break
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[begin:position].strip())
            begin = position + 1
        position += 1
    return [*parts, text[begin:position].strip()]


def fields_of(source, macro):
    """Returns the names of the fields of all lines that a macro writes in a source file."""
    found = set()
    for match in macro.finditer(source):
        for argument in arguments(source, match.end()):
            field = FIELD.match(argument)
            found.update(name for name in (field.groups() if field else ()) if name)
    return found


def logged_fields(template):
    """Returns the names of all fields that the functions, the API and AWS log."""
    known = LINE_FIELDS | DISCOVERED | WORKFLOW_FIELDS
    for folder in ("crates", "functions"):
        for path in (ROOT / folder).glob("**/src/**/*.rs"):
            source = path.read_text(encoding="utf-8")
            known |= fields_of(source, MACRO)
            known |= {f"span.{name}" for name in fields_of(source, SPAN)}
    metrics = (ROOT / "crates/lambda-kit/src/metrics.rs").read_text(encoding="utf-8")
    known |= set(re.findall(r"^    (\w+): \w+ => \w+,$", metrics, re.MULTILINE)) | {"Service", "Stage"}
    return known | set(re.findall(r'"(\w+)":', template["Resources"]["Api"]["Properties"]["AccessLogSetting"]["Format"]))


def names_in(query):
    """Returns the fields that a query reads."""
    text = re.sub(r'"[^"]*"|\blike /[^/\n]+/', " ", query)
    aliases = set(re.findall(r"\bas (\w+)", text))
    text = re.sub(r"\bbin\(\w+\)", " ", text)
    names = re.findall(r"(?<![\w.@])@?[A-Za-z_][\w.]*", text)
    return {name for name in names if name not in WORDS and name not in aliases}


def queries(resources):
    return {name: item["Properties"] for name, item in resources.items() if item["Type"] == "AWS::Logs::QueryDefinition"}


def faults(sources):
    """Returns the queries that would find nothing, and those that no page uses."""
    resources, found = sources.expanded["Resources"], []
    known = logged_fields(sources.template)
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES.rglob("*.md"))
    named = set(re.findall(r"query `([\w-]+)`", text))
    titles = set()
    for name, query in queries(resources).items():
        title = text_of(query["Name"]).removeprefix("roadcast-${Stage}/")
        titles.add(title)
        found += [f"{name}: no line has the field {field}" for field in sorted(names_in(query["QueryString"]) - known)]
        found += [
            f"{name}: {group} is not a log group of the stack"
            for group in (group.get("Ref") for group in query["LogGroupNames"])
            if resources.get(group, {}).get("Type") != "AWS::Logs::LogGroup"
        ]
        if title not in named:
            found.append(f"{name}: no page below docs/operations names the query `{title}`")
    found += [f"docs/operations: the query `{title}` does not exist" for title in sorted(named - titles)]
    functions = {log for query in queries(resources).values() for log in (group.get("Ref") for group in query["LogGroupNames"])}
    logs = [name for name, item in resources.items() if text_of(item.get("Properties", {}).get("LogGroupName")).startswith("/aws/lambda/")]
    return found + [f"{name}: no saved query reads this log" for name in logs if name not in functions]


def _properties(sources, name):
    return sources.template["Resources"][name]["Properties"]


def _rename_field(sources):
    query = _properties(sources, "AttemptsQuery")
    query["QueryString"] = query["QueryString"].replace("latency_ms", "duration_of_attempt")


def _rename_metric(sources):
    query = _properties(sources, "StreamQuery")
    query["QueryString"] = query["QueryString"].replace("SamplesStored", "SamplesWritten")


def _shorten_access_log(sources):
    setting = _properties(sources, "Api")["AccessLogSetting"]
    setting["Format"] = setting["Format"].replace('"resource":"$context.resourcePath",', "")


def _rename_query(sources):
    _properties(sources, "StreamQuery")["Name"] = {"Fn::Sub": "roadcast-${Stage}/records"}


def _omit_log(sources):
    resources = sources.template["Resources"].values()
    for groups in (item["Properties"]["LogGroupNames"] for item in resources if item["Type"] == "AWS::Logs::QueryDefinition"):
        groups[:] = [group for group in groups if group != {"Ref": "ProvisionerLog"}]


def _read_table(sources):
    _properties(sources, "StreamQuery")["LogGroupNames"] = [{"Ref": "Vehicles"}]


BREAKAGES = [
    ("a field that no line has", _rename_field, "AttemptsQuery: no line has the field duration_of_attempt"),
    ("a metric that does not exist", _rename_metric, "StreamQuery: no line has the field SamplesWritten"),
    ("a field that the access log loses", _shorten_access_log, "FailedRequestsQuery: no line has the field resource"),
    ("a query that no page uses", _rename_query, "StreamQuery: no page below docs/operations names the query `records`"),
    ("a page with a query that does not exist", _rename_query, "docs/operations: the query `stream` does not exist"),
    ("a function whose log no query reads", _omit_log, "ProvisionerLog: no saved query reads this log"),
    ("a query of something that is no log", _read_table, "StreamQuery: Vehicles is not a log group"),
]
