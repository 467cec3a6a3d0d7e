"""How far two identical files seem to differ: what the benchmark makes of the machine's noise.

    python benchmarks/identical_files.py FILE.tflite --json benchmarks/results/identical_files.json

FILE is measured against a byte-identical copy under another name, ten times over. The true ratio is
1. Asked: within 3 % of it in 9 of 10 benchmarks, also on a noisy machine.
"""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.backends import XNNPACK
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.comparison import compare_results
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.timing_plan import LEAST_SECONDS, ROUNDS, TimingPlan
from edge_retina.files import write_json

_WITHIN = 0.03


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "target", type=click.Path(path_type=Path))
@click.option("--benchmarks", default=10, show_default=True)
@click.option("--rounds", default=ROUNDS, show_default=True)
@click.option("--min-seconds", default=LEAST_SECONDS, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(
    file: Path, target: Path | None, benchmarks: int, rounds: int, min_seconds: float, threads: int
) -> None:
    """Measure, tell, count."""
    plan = TimingPlan(rounds=rounds, min_seconds=min_seconds)
    results = []
    with tempfile.TemporaryDirectory() as directory:
        copy = _copy(file, Path(directory))
        image = write_noise_image(Path(directory) / "noise.png", seed=0)
        pair = [
            dataclasses.replace(candidate, family="one")  # what is compared takes turns
            for path in (file, copy)
            for candidate in tflite_candidates(path, threads=[threads], backends=(XNNPACK,))
        ]
        for number in range(benchmarks):
            results.append(_measure(pair, image, plan))
            click.echo(f"{number + 1}: {_text(results[-1])}")
    close = sum(abs(item["ratio"] - 1) <= _WITHIN for item in results)
    click.echo(f"within {_WITHIN:.0%} of 1.0: {close} of {benchmarks}")
    if target is not None:
        document = {
            "schema_version": 1,
            "environment": dataclasses.asdict(read_environment()),
            "file": file.name,
            "plan": dataclasses.asdict(plan),
            "within_3_percent": close,
            "results": results,
        }
        write_json(target, document)


def _copy(file: Path, directory: Path) -> Path:
    """Copy a model and what is read beside it."""
    for name in ("labels.txt", "manifest.json"):
        if (file.parent / name).is_file():
            shutil.copy(file.parent / name, directory / name)
    return Path(shutil.copy(file, directory / f"copy_{file.name}"))


def _measure(pair: list[Candidate], image: Path, plan: TimingPlan) -> dict[str, Any]:
    report = run_benchmark(pair, runner=LocalRunner(), images=[image], plan=plan)
    original, copy = report.results
    ratio = compare_results(copy, original)
    middles = [result.latency_ms.rounds_ms for result in (copy, original)]
    return {
        "ratio": ratio.value,
        "low": ratio.low,
        "high": ratio.high,
        # Of all times as they are, for comparison: what one would take from the table
        "ratio_of_p50": statistics.median(copy.latency_ms.samples)
        / statistics.median(original.latency_ms.samples),
        "rounds_p50_ms": [list(values) for values in middles],
        "n": [copy.latency_ms.n, original.latency_ms.n],
        "other_load": copy.other_load,
        "warnings": sorted({item.code for result in report.results for item in result.warnings}),
    }


def _text(item: dict[str, Any]) -> str:
    load = item["other_load"]
    return (
        f"ratio {item['ratio']:.3f} ({item['low']:.3f}..{item['high']:.3f}), of the medians "
        f"{item['ratio_of_p50']:.3f}; {item['n'][0]} and {item['n'][1]} detections; other programs "
        f"on {'?' if load is None else f'{load:.1f}'} cores"
    )


if __name__ == "__main__":
    main()
