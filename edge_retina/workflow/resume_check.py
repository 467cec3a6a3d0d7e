"""Proof, on the user's machine, that a killed training ends as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from edge_retina.config import Config
from edge_retina.errors import TrainingError
from edge_retina.files import sha256_file, write_text
from edge_retina.report.metrics_log import read_records
from edge_retina.run_directory import RunDirectory
from edge_retina.schema import to_plain
from edge_retina.workflow.child_process import PROGRAM, sigterm_unwinds

_POLL_SECONDS = 0.05
_LAST_MOMENT = 0.9  # of the training; not all speeds are the same
_SPEED = "images_per_second"  # the only logged figure that may differ


@dataclass(frozen=True)
class Kill:
    """One SIGKILL.

    Attributes:
        seconds: after the first checkpoint of the process.
        checkpoint: the step that the training went on from, 0 for the beginning.
        lost_seconds: of work that had to be done again.
    """

    seconds: float
    checkpoint: int
    lost_seconds: float


@dataclass(frozen=True)
class ResumeCheck:
    """What came of it.

    Attributes:
        steps: of both trainings.
        seconds: of the undisturbed training, from its first checkpoint on.
        checkpoint_seconds: asked for between two checkpoints.
        kills: in order.
        sha256: of the weights of the undisturbed training.
        sha256_killed: of those of the killed one.
        different: names of tensors with other values, and `metrics.jsonl` if it has other figures.
    """

    steps: int
    seconds: float
    checkpoint_seconds: float
    kills: tuple[Kill, ...]
    sha256: str
    sha256_killed: str
    different: tuple[str, ...]

    @property
    def is_identical(self) -> bool:
        """Whether weights and logged figures are the same."""
        return not self.different and self.sha256 == self.sha256_killed

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        tree: dict[str, Any] = to_plain(self)
        return {**tree, "identical": self.is_identical}


def verify_resume(
    config: Config,
    out: Path,
    *,
    kills: int,
    checkpoint_seconds: float,
    seed: int,
    on_kill: Callable[[Kill], None],
) -> ResumeCheck:
    """Train twice, once undisturbed and once with SIGKILL at random moments, and compare.

    Each training is a process of its own. A process that was killed is started again, up to `kills`
    times; then the training may end.

    Args:
        config: of the training; the interval of its checkpoints and TensorBoard are replaced.
        out: directory for both RUNs; must not exist or be empty.
        kills: at most; a training that ends before has fewer.
        checkpoint_seconds: between two checkpoints.
        seed: of the moments.
        on_kill: told of each.

    Raises:
        TrainingError: `out` isn't empty, or a training failed; the message is its last line.
    """
    if out.exists() and any(out.iterdir()):
        raise TrainingError(f"{out}: is not empty; give another --out")
    source = _write_config(config, out, checkpoint_seconds=checkpoint_seconds)
    whole, cut = RunDirectory(out / "undisturbed"), RunDirectory(out / "killed")
    with _training(source, whole) as process:
        begun = _first_checkpoint(process, whole)
        process.wait()
    seconds = time.time() - begun
    done: list[Kill] = []
    for after in _delays(kills, seconds, seed=seed):
        kill = _train_until(cut, source, after=after)
        if kill is None:
            break
        done.append(kill)
        on_kill(kill)
    else:
        with _training(source, cut) as process:
            process.wait()
    return ResumeCheck(
        steps=whole.details("train")["steps"],
        seconds=seconds,
        checkpoint_seconds=checkpoint_seconds,
        kills=tuple(done),
        sha256=sha256_file(whole.float_weights),
        sha256_killed=sha256_file(cut.float_weights),
        different=tuple(_differences(whole, cut)),
    )


def _delays(count: int, seconds: float, *, seed: int) -> list[float]:
    """Return the times between random moments of a training.

    Their sum is less than the training takes, and a training that is killed takes longer: it lives
    to see them all.
    """
    draws = random.Random(seed)
    moments = sorted(draws.uniform(0, _LAST_MOMENT * seconds) for _ in range(count))
    return [after - before for before, after in pairwise([0.0, *moments])]


def _write_config(config: Config, out: Path, *, checkpoint_seconds: float) -> Path:
    """Write the config of both trainings and return its path."""
    import tomli_w

    tree = config.to_dict()
    tree["data"]["path"] = str(Path(config.data.path).resolve())
    tree["train"] |= {"checkpoint_minutes": checkpoint_seconds / 60, "tensorboard": False}
    out.mkdir(parents=True, exist_ok=True)
    path = out / "config.toml"
    write_text(path, tomli_w.dumps(tree))
    return path


@contextmanager
def _training(source: Path, run: RunDirectory) -> Iterator[subprocess.Popen[bytes]]:
    """Start a training; after the block, require that it ended well or was killed by us."""
    command = [*PROGRAM, "train", source, "--out", run.root]
    with tempfile.TemporaryFile() as log, sigterm_unwinds():
        # A session of its own, so that a kill takes the processes that it started too.
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                _kill(process)
        if process.returncode not in (0, -signal.SIGKILL):
            raise TrainingError(f"the training in {run.root} failed: {_last_line(log)}")


def _train_until(run: RunDirectory, source: Path, *, after: float) -> Kill | None:
    """Train, and kill the process some seconds after its first checkpoint.

    Before that there is nothing to lose, and a process that never got so far would never end.

    Returns:
        None if the training ended before.
    """
    with _training(source, run) as process:
        begun = _first_checkpoint(process, run)
        while time.time() - begun < after and process.poll() is None:
            time.sleep(_POLL_SECONDS)
        if process.poll() is not None:
            return None
        _kill(process)
        killed = time.time()
    step, saved = _last_checkpoint(run)
    return Kill(killed - begun, step, killed - saved)


def _first_checkpoint(process: subprocess.Popen[bytes], run: RunDirectory) -> float:
    """Wait for the first checkpoint that a process writes, or for its end; return the time."""
    _, before = _last_checkpoint(run)
    while _last_checkpoint(run)[1] == before and process.poll() is None:
        time.sleep(_POLL_SECONDS)
    return time.time()


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_checkpoint(run: RunDirectory) -> tuple[int, float]:
    """Return the step and the time of the last checkpoint; zeros if there is none."""
    found = [(0, 0.0)]
    for path in run.checkpoint_dir.glob("*.index"):
        with suppress(FileNotFoundError):  # a training deletes the older ones
            found.append((int(path.stem.rpartition("-")[2]), path.stat().st_mtime))
    return max(found)


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "it said nothing")


def _differences(one: RunDirectory, other: RunDirectory) -> Iterator[str]:
    """Yield what two trainings don't have in common."""
    expected, found = (_tensors(run.float_weights) for run in (one, other))
    for name in sorted(expected.keys() | found.keys()):
        both = name in expected and name in found
        if not both or not np.array_equal(expected[name], found[name], equal_nan=True):
            yield name
    if _logged(one) != _logged(other):
        yield one.metrics_file.name


def _tensors(path: Path) -> dict[str, np.ndarray]:
    import h5py  # comes with Keras; a device has neither

    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


def _logged(run: RunDirectory) -> list[dict[str, Any]]:
    records, _ = read_records(run.metrics_file)
    return [{k: v for k, v in record.items() if k != _SPEED} for record in records]
