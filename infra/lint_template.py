#!/usr/bin/env python3
"""Expands template.yaml into plain CloudFormation, so that linters can check all of it, and checks our own rules.

SAM and cfn-lint do not read files that the template includes with AWS::Include. A dangling reference in openapi.yaml
would therefore fail only at deployment. This script inserts the included files and the state machine definitions,
applies the SAM transform and writes the result for the linter, and that of the form with gradual deployments (infra/canary.py):

    python infra/lint_template.py EXPANDED.json GRADUAL.json && cfn-lint EXPANDED.json GRADUAL.json -a cfn_lint_serverless.rules

It also checks the rules in infra/checks, which no linter knows. Each fault is one line on standard error. The exit status is
1 if there is any fault. With --breakages, it breaks each rule on purpose instead, and fails if the rule does not find it:

    python infra/lint_template.py --breakages              # all subjects
    python infra/lint_template.py --breakages contract     # the rules of infra/checks/contract.py

Requires PyYAML and aws-sam-translator.
"""

import contextlib
import copy
import dataclasses
import importlib
import io
import json
import logging
import os
import pathlib
import pkgutil
import sys
import types

import yaml

import checks

ROOT = pathlib.Path(__file__).resolve().parent.parent


class TemplateLoader(yaml.SafeLoader):
    """Reads the short forms of intrinsic functions (`!Ref`) as the long forms."""


def _intrinsic(loader, name, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if name == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


TemplateLoader.add_multi_constructor("!", _intrinsic)


@dataclasses.dataclass
class Sources:
    """What the rules are about."""

    # template.yaml as written, with the long forms of the intrinsic functions.
    template: dict
    # openapi.yaml.
    openapi: dict
    # The other files that the template includes or refers to, by path: the parsed YAML or JSON.
    files: dict
    # The template after the SAM transform, with all files inlined: what CloudFormation receives.
    expanded: dict = dataclasses.field(default_factory=dict)


def load():
    """Returns the sources as they are in the repository, not expanded."""
    template = yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), TemplateLoader)
    files = {path: yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) for path in sorted(referenced_files(template))}
    return Sources(template, files.pop("openapi.yaml"), files)


def referenced_files(node):
    """Returns the paths of the files that a part of the template includes, and of its state machine definitions."""
    if isinstance(node, list):
        return set().union(*(referenced_files(item) for item in node))
    if not isinstance(node, dict):
        return set()
    found = set().union(*(referenced_files(item) for item in node.values()))
    transform = node.get("Fn::Transform")
    if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
        found.add(transform["Parameters"]["Location"])
    if isinstance(node.get("DefinitionUri"), str):
        found.add(node["DefinitionUri"])
    return found


def inline(node, files):
    """Replaces each AWS::Include with its file. API Gateway and CloudFormation do not allow short forms in included files,
    so a `!Ref` in one is an error here too."""
    if isinstance(node, list):
        return [inline(item, files) for item in node]
    if not isinstance(node, dict):
        return node
    transform = node.get("Fn::Transform")
    if isinstance(transform, dict) and transform.get("Name") == "AWS::Include":
        return copy.deepcopy(files[transform["Parameters"]["Location"]])
    return {key: inline(value, files) for key, value in node.items()}


def expand(sources):
    """Returns the template as CloudFormation receives it: packaged, with the SAM transform applied."""
    from samtranslator.translator.transform import transform

    files = {**sources.files, "openapi.yaml": sources.openapi}
    template = inline(sources.template, files)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = "s3://packages/function.zip"
        elif resource["Type"] == "AWS::Serverless::StateMachine":
            properties["Definition"] = copy.deepcopy(files[properties.pop("DefinitionUri")])
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    return transform(template, {}, types.SimpleNamespace(load=dict))


def rules():
    """Returns the modules of infra/checks."""
    return [importlib.import_module(f"checks.{module.name}") for module in pkgutil.iter_modules(checks.__path__)]


def all_faults(sources):
    """Returns the faults that all rules find."""
    return [fault for rule in rules() for fault in rule.faults(sources)]


def breakage_miss(rule, breakage, original, usual):
    """Breaks one rule on purpose. Returns why the breakage counts as missed, or None if the rule finds it."""
    _, breaks, expected = breakage
    if any(expected in fault for fault in usual):
        return f"a fault contains {expected!r} without the breakage too"
    broken = copy.deepcopy(original)
    try:
        breaks(broken)
        broken.expanded = expand(broken)
        found = rule.faults(broken)
    except Exception as error:  # A breakage that does not fit the template any more must not hide the others.
        return f"{type(error).__name__}: {error}"
    if not any(expected in fault for fault in found):
        return f"no fault contains {expected!r}; found {found}"
    return None


def missed_breakages(modules, original):
    """Breaks each rule on purpose, prints each breakage with its result, and yields a line for each that is missed."""
    sound = copy.deepcopy(original)
    sound.expanded = expand(sound)
    for rule in modules:
        subject = rule.__name__.removeprefix("checks.")
        print(f"{subject}: {rule.__doc__.strip().splitlines()[0]}", flush=True)
        if not rule.BREAKAGES:
            yield f"{subject}: has no breakages"
        usual = rule.faults(sound)
        for breakage in rule.BREAKAGES:
            miss = breakage_miss(rule, breakage, original, usual)
            print(f"  {'MISSED' if miss else 'found'}: {breakage[0]}", flush=True)
            if miss:
                yield f"{subject}: {breakage[0]}: {miss}"


def harness_faults(original):
    """Returns what `missed_breakages` would miss itself: each of these modules must have one missed breakage."""

    def remove_output(sources):
        del sources.template["Outputs"]["ApiUrl"]

    def no_api_url(sources):
        return [] if "ApiUrl" in sources.template["Outputs"] else ["no ApiUrl"]

    def module(name, breakages):
        return types.SimpleNamespace(__name__=f"harness.{name}", __doc__=name, faults=no_api_url, BREAKAGES=breakages)

    sound = module("sound", [("an output is removed", remove_output, "no ApiUrl")])
    faulty = [
        module("without breakages", []),
        module("nothing broken", [("nothing", lambda sources: None, "no ApiUrl")]),
        module("another fault", [("an output is removed", remove_output, "no TokenUrl")]),
        module("an exception", [("a missing member", lambda sources: sources.template["Missing"], "no ApiUrl")]),
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        found = [(item, len(list(missed_breakages([item], original)))) for item in [sound, *faulty]]
    expected = {item.__name__: 1 for item in faulty} | {sound.__name__: 0}
    return [f"{item.__name__}: {count} missed breakages" for item, count in found if count != expected[item.__name__]]


def break_rules(subjects):
    """Breaks the rules of these subjects, or all rules, on purpose. Returns a line for each breakage that is missed."""
    by_subject = {rule.__name__.removeprefix("checks."): rule for rule in rules()}
    unknown = [subject for subject in subjects if subject not in by_subject]
    if unknown:
        sys.exit(f"infra/checks has no module {', '.join(unknown)}; it has {', '.join(by_subject)}")
    modules = [rule for subject, rule in by_subject.items() if not subjects or subject in subjects]
    original = load()
    faults = harness_faults(original) + list(missed_breakages(modules, original))
    count = sum(len(rule.BREAKAGES) for rule in modules)
    print(f"{count} breakages of {len(modules)} subjects: {len(faults)} missed" if faults else f"{count} breakages, all found")
    return faults


def main():
    # The SAM transform logs that it was started without the configuration of AWS, and that it sends no metrics.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    if len(sys.argv) > 1 and sys.argv[1] == "--breakages":
        faults = break_rules(sys.argv[2:])
    elif len(sys.argv) != 3:
        sys.exit("usage: lint_template.py EXPANDED.json GRADUAL.json | --breakages [SUBJECT ...]")
    else:
        sources = load()
        sources.expanded = expand(sources)
        gradual = importlib.import_module("checks.canary").gradual(sources)
        for path, form in zip(sys.argv[1:], (sources, gradual)):
            pathlib.Path(path).write_text(json.dumps(form.expanded, indent=1), encoding="utf-8")
        faults = all_faults(sources)
    for fault in faults:
        print(fault, file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
