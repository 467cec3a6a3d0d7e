"""Invalid things that were met while a data set was read."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from edge_retina.errors import DatasetError, ImageCode

log = logging.getLogger(__name__)

MEND = "fix the file or pass --skip-invalid (data.skip_invalid = true)"
_LONGEST = 500  # characters of a place or a description

Code = (
    ImageCode
    | Literal[
        "malformed-annotation",
        "missing-annotation",
        "repeated-image",
        "size-mismatch",
        "unknown-image",
        "missing-class",
        "unknown-class",
        "inverted-box",
        "zero-area-box",
        "box-outside",
        "box-sticks-out",
        "zero-image-size",
    ]
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One invalid thing.

    Attributes:
        code: what kind of thing; programs go by it, never by the words.
        where: the file and the place in it, e.g. "data/Annotations/a.xml, object 3".
        what: what is wrong, for people.
    """

    code: Code
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Problems:
    """Collects problems, so that the error at the end can say how many there are.

    Attributes:
        skip_invalid: leave invalid things out instead of raising an error at the end.
        found: invalid things that were left out (or clipped).
        notes: odd things that don't stop anyone: reading them loses nothing.
    """

    skip_invalid: bool
    found: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def add(self, code: Code, where: str, what: str) -> None:
        """Record that the thing at `where` is invalid and was left out (or clipped)."""
        self.found.append(Problem(code, _printable(where), _printable(what)))

    def note(self, code: Code, where: str, what: str) -> None:
        """Record something odd that is read all the same."""
        self.notes.append(Problem(code, _printable(where), _printable(what)))

    def gather(self, others: Iterable[Problems]) -> None:
        """Append what others collected, in their order; each thread has its own collection."""
        for other in others:
            self.found += other.found
            self.notes += other.notes

    def finish(self) -> tuple[str, ...]:
        """Return one line for each thing that was left out.

        Raises:
            DatasetError: there is one, and invalid things must not be skipped.
        """
        for note in self.notes:
            log.debug("%s", note)
        if not self.found:
            return ()
        if not self.skip_invalid:
            more = len(self.found) - 1
            rest = (
                f" ({more} more problem{'s' if more > 1 else ''} in this data set)" if more else ""
            )
            raise DatasetError(f"{self.found[0]}; {MEND}{rest}")
        for problem in self.found:
            log.debug("skipped: %s", problem)
        log.warning("skipped %d invalid items; first: %s", len(self.found), self.found[0])
        return tuple(str(problem) for problem in self.found)


def _printable(text: str) -> str:
    """Return a text that any terminal takes, whatever an annotation file made it quote."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    return text.encode("utf-8", "backslashreplace").decode()
