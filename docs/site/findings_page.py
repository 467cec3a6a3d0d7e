"""The page of all findings and causes of `edge-retina doctor`, a heading each."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType

import edge_retina.doctor.data.checks
from edge_retina.doctor.findings import Kind
from edge_retina.doctor.help_page import examples
from edge_retina.doctor.int8 import diagnosis as int8_diagnosis
from edge_retina.doctor.run.causes import CAUSES

HEAD = """\
# Findings of doctor

What `edge-retina doctor` can say, by the names that it prints. Reports link here, and `help` in
their JSON names the heading.

- `edge-retina doctor DATA` has [findings](#findings-about-data). An error stops or spoils a
  training, a warning costs accuracy or makes a metric wrong, and a note is worth knowing. `--fix
  DIR` mends what needs no judgement: see [Check the data](data.md#check-the-data).
- `edge-retina doctor RUN` has [causes](#causes-of-a-poor-detector).
- `edge-retina doctor RUN --quantization` has [findings about layers](#findings-about-int8-layers).

Examples are made up.
"""
CAUSES_HEAD = """\
[Diagnosis](diagnosis.md#causes) says what points to each of them and from which figure on.
[Why are my results poor?](poor_results.md#what-each-cause-costs) says what they cost in trainings
that were spoilt on purpose."""


def findings_page(note: str) -> str:
    """Return the page; `note` says what it is generated from."""
    parts = [HEAD, note, "", "## Findings about data", ""]
    checks = edge_retina.doctor.data.checks
    for found in pkgutil.iter_modules(checks.__path__, f"{checks.__name__}."):
        parts += _kinds(kinds_of(import_module(found.name)))
    parts += ["## Causes of a poor detector", "", CAUSES_HEAD, ""]
    for cause in CAUSES:
        parts += [f"### {cause.code}", "", f"{cause.title}.", "", *_example(cause.code), ""]
    parts += ["## Findings about int8 layers", "", *_kinds(kinds_of(int8_diagnosis))]
    return "\n".join(parts).rstrip() + "\n"


def kinds_of(module: ModuleType) -> list[Kind]:
    """Return the kinds of findings that a module defines, in its order."""
    return [value for value in vars(module).values() if isinstance(value, Kind)]


def _kinds(kinds: Iterable[Kind]) -> Iterator[str]:
    for kind in kinds:
        yield from (f"### {kind.code}", "")
        yield from (f"{kind.severity.capitalize()}: {_lower(kind.title)}.", "")
        yield from _example(kind.code)
        yield from (f"- Why: {kind.why}.", f"- What to do: {kind.remedy}.", "")


def _example(code: str) -> list[str]:
    return [f"- Example: {examples()[code]}"]


def _lower(text: str) -> str:
    """Return a title as the end of a sentence, unless it begins with an abbreviation."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]
