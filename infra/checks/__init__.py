"""The rules for the template and the contracts that no linter knows, one module for each subject.

A module has `faults(sources)`, which returns one text for each fault, and `BREAKAGES`: what breaks a rule on purpose, and a part
of the fault that must be found then. `sources` is a `Sources` of infra/lint_template.py.
"""
