"""Where findings and causes are explained: by an example in the report, and on a page of docs/."""

from __future__ import annotations

import functools
import sys
from importlib.resources import files
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HELP_PAGE = "docs/findings.md"
_CHECKOUT = Path(__file__).resolve().parents[2]


def help_of(code: str) -> str:
    """Return the place that explains a finding or cause: a page of the repository and a heading."""
    return f"{HELP_PAGE}#{code}"


def help_url(code: str) -> str:
    """Return the address of that place in the checkout of this package; "" if it is installed."""
    page = _CHECKOUT / HELP_PAGE
    return f"{page.as_uri()}#{code}" if page.is_file() else ""


@functools.cache
def examples() -> dict[str, str]:
    """Return an example by the code of each finding and cause; code in it is in backticks."""
    return tomllib.loads((files(__package__) / "examples.toml").read_text(encoding="utf-8"))
