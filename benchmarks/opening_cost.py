"""What it costs to make sure that a .tflite file doesn't crash LiteRT, before it is opened.

    python benchmarks/opening_cost.py MODEL.tflite --json benchmarks/results/opening_cost.json

A file that its manifest confirms is hashed and checked; another one is also run once in a process
of its own. Every later opening in the same command only hashes it. Processor times of this process
and its children, and times on the clock; the middle of several.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import write_json
from edge_retina.runtime import safe_opening
from edge_retina.runtime.flatbuffer_check import check_flatbuffer
from edge_retina.runtime.graph import parse_graph
from edge_retina.runtime.trial_run import try_out

_REPEATS = 7


def timed(work: object) -> dict[str, float]:
    cpu_ms, clock_ms = [], []
    for _ in range(_REPEATS):
        before, began = os.times(), time.perf_counter()
        work()  # type: ignore[operator]
        clock_ms.append(1000 * (time.perf_counter() - began))
        cpu_ms.append(1000 * (sum(os.times()[:4]) - sum(before[:4])))
    return {
        "cpu_ms": round(statistics.median(cpu_ms), 1),
        "clock_ms": round(statistics.median(clock_ms), 1),
        "fastest_clock_ms": round(min(clock_ms), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    content = options.model.read_bytes()
    macs = sum(op.macs for op in parse_graph(content, where="model").operators)

    def first(contained: bool) -> None:
        safe_opening._proven.hashes.clear()
        safe_opening._proven.contained = contained
        safe_opening.prove_file(options.model)

    rows = {
        "check of the flatbuffer": timed(lambda: check_flatbuffer(content, where="model")),
        "trial in a process of its own": timed(lambda: try_out(options.model, macs=macs)),
        "first opening, confirmed by the manifest": timed(lambda: first(True)),
        "later openings": timed(lambda: safe_opening.prove_file(options.model)),
    }
    environment = read_environment()
    print(f"{options.model.name}: {len(content)} bytes, {macs / 1e6:.0f} million MACs")
    for name, row in rows.items():
        print(f"{name:<42}{row['cpu_ms']:>9} ms cpu {row['clock_ms']:>9} ms")
    if options.json:
        document = {
            "schema_version": 1,
            "environment": vars(environment),
            "model": {"name": options.model.name, "bytes": len(content), "macs": macs},
            "repeats": _REPEATS,
            "milliseconds": rows,
        }
        write_json(options.json, document)


if __name__ == "__main__":
    main()
