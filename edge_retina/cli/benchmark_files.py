"""The files that `benchmark` and `report` write besides JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edge_retina.cli.options import emit_text

if TYPE_CHECKING:
    from edge_retina.benchmark.accuracy import Accuracy, LabelledData
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


class FoundObjects:
    """What `run_benchmark` tells of accuracy, kept for the page's pictures."""

    def __init__(self) -> None:
        self.data: LabelledData | None = None
        self._accuracies: dict[tuple[str, str], Accuracy] = {}

    def __call__(self, model: str, backend: str, accuracy: Accuracy) -> None:
        """Keep the detections of a model and backend."""
        if accuracy.detections:
            self._accuracies[model, backend] = accuracy

    def differing(self, document: Mapping[str, Any]) -> Differing | None:
        """Return the pictures on which an int8 model and its float one differ most.

        That is the first pair in the comparisons of which the objects are known, with the backend
        that users get unless they ask for another. None if there is no such pair.
        """
        int8 = {item["model"] for item in document["results"] if item["precision"] == "int8"}
        pairs = [
            ((item["reference"], item["reference_backend"]), (item["model"], item["backend"]))
            for item in document["comparisons"]
            if item["model"] in int8
        ]
        known = [pair for pair in pairs if all(key in self._accuracies for key in pair)]
        if not known or self.data is None:
            return None
        return self._differing(*known[0])

    def _differing(self, one: tuple[str, str], other: tuple[str, str]) -> Differing:
        from edge_retina.evaluation.class_map import restrict
        from edge_retina.report.benchmark_document import backend_name, short_names
        from edge_retina.report.benchmark_page import Differing
        from edge_retina.report.disagreements import best_threshold, disagreements

        assert self.data is not None
        names = short_names([one[0], other[0]])
        left, right = self._accuracies[one], self._accuracies[other]
        labels = self.data.labels if left.classes is None else left.classes.shared
        examples = self.data.examples
        if left.classes is not None:
            examples = restrict(examples, self.data.labels, labels)
        threshold = best_threshold(examples, left.detections, labels)
        tiles = disagreements(
            examples, left.detections, right.detections, labels, threshold=threshold
        )
        titles = [f"{names[model]}, {backend_name(backend)}" for model, backend in (one, other)]
        return Differing(titles[0], titles[1], threshold, tiles)
