"""The teacher of a float training: checked before anything is trained, known by its content."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.errors import EdgeRetinaError, RunError
from edge_retina.files import sha256_json
from edge_retina.run_directory import RunDirectory
from edge_retina.schema import to_plain
from edge_retina.workflow.trained_weights import trained_weights_sha256

log = logging.getLogger(__name__)


def teacher_sha256(path: str, *, run: RunDirectory, labels: tuple[str, ...]) -> str:
    """Return the hash of what a teacher teaches: its weights and its anchors.

    Once `run` is trained it needs its teacher no more: if the teacher is gone, its hash is that in
    the marker of the training.

    Args:
        path: of the teacher's RUN; "" for no teacher, whose hash is "".
        run: the RUN that learns.
        labels: class names by index.

    Raises:
        RunError: the teacher isn't a trained RUN, is damaged, knows other classes, or is `run`.
    """
    if not path:
        return ""
    teacher = RunDirectory(Path(path))
    recorded: str = run.details("train").get("teacher", "")
    if recorded and not teacher.root.exists():
        log.info("train.teacher: %s is gone; it has taught already", path)
        return recorded
    try:
        if teacher.root.resolve() == run.root.resolve():
            raise RunError(f"{path} is the run that is to learn; name another one")
        weights_sha256, grid = trained_weights_sha256(teacher), _anchors(teacher)
        _require_labels(teacher, labels)
    except EdgeRetinaError as error:
        raise RunError(f"train.teacher: {error}") from None
    return sha256_json([weights_sha256, to_plain(grid)])


def _anchors(teacher: RunDirectory) -> AnchorGrid:
    grid, model = teacher.load_anchors(), teacher.load_config().model
    like = [len(shapes) for shapes in grid.shapes]
    if (
        (grid.image_hw, grid.levels) != (model.image_hw, model.levels)
        or len(set(like)) != 1
        or not like[0]
    ):
        raise RunError(
            f"{teacher.anchors_file}: does not fit config.toml (input size {list(grid.image_hw)}, "
            f"{like} shapes by level from {grid.min_level} on); train the teacher again"
        )
    return grid


def _require_labels(teacher: RunDirectory, labels: tuple[str, ...]) -> None:
    known = teacher.load_labels()
    if known != labels:
        raise RunError(
            f"{teacher.root} knows the classes {', '.join(known)}, the data set has "
            f"{', '.join(labels)}; a teacher needs the same classes in the same order"
        )
