"""Fuzz the parsers: `python -m tests.fuzz.run [TARGET ...]`; `make fuzz` calls it.

Each target gets its corpus and then mutations of it, the same for the same seed. Files of new
findings are put into the corpus as `found-HASH-NAME`, so that they are tested from then on. The
exit code is 1 if there was any finding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tests.fuzz.one_thread  # noqa: F401 - before numpy and OpenCV are imported
from tests.fuzz.engine import Engine, Finding
from tests.fuzz.target import CORPUS, FOUND, Target
from tests.fuzz.targets.table import TARGETS

_SLICE = 50  # cases between two looks at the clock
_TENSORFLOW_SLICE = 500  # each copy imports TensorFlow, which takes seconds


def _seconds() -> float:
    """Return the processor time of this process and of the copies that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def fuzz(
    engine: Engine, target: Target, *, seed: int, first: int, cases: int, seconds: float
) -> tuple[int, list[Finding]]:
    """Run up to so many cases for up to so many seconds of processor time.

    Returns:
        How many cases were run, and what broke a rule.
    """
    began, done, found = _seconds(), 0, []
    while done < cases and _seconds() - began < seconds:
        count = min(_TENSORFLOW_SLICE if target.tensorflow else _SLICE, cases - done)
        found += engine.run(target, seed=seed, first=first + done, count=count)
        done += count
    return done, found


def keep(target: Target, seed: int, found: Sequence[Finding]) -> list[Path]:
    """Put the files of findings into the corpus."""
    # First all contents: cases are mutations of the corpus, and others once there is a file more.
    cases = [target.case(seed, finding.case) for finding in found]
    paths = []
    for name, content in cases:
        digest = hashlib.sha256(content).hexdigest()[:8]
        paths.append(CORPUS / target.name / f"{FOUND}{digest}-{name}")
        paths[-1].write_bytes(content)
    return paths


def merge(path: Path, rows: list[dict[str, Any]]) -> None:
    """Add cases, findings and seconds to those that a file has of earlier runs."""
    known = json.loads(path.read_text())["targets"] if path.exists() else []
    by_name = {row["target"]: row for row in known}
    for row in rows:
        before = by_name.get(row["target"], {})
        sums = {key: before.get(key, 0) + row[key] for key in ("cases", "findings", "seconds")}
        by_name[row["target"]] = {**row, **sums, "seconds": round(sums["seconds"], 1)}
    ordered = [by_name[name] for name in TARGETS if name in by_name]
    document = {"schema_version": 1, "command": "make fuzz", "targets": ordered}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=2) + "\n")
    temporary.replace(path)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=float, default=60, help="processor time of each target")
    parser.add_argument("--cases", type=int, default=10**9, help="the most of each target")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the counts to this file")
    parser.add_argument("--all", action="store_true", help="those that import TensorFlow too")
    parser.add_argument("--keep", action="store_true", help="put findings into the corpus")
    found = parser.parse_args(arguments)
    for name in found.targets:
        if name not in TARGETS:
            parser.error(f"no target '{name}'; known are {', '.join(TARGETS)}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Fuzz, print a table, and return the exit code."""
    options = parse(arguments)
    any_found = False
    print(f"{'target':<20}{'cases':>8}{'findings':>10}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(Path(directory))
        chosen = [name for name, target in TARGETS.items() if options.all or not target.tensorflow]
        for name in options.targets or chosen:
            target = TARGETS[name]
            began = _seconds()
            cases = max(int(options.cases * target.share), len(target.files()))
            done, found = fuzz(
                engine,
                target,
                seed=options.seed,
                first=options.first,
                cases=cases,
                seconds=options.seconds,
            )
            seconds = _seconds() - began
            print(f"{name:<20}{done:>8}{len(found):>10}{seconds:>9.1f}", flush=True)
            kept = keep(target, options.seed, found) if options.keep else []
            any_found = any_found or bool(found)
            for number, finding in enumerate(found):
                where = f" ({kept[number]})" if kept else ""
                print(f"    case {finding.case}: {finding.what}{where}", flush=True)
            if options.json:
                row = {"target": name, "cases": done, "findings": len(found), "seconds": seconds}
                merge(options.json, [row])
    return int(any_found)


if __name__ == "__main__":
    sys.exit(main())
