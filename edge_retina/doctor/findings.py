"""What a check has to say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from edge_retina.doctor.help_page import Explained

Severity = Literal["error", "warning", "note"]
# error: it stops training or spoils it. warning: it costs accuracy, or a number that will be
# believed is wrong. note: worth knowing.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
SHOWN_CASES = 10  # kept of each finding: enough to see the pattern, and a report stays small


@dataclass(frozen=True)
class Case:
    """One place where a finding holds.

    Attributes:
        file: the picture or annotation file, relative to the data set where it lies inside.
        detail: what is there.
        where: the place in the annotation, e.g. "object 3" or "line 7"; empty for the whole file.
    """

    file: str
    detail: str
    where: str = ""


@dataclass(frozen=True)
class Finding(Explained):
    """One kind of thing that was found.

    Attributes:
        code: short name that stays the same, e.g. "zero-area-box".
        severity: "error", "warning" or "note".
        title: what is counted, in one line.
        count: how many there are.
        cases: the first of them.
        why: why it matters for this detector.
        remedy: what to do.
    """

    code: str
    severity: Severity
    title: str
    count: int
    cases: tuple[Case, ...]
    why: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        return {**asdict(self), "help": self.help}


@dataclass(frozen=True)
class Kind:
    """A finding before anything was found; `found` makes it one."""

    code: str
    severity: Severity
    title: str
    why: str
    remedy: str

    def found(self, cases: Sequence[Case], *, count: int | None = None) -> list[Finding]:
        """Return the finding in a list; an empty list where there is nothing.

        Args:
            cases: all places, or the first ones.
            count: how many there are, if that is not the number of `cases`.
        """
        total = len(cases) if count is None else count
        if not total:
            return []
        shown = tuple(cases[:SHOWN_CASES])
        return [Finding(self.code, self.severity, self.title, total, shown, self.why, self.remedy)]


def by_severity(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return errors first, then warnings, then notes; each in the order given."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def of_severity(findings: Iterable[Finding], severity: Severity) -> tuple[Finding, ...]:
    """Return the findings of one severity."""
    return tuple(finding for finding in findings if finding.severity == severity)


def relative_name(path: Path, root: Path) -> str:
    """Return `path` relative to the data set if it lies inside, with forward slashes."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
