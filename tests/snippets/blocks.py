"""The fenced blocks of the pages, taken apart into what is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "


@dataclass(frozen=True)
class Snippet:
    """A block of a page.

    Attributes:
        page: its path in the repository.
        line: of the page where the block's text begins, from 1.
        language: "sh", "python" or "console": a command after a prompt, and its output.
        text: all of it.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Of the snippet, for people and for pytest: the page and the first line."""
        return f"{self.page}: {self.text.splitlines()[0]}"

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of a block of these; comments are left out."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix(_PROMPT) for line in lines if line.startswith(_PROMPT)]
        return tuple(
            shlex.join(words) if "|" not in words and ">" not in words else line
            for line in lines
            if (words := shlex.split(line, comments=True))
        )

    @property
    def output(self) -> tuple[str, ...]:
        """The lines of a console block that its command prints; those left out are "..."."""
        return tuple(
            line.rstrip() for line in self.text.splitlines() if not line.startswith(_PROMPT)
        )


def iterate_snippets() -> Iterator[Snippet]:
    """Yield the blocks that can be run, in the order of the pages."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            language, content = found[1], found[2]
            if language == "console" and not content.startswith(_PROMPT):
                continue
            if language in ("sh", "python", "console"):
                line = text.count("\n", 0, found.start()) + 2
                yield Snippet(page.relative_to(ROOT).as_posix(), line, language, content)
