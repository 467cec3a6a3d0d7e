"""Time and memory of `doctor RUN` for small and large data sets.

    python benchmarks/doctor_cost.py --json benchmarks/results/doctor_cost.json

Asked: under 60 s for 100 images, and bounded memory at 5,000. The images are generated; a fifth of
them are for validation. The detectors are trained for a few steps only: what they find is poor, but
costs the same. Each RUN is examined by a fresh process, with its page; peak memory is that of the
whole process.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from ablation import run_command

from edge_retina.benchmark.environment import read_environment
from edge_retina.datasets.generated import generate_dataset
from edge_retina.files import write_json

_SIZES = (100, 5000)
_STEPS = 60


@click.command()
@click.option("--images", default=",".join(map(str, _SIZES)), show_default=True)
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(images: str, target: Path | None) -> None:
    """Generate, train, examine, tell."""
    results = {}
    for count in map(int, images.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            results[str(count)] = _measure(Path(directory), count)
        click.echo(f"{count} images: {results[str(count)]}")
    if target is not None:
        environment = dataclasses.asdict(read_environment())
        write_json(target, {"schema_version": 1, "environment": environment, "results": results})


def _measure(directory: Path, count: int) -> dict[str, Any]:
    data, run = directory / "data", directory / "run"
    val = count // 5
    generate_dataset(data, images={"train": count - val, "val": val, "test": 1})
    config = directory / "config.toml"
    config.write_text(
        f'[data]\npath = "{data}"\n[model]\nimage_size = 256\nbackbone_width = 0.35\n'
        f'pretrained = "none"\n[train]\nsteps = {_STEPS}\nplain_steps = 0\n',
        encoding="utf-8",
    )
    run_command("train", config, "--out", run)
    page = directory / "doctor.html"
    command = [
        sys.executable,
        "-m",
        "edge_retina.cli.main",
        "doctor",
        str(run),
        "--html",
        str(page),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise click.ClickException(f"doctor ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
        "page_mb": round(page.stat().st_size / 1e6, 2),
    }


if __name__ == "__main__":
    main()
