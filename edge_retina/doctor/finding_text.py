"""Findings as text for a terminal."""

from __future__ import annotations

import textwrap

from edge_retina.doctor.findings import Case, Finding

_WIDTH = 100
_CASES = 3  # shown of each finding; the HTML and JSON forms have more


def finding_text(finding: Finding) -> str:
    """Return a finding with its first cases, why it matters and what to do."""
    lines = [f"{finding.severity.upper()} {finding.code}: {finding.title} ({finding.count})"]
    lines += [wrapped("  - ", case_text(case)) for case in finding.cases[:_CASES]]
    lines += [wrapped("  why: ", finding.why), wrapped("  do:  ", finding.remedy)]
    return "\n".join(lines)


def case_text(case: Case) -> str:
    """Return a case in one line."""
    place = f"{case.file} ({case.where})" if case.where else case.file
    return f"{place}: {case.detail}"


def plural(count: int, noun: str) -> str:
    """Return "1 error", "2 errors"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def wrapped(start: str, text: str, *, indent: str = "") -> str:
    """Return `start` and `text` in lines of at most 100 characters, the later ones indented."""
    following = indent or " " * (len(start) - len(start.lstrip()) + 2)
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )
