"""What the benchmark adds to the interpreter's own `invoke`, measured in one process.

    python benchmarks/harness_overhead.py FILE.tflite --json benchmarks/results/overhead.json

The inference stage of a detection sets the input, invokes, and copies the outputs. It alternates
with a bare `invoke` whose input is already set, in the order A B B A. Asked: at most 2 % more.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.session import timed
from edge_retina.files import write_json
from edge_retina.runtime.detector import TFLiteDetector

_ALLOWED = 0.02
_WARMUP = 20
_HW = (480, 640)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "target", type=click.Path(path_type=Path))
@click.option("--pairs", default=1000, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(file: Path, target: Path | None, pairs: int, threads: int) -> None:
    """Measure and tell."""
    result = measure_overhead(file, pairs=pairs, threads=threads)
    click.echo(
        f"bare invoke {result['bare_ms']:.3f} ms, stage {result['stage_ms']:.3f} ms; more by "
        f"{result['overhead']:.2%} ({result['low']:.2%}..{result['high']:.2%}), "
        f"{_ALLOWED:.0%} allowed"
    )
    if target is not None:
        environment = dataclasses.asdict(read_environment())
        document = {"schema_version": 1, "environment": environment, "file": file.name, **result}
        write_json(target, document)


def measure_overhead(file: Path, *, pairs: int, threads: int = 1) -> dict[str, Any]:
    """Return the middles of both, and by what fraction the stage takes longer.

    The difference within a pair is what counts: a noisy machine slows both down. Its median's 95 %
    interval is a bootstrap over the pairs.
    """
    detector = TFLiteDetector(file, num_threads=threads)
    image = np.random.default_rng(0).integers(0, 256, (*_HW, 3), np.uint8)
    bare, stage = np.empty(pairs), np.empty(pairs)
    for number in range(-_WARMUP, pairs):
        if number % 2:
            inference_ms, invoke_ms = timed(detector, image)[1], _bare_ms(detector)
        else:
            invoke_ms, inference_ms = _bare_ms(detector), timed(detector, image)[1]
        if number >= 0:
            bare[number], stage[number] = invoke_ms, inference_ms
    invoke_ms = float(np.median(bare))
    more = (stage - bare) / invoke_ms
    drawn = np.random.default_rng(0).integers(0, pairs, (1000, pairs))
    low, high = np.percentile(np.median(more[drawn], axis=1), (2.5, 97.5))
    return {
        "threads": threads,
        "pairs": pairs,
        "bare_ms": invoke_ms,
        "stage_ms": float(np.median(stage)),
        "overhead": float(np.median(more)),
        "low": float(low),
        "high": float(high),
    }


def _bare_ms(detector: TFLiteDetector) -> float:
    interpreter = detector._interpreter  # the one that the stage invokes
    start = time.perf_counter_ns()
    interpreter.invoke()
    return (time.perf_counter_ns() - start) / 1e6


if __name__ == "__main__":
    main()
