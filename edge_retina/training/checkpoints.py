"""Checkpoints of a training: the last two, so that a damaged one doesn't cost everything."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from edge_retina.errors import RunError, first_line
from edge_retina.model.keras import tf

log = logging.getLogger(__name__)

KEPT = 2
# What TensorFlow raises for a full or read-only disk, a limit of file sizes, or a directory that
# is gone.
_UNWRITABLE = (
    tf.errors.ResourceExhaustedError,
    tf.errors.OutOfRangeError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
)
# What TensorFlow raises for a missing, cut or altered file, another network, another state.
_UNREADABLE = (
    *(tf.errors.OpError, AssertionError, LookupError, RuntimeError, ValueError, TypeError),
    *(OverflowError, MemoryError, OSError, AttributeError),
)


class Checkpoints:
    """Saves and restores models, optimizers and states in a directory of its own."""

    def __init__(self, directory: Path, *, writes: bool = True, **objects: Any) -> None:
        """Take the parts of a checkpoint.

        Args:
            directory: of nothing else.
            writes: if false, `save` leaves nothing behind. The processes of a cluster have to save
                together, because some variables are read from all of them, but one of them writes.
            objects: what a checkpoint consists of, by name.
        """
        self._directory, self._writes = directory, writes
        self._checkpoint = tf.train.Checkpoint(**objects)

    def save(self, step: int) -> None:
        """Write a checkpoint, whole or not at all; all but the last two are deleted.

        Raises:
            RunError: it can't be written, because the disk is full, say. Those before are whole.
        """
        if not self._writes:
            with tempfile.TemporaryDirectory() as temporary:
                self._checkpoint.write(str(Path(temporary) / f"step-{step}"))
            return
        try:
            self._write(step)
        except (*_UNWRITABLE, OSError) as error:
            kept = self._stored()
            rest = f"goes on from {kept[0]}" if kept else "starts again"
            raise RunError(
                f"{self._directory}: the checkpoint of step {step} can't be written "
                f"({_why(error)}); make room there, and the same command {rest}"
            ) from None
        self._delete_all_but(self._stored()[:KEPT])

    def _write(self, step: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._directory) as temporary:
            self._checkpoint.write(str(Path(temporary) / f"step-{step}"))
            # Last the index, by which a checkpoint is found; TensorFlow itself writes it in place.
            for path in sorted(Path(temporary).iterdir(), key=lambda path: path.suffix == ".index"):
                path.replace(self._directory / path.name)

    def restore(self) -> bool:
        """Restore the last checkpoint that can be read, and say whether there was one.

        One that can't be read is deleted, with a warning, once an earlier one was restored.

        Raises:
            RunError: there are checkpoints, but none can be read.
        """
        stored, problems = self._stored(), []
        for number, name in enumerate(stored):
            problem = self._read(name)
            if not problem:
                if self._writes:
                    self._delete_all_but(stored[number:])
                return True
            problems.append(f"{name} can't be read ({problem})")
            log.warning("checkpoint %s; trying the one before", problems[-1])
        if problems:
            raise RunError(
                f"{self._directory}: {'; '.join(problems)}; delete the directory to train from the "
                "start"
            )
        return False

    def _read(self, name: str) -> str:
        """Restore a checkpoint; return what is wrong with it, "" if nothing is."""
        try:
            status = self._checkpoint.read(str(self._directory / name))
            status.assert_existing_objects_matched()
        except _UNREADABLE as error:
            return first_line(error)
        return ""

    def _stored(self) -> list[str]:
        """Return the names of the checkpoints, the last one first."""
        found = [re.fullmatch(r"(\w+-(\d+))\.index", path.name) for path in self._paths()]
        names = {match[1]: int(match[2]) for match in found if match}
        return sorted(names, key=names.__getitem__, reverse=True)

    def _delete_all_but(self, kept: list[str]) -> None:
        for path in self._paths():
            if path.name.split(".")[0] in kept:
                continue
            if path.is_dir():  # left by a process that was killed while it wrote
                shutil.rmtree(path)
            else:
                path.unlink()

    def _paths(self) -> list[Path]:
        return sorted(self._directory.iterdir()) if self._directory.is_dir() else []


def _why(error: Exception) -> str:
    """Return the reason alone; TensorFlow's messages have the names of files and nodes too."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error).partition(" [Op:")[0].rpartition("; ")[2]
