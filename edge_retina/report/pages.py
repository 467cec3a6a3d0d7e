"""Pages from Jinja2 templates.

Everything that a template prints is escaped, so that a class or file name can't become markup; only
the SVG of `charts` is marked as safe. A name that a template misspells is an error.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2

import edge_retina


@cache
def environment(*packages: str) -> jinja2.Environment:
    """Return the environment of the report's templates and of those of other packages.

    Args:
        packages: import names of packages with a `templates` directory; theirs are found first.
    """
    found = (*packages, "edge_retina.report")
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in found]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_template(name: str, *packages: str, **values: Any) -> str:
    """Return a template filled in with `values`; see `environment`."""
    template = environment(*packages).get_template(name)
    return template.render(version=edge_retina.__version__, **values)
