"""Kill a whole `run` with SIGKILL at random moments, start it again, and compare what comes out.

    nice -n 12 python benchmarks/kill_table.py --json benchmarks/results/kill_table.json

Each chain is one RUN on a few generated pictures. It is killed once in every stage, at a random
moment of the time that the stage took in an undisturbed run, and started again each time. Chains
are added until there are enough kills. Only the main process is killed, as the system does when
memory runs out. In the end every file of the last process must be byte for byte that of the
undisturbed run: weights, quantised states, .tflite files, labels and anchors.

The measurement goes on where it was interrupted: finished chains are read from the result file.
"""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.datasets.generated import generate_dataset
from edge_retina.files import load_json, sha256_file, write_json

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    "small": "tests.faults.small_run",
    "mobilenet_v2": "edge_retina.cli.main",
    "stand-in": "tests.faults.stand_in_run",
}
PREPARE = "prepare"
STAGES = (
    "train",
    "quantize-ptq",
    "quantize-qat",
    "export",
    "export-ptq",
    "evaluate",
    "benchmark",
    "report",
)
SETTINGS = (
    "name=tiny",
    "model.backbone_width=0.35",
    "model.pretrained=none",
    "model.image_size=64",
    "model.max_level=5",
    "model.fpn_channels=16",
    "model.head_depth=1",
    "anchors.per_cell=1",
    "train.steps=60",
    "train.batch_size=4",
    "train.warmup_steps=5",
    "train.learning_rate=0.003",
    "train.ema_decay=0.9",
    "train.eval_every_epochs=5",
    "train.probe_images=0",
    "train.tensorboard=false",
    "quantize.steps=10",
)
IMAGES = {"train": 8, "val": 4, "test": 4}
_MARK = "EDGE_RETINA_KILL_TABLE"  # in the environment of a process and of those it starts
_COMMAND = "python benchmarks/kill_table.py"
_POLL_S = 0.1
_TIMEOUT_S = 3600
_ORPHAN_S = 10  # that a worker has to end after its parent


@dataclasses.dataclass(frozen=True)
class Kill:
    """A row of the table.

    Attributes:
        run: number of the chain.
        stage: in which the process was.
        moment_s: since the start of the process.
        stage_s: since the start of the stage in this process.
        leftovers: temporary files and directories that it left.
        workers: processes that it had started and that lived on after ten seconds.
        result: what the next process did: "finished", or "went on to be killed in STAGE".
        identical: whether the files of the chain's end are those of the undisturbed run.
    """

    run: int
    stage: str
    moment_s: float
    stage_s: float
    leftovers: int
    workers: int
    result: str = ""
    identical: bool = False


class Program:
    """A `run` in a process of its own, and what it says of its stages."""

    def __init__(
        self,
        out: Path,
        data: Path,
        *,
        settings: Sequence[str] = SETTINGS,
        module: str = MODULES["small"],
        log_to: Path | None = None,
    ) -> None:
        """Start it; its log goes beside the RUN unless `log_to` is another directory."""
        self.log = (log_to or out.parent) / f"{out.name}.log"
        config = self.log.with_name("config.toml")
        config.touch()  # all settings are options
        self._mark = f"{time.time_ns()}"
        options = [f'data.path="{data}"', *settings]
        # A file, not a pipe: what it says must not depend on who reads
        with open(self.log, "wb") as stream:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", module, "run", str(config), "--out", str(out)),
                    *(part for option in options for part in ("--set", option)),
                ],
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env={**os.environ, "PYTHONPATH": str(ROOT), _MARK: self._mark},
            )
        self.started = time.monotonic()

    def stages(self) -> list[str]:
        """Return the stages begun so far; those that were done before are none."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        parts = [line.split() for line in lines if line.endswith(": started")]
        return [PREPARE, *(part[-2].rstrip(":") for part in parts)]

    def kill(self) -> None:
        """Send SIGKILL to the process alone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def wait(self) -> int:
        """Return its exit code."""
        return self.process.wait(_TIMEOUT_S)

    def orphans(self) -> list[int]:
        """Return what it started and what lives on after `_ORPHAN_S`."""
        deadline = time.monotonic() + _ORPHAN_S
        while (found := list(_marked(self._mark))) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return found


def _marked(mark: str) -> Iterator[int]:
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            variables = (directory / "environ").read_bytes().split(b"\0")
            if f"{_MARK}={mark}".encode() in variables:
                yield int(directory.name)


def results_of(run: Path) -> dict[str, str]:
    """Return the hash of every file of a RUN that must come out the same."""
    patterns = ("float/best.h5", "ptq/weights.npz", "qat/weights.npz", "**/*.tflite")
    paths = {path for pattern in patterns for path in run.glob(pattern)}
    paths |= {run / "labels.txt", run / "anchors.json"}
    return {path.relative_to(run).as_posix(): sha256_file(path) for path in sorted(paths)}


def leftovers(run: Path) -> list[str]:
    """Return what begins with a dot in a RUN: only temporary files do, and the lock."""
    if not run.exists():
        return []
    found = (path.relative_to(run).as_posix() for path in run.rglob(".*"))
    return sorted(name for name in found if name != ".lock")


def undisturbed(out: Path, start: Callable[[Path], Program]) -> dict[str, float]:
    """Make a RUN without any kill; return the seconds of each stage in order."""
    program = start(out)
    times = {PREPARE: 0.0}
    while program.process.poll() is None:
        for stage in program.stages():
            times.setdefault(stage, time.monotonic() - program.started)
        time.sleep(_POLL_S)
    _require_success(program)
    ends = [*times.values(), time.monotonic() - program.started][1:]
    return {stage: end - times[stage] for stage, end in zip(times, ends, strict=True)}


def chain(
    out: Path,
    start: Callable[[Path], Program],
    moments: Iterable[tuple[str, float]],
    *,
    number: int,
    expected: dict[str, str],
) -> list[Kill]:
    """Kill a RUN at each of the moments, finish it, and compare its files.

    Args:
        out: the RUN.
        start: starts or goes on with it.
        moments: a stage and the seconds after its beginning, in the order of the stages. If the
            RUN is finished before one, that and the rest are left out.
        number: of the chain.
        expected: `results_of` the undisturbed RUN.
    """
    kills: list[Kill] = []
    program = start(out)
    for stage, after_s in moments:
        begun = _wait_for(program, stage)
        while time.monotonic() < begun + after_s and program.process.poll() is None:
            time.sleep(_POLL_S)
        if program.process.poll() is not None:
            break
        stages = program.stages()
        now = time.monotonic()
        program.kill()
        if kills:
            kills[-1] = dataclasses.replace(kills[-1], result=f"went on, killed in {stages[-1]}")
        kills.append(
            Kill(
                run=number,
                stage=stages[-1],
                moment_s=round(now - program.started, 2),
                stage_s=round(now - begun, 2),
                leftovers=len(leftovers(out)),
                workers=len(program.orphans()),
            )
        )
        program = start(out)
    _require_success(program)
    identical = results_of(out) == expected and not leftovers(out)
    if kills:
        kills[-1] = dataclasses.replace(kills[-1], result="finished")
    return [dataclasses.replace(kill, identical=identical) for kill in kills]


def _wait_for(program: Program, stage: str) -> float:
    """Wait until a stage or one behind it has begun, or the program's end; return the time."""
    order = (PREPARE, *STAGES)
    while program.process.poll() is None:
        begun = program.stages()[-1]
        if order.index(begun) >= order.index(stage):
            break
        time.sleep(_POLL_S)
    return program.started if stage == PREPARE else time.monotonic()


def _require_success(program: Program) -> None:
    if program.wait() != 0:
        log = program.log.read_text(encoding="utf-8", errors="replace")
        raise click.ClickException(f"a run that should have finished did not:\n{log[-2000:]}")


def draw_moments(
    seconds: dict[str, float], *, seed: str, most: int = len(STAGES) + 1
) -> list[tuple[str, float]]:
    """Return a random moment of each stage's time, the same for the same seed.

    Args:
        seconds: of each stage, in order.
        seed: of the draws.
        most: if there are more stages, some are drawn.
    """
    draws = random.Random(seed)
    moments = [(stage, draws.uniform(0, length)) for stage, length in seconds.items()]
    chosen = sorted(draws.sample(range(len(moments)), min(most, len(moments))))
    return [moments[place] for place in chosen]


@contextmanager
def _directory(path: Path | None) -> Iterator[Path]:
    if path is not None:
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="kill-table-") as temporary:
        yield Path(temporary)


@click.command()
@click.option("--kills", default=30, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--network", type=click.Choice(list(MODULES)), default="small", show_default=True)
@click.option("--work", type=click.Path(path_type=Path), help="Kept; else a temporary directory.")
@click.option("--json", "target", required=True, type=click.Path(path_type=Path))
def main(kills: int, seed: int, network: str, work: Path | None, target: Path) -> None:
    """Measure, tell, and end with 1 if a kill cost anything."""
    document = load_json(target) if target.exists() else {}
    rows = list(document.get("kills", []))
    if document.get("network", network) != network:
        raise click.ClickException(f"{target}: is of another network; give another --json")
    with _directory(work) as directory:
        data = directory / "data"
        if not data.exists():
            generate_dataset(data, images=IMAGES, image_hw=(96, 128))

        def start(out: Path) -> Program:
            return Program(out, data, module=MODULES[network])

        if not document:
            document = {"network": network, **_begin(directory, start)}
            document["command"] = f"{_COMMAND} --network {network} --json {target.name}"
            write_json(target, document)
        while len(rows) < kills:
            number = 1 + max((row["run"] for row in rows), default=0)
            out = directory / f"run{number}"
            shutil.rmtree(out, ignore_errors=True)
            moments = draw_moments(
                document["stage_seconds"], seed=f"{seed}:{number}", most=kills - len(rows)
            )
            found = chain(out, start, moments, number=number, expected=document["sha256"])
            rows += [dataclasses.asdict(kill) for kill in found]
            write_json(target, {**document, "kills": rows, "summary": summary(rows)})
            for kill in found:
                click.echo(f"run {kill.run}, {kill.stage}: {kill.result}, same: {kill.identical}")
    if not all(row["identical"] and not row["workers"] for row in rows):
        raise click.ClickException("a kill changed the result or left a process behind")


def _begin(directory: Path, start: Callable[[Path], Program]) -> dict[str, Any]:
    """Make the undisturbed RUN; return the document without kills."""
    out = directory / "undisturbed"
    shutil.rmtree(out, ignore_errors=True)
    seconds = undisturbed(out, start)
    return {
        "schema_version": 1,
        "environment": dataclasses.asdict(read_environment()),
        "settings": list(SETTINGS),
        "images": IMAGES,
        "stage_seconds": {stage: round(length, 2) for stage, length in seconds.items()},
        "sha256": results_of(out),
    }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """Count kills, and those after which everything was the same and nothing was left."""
    return {
        "kills": len(rows),
        "identical": sum(row["identical"] for row in rows),
        "workers_left": sum(row["workers"] for row in rows),
    }


if __name__ == "__main__":
    main()
