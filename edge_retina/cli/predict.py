"""`edge-retina predict`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.cli.models import backend_option, foreign_options, threads_option
from edge_retina.cli.options import STDOUT, debug_option, emit_json, json_option, out_option
from edge_retina.errors import DatasetError, EdgeRetinaError
from edge_retina.progress import show_progress
from edge_retina.runtime.foreign_settings import ForeignChoices
from edge_retina.workflow.opening import open_predictor

if TYPE_CHECKING:
    from edge_retina.evaluation.media import MediaFile
    from edge_retina.runtime.detections import Predictor


@click.command("predict")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument(
    "inputs", metavar="IMAGE|DIR|VIDEO...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@out_option("Directory for the images and videos with boxes drawn.")
@click.option(
    "--score",
    type=click.FloatRange(0, 1),
    default=0.3,
    show_default=True,
    help="Minimum score.",
)
@threads_option
@backend_option
@foreign_options
@click.option("--force", is_flag=True, help="Overwrite existing files in --out.")
@json_option
@debug_option
def command(
    model: Path,
    inputs: tuple[Path, ...],
    out: Path,
    score: float,
    threads: int,
    backend: str,
    foreign: ForeignChoices,
    force: bool,
    json_target: str | None,
) -> None:
    """Find objects in images and videos and draw them.

    MODEL is a run directory, a .tflite file or an export directory (its int8 file is used). Copies
    with boxes drawn go to --out under the same names, videos as .mp4. The .tflite file may be
    another framework's, such as a YOLO: see docs/foreign.md.

    Example: edge-retina predict runs/demo/export photos/ clip.mov --out drawn --json boxes.json

    edge-retina predict yolo11n_int8.tflite photos/ --out drawn --labels coco80
    """
    from edge_retina.evaluation.media import find_media

    media = find_media(inputs, out)
    _refuse_overwriting_inputs(media)
    if not force:
        _refuse_overwriting([item.target for item in media])
    opened = open_predictor(model, threads=threads, backend=backend, choices=foreign)
    predictions, failures = [], []
    for item in media:
        try:
            found = _annotate(opened.predictor, item, score)
        except DatasetError as error:  # of this file alone; the others may be whole
            click.echo(f"Error: {error}", err=True)
            failures.append({"path": str(item.source), "error": str(error)})
            continue
        predictions.append(found)
        if json_target != STDOUT:
            click.echo(f"{item.source}: {_summary(found)} -> {item.target}")
    document: dict[str, Any] = {"schema_version": 1, "model": str(opened.file)}
    if opened.foreign is not None:
        document["form"] = opened.foreign.summary
    emit_json({**document, "predictions": predictions, "failures": failures}, json_target)
    if failures:
        raise EdgeRetinaError(
            f"{len(failures)} of {len(media)} files could not be used; they are named above"
        )


def _annotate(predictor: Predictor, item: MediaFile, score: float) -> dict[str, Any]:
    from edge_retina.evaluation.annotation import annotate_image, annotate_video

    if not item.is_video:
        return annotate_image(predictor, item.source, item.target, score_threshold=score)
    with show_progress(item.source.name) as progress:
        return annotate_video(
            predictor, item.source, item.target, score_threshold=score, progress=progress
        )


def _refuse_overwriting_inputs(media: list[MediaFile]) -> None:
    inputs = {item.source.resolve() for item in media}
    for item in media:
        if item.target.resolve() in inputs:
            raise EdgeRetinaError(
                f"{item.target}: is one of the inputs, which are never overwritten; choose another "
                "--out"
            )


def _refuse_overwriting(targets: list[Path]) -> None:
    present = [path for path in targets if path.exists()]
    if present:
        raise EdgeRetinaError(
            f"{present[0]} already exists ({len(present)} of {len(targets)} files do); "
            "choose another --out, or pass --force to overwrite"
        )


def _summary(found: dict[str, Any]) -> str:
    if "frames" in found:
        total = sum(len(frame["detections"]) for frame in found["frames"])
        return f"{total} objects in {len(found['frames'])} frames"
    counts = Counter(item["label"] for item in found["detections"])
    return ", ".join(f"{count} {label}" for label, count in counts.most_common()) or "nothing"
