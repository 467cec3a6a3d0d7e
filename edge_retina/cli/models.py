"""Options of commands that take a MODEL: a RUN, a .tflite file or an export directory."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from edge_retina.runtime.foreign_settings import RESIZES, ForeignChoices
from edge_retina.runtime.formats.table import FORMATS
from edge_retina.runtime.label_files import BUILT_IN
from edge_retina.runtime.normalization import NORMALIZATIONS
from edge_retina.workflow.opening import MOST_THREADS, TFLITE_BACKENDS

_Command = TypeVar("_Command", bound=Callable[..., Any])


def threads_option(command: _Command) -> _Command:
    """Add `--threads N`, passed as `threads`: int."""
    return click.option(
        "--threads",
        type=click.IntRange(1, MOST_THREADS),
        default=1,
        show_default=True,
        help="Threads of a .tflite model.",
    )(command)


def backend_option(command: _Command) -> _Command:
    """Add `--backend`, passed as `backend`: a key of `TFLITE_BACKENDS`."""
    return click.option(
        "--backend",
        type=click.Choice(tuple(TFLITE_BACKENDS)),
        default="xnnpack",
        show_default=True,
        help="Kernels of a .tflite model: the XNNPACK delegate, or LiteRT's own.",
    )(command)


def foreign_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for other frameworks' files, passed as `foreign`: ForeignChoices."""

    @click.option(
        "--format",
        "form",
        type=click.Choice(tuple(FORMATS)),
        help="Form of the outputs of another framework's .tflite file, if it isn't recognised.",
    )
    @click.option(
        "--labels",
        metavar="FILE|LIST",
        help=f"Its class names: a file, or {' or '.join(BUILT_IN)}.",
    )
    @click.option(
        "--normalise",
        metavar="RULE",
        help=f"Its input: {', '.join(NORMALIZATIONS)}, or MEAN,STD in pixel values.",
    )
    @click.option(
        "--resize",
        type=click.Choice(RESIZES),
        help="How images are brought to its input's size; the form decides by default.",
    )
    @click.option(
        "--anchors",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="JSON with its anchors, for box codes without any; see docs/foreign.md.",
    )
    @functools.wraps(command)
    def with_choices(
        *,
        form: str | None,
        labels: str | None,
        normalise: str | None,
        resize: str | None,
        anchors: Path | None,
        **others: Any,
    ) -> Any:
        choices = ForeignChoices(
            format=form or "",
            labels=labels or "",
            normalise=normalise or "",
            resize=resize or "",
            anchors=anchors,
        )
        return command(foreign=choices, **others)

    return with_choices
