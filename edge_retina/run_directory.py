"""The directory of one training run: its paths, and which stages are done.

Each stage has a marker file, the last file that it writes. `workflow.stage` explains what is in it
and when a stage counts as done.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config, load_config
from edge_retina.errors import RunError
from edge_retina.files import load_json, read_small_file, sha256_file, write_json, write_text
from edge_retina.schema import Reader, to_plain

# Of the files of a RUN, in the marker of its first stage; RUNs from before there was one have none.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunDirectory:
    """Paths and stage markers of a RUN."""

    root: Path

    @property
    def config_file(self) -> Path:
        """The resolved config."""
        return self.root / "config.toml"

    @property
    def labels_file(self) -> Path:
        """Class names, one per line."""
        return self.root / "labels.txt"

    @property
    def anchors_file(self) -> Path:
        """The anchors that the model was trained with."""
        return self.root / "anchors.json"

    @property
    def float_weights(self) -> Path:
        """The best (EMA) weights of the float training model."""
        return self.root / "float" / "best.h5"

    @property
    def checkpoint_dir(self) -> Path:
        """Everything needed to resume an interrupted training."""
        return self.root / "float" / "checkpoint"

    @property
    def metrics_file(self) -> Path:
        """One JSON object per line: losses by step, mAP by evaluation."""
        return self.root / "metrics.jsonl"

    @property
    def tensorboard_dir(self) -> Path:
        """TensorBoard event files."""
        return self.root / "tensorboard"

    def quantized_dir(self, method: str) -> Path:
        """Weights and ranges of the int8-ready model, by method ("ptq" or "qat")."""
        return self.root / method

    @property
    def export_dir(self) -> Path:
        """The export directory that `edge-retina run` writes."""
        return self.root / "export"

    @property
    def report_file(self) -> Path:
        """The HTML report."""
        return self.root / "report.html"

    @property
    def rate_range_file(self) -> Path:
        """The loss by learning rate, if it was measured before the training."""
        return self.root / "evidence" / "rate_range.json"

    def results_file(self, name: str) -> Path:
        """JSON results of a stage, e.g. `evaluate` or `benchmark`."""
        return self.root / "results" / f"{name}.json"

    def marker(self, stage: str) -> Path:
        """The file whose presence says that a stage is done."""
        return self.root / "stages" / f"{stage}.json"

    def details(self, stage: str) -> dict[str, Any]:
        """Return the contents of a stage's marker; empty if the stage is not done."""
        path = self.marker(stage)
        try:
            details = load_json(path)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise RunError(f"{path}: damaged ({error}); delete it to redo the stage") from None
        if not isinstance(details, dict):
            raise RunError(f"{path}: damaged (not an object); delete it to redo the stage")
        return details

    def mark_done(self, stage: str, details: dict[str, Any]) -> None:
        """Write the marker of a stage."""
        write_json(self.marker(stage), details)

    def mark_undone(self, stage: str) -> None:
        """Delete the marker of a stage before the stage is redone."""
        self.marker(stage).unlink(missing_ok=True)

    @property
    def is_begun(self) -> bool:
        """Whether there is anything trained in it; if not, nothing is lost by other settings."""
        return self.float_weights.exists() or any(self.checkpoint_dir.glob("*"))

    def require_directory(self) -> None:
        """Refuse a path that no directory can have, before any work is done for it.

        Raises:
            NotADirectoryError: the path, or one that leads to it, is that of a file.
        """
        for path in (self.root, *self.root.parents):
            if path.is_dir():
                return
            if path.exists():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))

    def save_config(self, config: Config) -> None:
        """Write the resolved config."""
        import tomli_w  # not needed on a device

        write_text(self.config_file, tomli_w.dumps(config.to_dict()))

    def load_config(self, *, overrides: Sequence[str] = ()) -> Config:
        """Read the resolved config, with `section.field=value` overrides applied.

        Raises:
            RunError: the directory is not a RUN, or one of another schema version.
            ConfigError: an override with an unknown field or an invalid value.
        """
        if not self.config_file.is_file():
            raise RunError(
                f"{self.root}: not a run directory (no config.toml); "
                "create one with 'edge-retina train'"
            )
        self._require_known_version()
        return load_config(self.config_file, overrides=overrides, resolved=True)

    def _require_known_version(self) -> None:
        version = self.details("prepare").get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise RunError(
                f"{self.root}: schema_version of the run directory is {version!r}, expected "
                f"{SCHEMA_VERSION}; use the edge-retina that made it, or train in another directory"
            )

    def save_anchors(self, grid: AnchorGrid) -> None:
        """Write the anchors."""
        write_json(self.anchors_file, to_plain(grid))

    def load_anchors(self) -> AnchorGrid:
        """Read the anchors.

        Raises:
            RunError: there are none, or the file is damaged.
        """
        path = self.anchors_file
        try:
            tree = load_json(path)
        except FileNotFoundError:
            return self._configured_anchors()
        except ValueError as error:
            raise RunError(f"{path}: damaged ({error}); train again in a new directory") from None
        grid = Reader(str(path), RunError).read(AnchorGrid, tree)
        if problem := grid.problem():
            raise RunError(f"{path}: damaged ({problem}); train again in a new directory")
        return grid

    def _configured_anchors(self) -> AnchorGrid:
        """Return the anchors of a RUN made before 0.2, which kept them in the config."""
        config = self.load_config()
        if not config.anchors.shapes:
            raise RunError(f"{self.root}: no anchors.json; train first with 'edge-retina train'")
        return AnchorGrid(config.model.image_hw, config.model.min_level, config.anchors.shapes)

    def save_labels(self, labels: tuple[str, ...]) -> None:
        """Write the class names."""
        write_text(self.labels_file, "".join(f"{label}\n" for label in labels))

    def load_labels(self) -> tuple[str, ...]:
        """Read the class names."""
        if not self.labels_file.is_file():
            raise RunError(f"{self.root}: no labels.txt; train first with 'edge-retina train'")
        try:
            return tuple(read_small_file(self.labels_file).decode("utf-8").splitlines())
        except ValueError as error:
            raise RunError(
                f"{self.labels_file}: damaged ({error}); expected one class name a line"
            ) from None

    def require(self, path: Path, made_by: str) -> Path:
        """Return `path` if it exists; otherwise the error names the command that makes it.

        Raises:
            RunError: it does not exist.
        """
        if not path.exists():
            raise RunError(
                f"{self.root}: {path.relative_to(self.root)} is missing; "
                f"run 'edge-retina {made_by}' first"
            )
        return path

    def require_unchanged(self, path: Path, *, stage: str, made_by: str) -> Path:
        """Return a file that a stage made, if it is still what the stage's marker says.

        A file of a stage that is not done, or was done by a version that kept no hashes, is taken
        as it is.

        Raises:
            RunError: it does not exist, or it was damaged or replaced.
        """
        self.require(path, made_by)
        outputs = self.details(stage).get("outputs")
        known = outputs if isinstance(outputs, dict) else {}
        expected = known.get(str(path.relative_to(self.root)))
        if expected and sha256_file(path) != expected:
            raise RunError(
                f"{path}: damaged or replaced (not what 'edge-retina {made_by}' wrote); "
                "restore it, or make it again with that command"
            )
        return path
