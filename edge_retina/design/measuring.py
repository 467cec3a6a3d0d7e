"""Fills the op table of a device, and times whole files on it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.benchmark.candidate import Candidate, family_of
from edge_retina.benchmark.operator import Operator
from edge_retina.benchmark.operator_timing import time_operators
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.runner import Runner
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.design.frame import Frame
from edge_retina.design.op_table import OpTable
from edge_retina.files import write_bytes

_BATCH = 150  # operators in one process: each batch is saved, and memory is given back
_PLAN = TimingPlan(rounds=3, runs=30)  # of a whole file
# Of the warnings of a benchmark. "busy" is not among them: exporting makes the machine so
_TOLD = ("noisy", "oversubscribed", "fallback")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """A device, ready to time operators and files.

    Attributes:
        runner: the device.
        backend: a key of `ALL_BACKENDS`.
        threads: of the interpreter.
        image: that is timed with.
        scratch: a directory for files that are not kept.
        table_file: where the op table is saved after each step.
        tell: told what comes next.
    """

    runner: Runner
    backend: str
    threads: int
    image: Path
    scratch: Path
    table_file: Path
    tell: Tell

    def with_operators(self, table: OpTable, operators: Sequence[Operator]) -> OpTable:
        """Return the table with the times of some operators; those that it has stay as they are.

        Raises:
            BenchmarkError: the device failed; what was timed before is saved.
        """
        missing = table.missing(operators)
        for first in range(0, len(missing), _BATCH):
            self.tell(f"op table: {first} of {len(missing)} layers timed")
            times_ms = time_operators(
                missing[first : first + _BATCH],
                runner=self.runner,
                backend=self.backend,
                threads=self.threads,
                image=self.image,
                scratch=self.scratch,
            )
            table = table.with_operators(times_ms)
            table.save(self.table_file)
        return table

    def with_frames(self, table: OpTable, files: Mapping[Frame, Callable[[], bytes]]) -> OpTable:
        """Return the table with the times of some frames.

        Args:
            table: those that it has stay as they are.
            files: what makes the file of each.

        Raises:
            BenchmarkError: the device failed; what was timed before is saved.
        """
        for frame, make in files.items():
            if frame in table.frames:
                continue
            self.tell(f"frame of {frame.height}x{frame.width} px, {frame.anchors} anchors")
            path = self.scratch / "frame_int8.tflite"
            write_bytes(path, make())
            table = table.with_frames({frame: self.file_ms(path)})
            table.save(self.table_file)
        return table

    def file_ms(self, path: Path) -> float:
        """Return the median time of a whole detection with a file, as `benchmark` measures it.

        Raises:
            BenchmarkError: the device failed.
        """
        candidate = Candidate(
            path, file=path, family=family_of(path), backend=self.backend, threads=self.threads
        )
        report = run_benchmark([candidate], runner=self.runner, images=[self.image], plan=_PLAN)
        for warning in report.results[0].warnings:
            if warning.code in _TOLD:
                self.tell(f"warning: {warning.text}")
        # The round of the middle: another program that steals one round is not in it
        return statistics.median(report.results[0].latency_ms.rounds_ms)
