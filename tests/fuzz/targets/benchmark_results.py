"""The JSON document of `benchmark`, for `report` and `--baseline`."""

from __future__ import annotations

import zlib
from pathlib import Path

from edge_retina.benchmark.baseline import Baseline
from edge_retina.benchmark.environment import read_environment
from edge_retina.errors import EdgeRetinaError
from edge_retina.report.benchmark_document import read_benchmark
from edge_retina.report.benchmark_page import benchmark_markdown, render_benchmark_page
from tests.fuzz.target import Target

_DRAWN = 10  # one page of so many is drawn, chosen by its content: charts take long


def check(content: bytes, name: str, directory: Path) -> None:
    """Make the pages, and compare with it."""
    path = directory / name
    path.write_bytes(content)
    refusals = []
    try:
        baseline = Baseline.load(path)
        baseline.check(read_environment(), device="local", scenario=baseline.scenario)
    except EdgeRetinaError as error:
        refusals.append(error)
    try:
        document = read_benchmark(path)
        benchmark_markdown(document)
        if zlib.crc32(content) % _DRAWN == 0:
            render_benchmark_page(document)
    except EdgeRetinaError as error:
        refusals.append(error)
    if refusals:
        raise max(refusals, key=lambda error: len(str(error)))


TARGET = Target("benchmark_results", check, share=0.5)
