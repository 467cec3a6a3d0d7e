"""The files that `benchmark` and `report` write besides JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_retina.cli.options import emit_text

if TYPE_CHECKING:
    from edge_retina.report.benchmark_page import Differing

_Command = TypeVar("_Command", bound=Callable[..., Any])
_KINDS = {
    "html": "as a page with charts",
    "markdown": "as tables in Markdown",
    "csv": "as CSV, a line for each,",
}


def page_options(command: _Command) -> _Command:
    """Add `--html`, `--markdown` and `--csv`, each a Path or None, and `--title`: str."""
    command = click.option(
        "--title", metavar="TEXT", default="", help="Heading of the page. Default: the models."
    )(command)
    for name, text in reversed(_KINDS.items()):
        command = click.option(
            f"--{name}",
            metavar="FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help=f"Write the results {text} to FILE.",
        )(command)
    return command


def write_pages(
    document: Mapping[str, Any],
    *,
    html: Path | None,
    markdown: Path | None,
    csv: Path | None,
    title: str = "",
    differing: Differing | None = None,
) -> None:
    """Write what is asked for.

    Args:
        document: of `benchmark`.
        html: file for the page; None if it isn't wanted.
        markdown: file for the tables, likewise.
        csv: file for the lines, likewise.
        title: heading; "" for the models' names.
        differing: pictures for the page.
    """
    from edge_retina.report.benchmark_page import benchmark_markdown, render_benchmark_page
    from edge_retina.report.benchmark_tables import results_csv

    if html is not None:
        page = render_benchmark_page(document, title=title, differing=differing)
        emit_text("--html", html, page)
    if markdown is not None:
        emit_text("--markdown", markdown, benchmark_markdown(document, title=title))
    if csv is not None:
        emit_text("--csv", csv, results_csv(document))
