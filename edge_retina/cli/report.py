"""`edge-retina report`."""

from __future__ import annotations

from pathlib import Path

import click

from edge_retina.cli.benchmark_files import page_options, write_pages
from edge_retina.cli.options import debug_option


@click.command("report")
@click.argument("benchmark", metavar="BENCHMARK.json", type=click.Path(path_type=Path))
@page_options
@debug_option
def command(
    benchmark: Path, html: Path | None, markdown: Path | None, csv: Path | None, title: str
) -> None:
    """Make pages of what `benchmark --json` has written, without measuring again.

    BENCHMARK.json may come from another machine. Pictures are not in it, so only
    `benchmark --data ... --html` shows where float and int8 disagree.

    Example: edge-retina report benchmark.json --html benchmark.html --markdown benchmark.md
    """
    from edge_retina.report.benchmark_document import read_benchmark

    if html is None and markdown is None and csv is None:
        raise click.UsageError("nothing to write; add --html, --markdown or --csv FILE")
    document = read_benchmark(benchmark)
    write_pages(document, html=html, markdown=markdown, csv=csv, title=title)
