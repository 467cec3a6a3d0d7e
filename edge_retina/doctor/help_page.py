"""Where findings and causes are explained: by an example in the report, and on a page of docs/."""

from __future__ import annotations

import functools
import os
import sys
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HELP_PAGE = "docs/findings.md"
_CHECKOUT = Path(__file__).resolve().parents[2]


def help_of(code: str) -> str:
    """Return the place that explains a finding or cause: a page of the repository and a heading."""
    return f"{HELP_PAGE}#{code}"


def help_link(links_from: Path | None) -> str:
    """Return where the page is, as seen from a report; codes are headings in it.

    Args:
        links_from: the directory the report will lie in; None if that isn't known.

    Returns:
        A relative link; "" where the page isn't there, as with an installed package.
    """
    page = _CHECKOUT / HELP_PAGE
    if links_from is None or not page.is_file():
        return ""
    return quote(os.path.relpath(page, links_from).replace(os.sep, "/"))


@functools.cache
def examples() -> dict[str, str]:
    """Return an example by the code of each finding and cause; code in it is in backticks."""
    return tomllib.loads((files(__package__) / "examples.toml").read_text(encoding="utf-8"))


class Explained:
    """What has a code, and so an example and a heading on the page.

    Attributes:
        code: a name in lower case, with hyphens.
    """

    code: str

    @property
    def help(self) -> str:
        """The place in docs/ that explains it."""
        return help_of(self.code)

    @property
    def example(self) -> str:
        """What it looks like, with code in backticks; empty if there is none of this code."""
        return examples().get(self.code, "")
