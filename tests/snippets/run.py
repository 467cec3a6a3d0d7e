"""Run the snippets of the pages outside of pytest; write how many there are and how long it took.

`python -m tests.snippets.run` runs the fast ones, `--slow` also those that train. It goes on after
a failure, names all of them at the end, and then writes nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import write_json
from tests.snippets.blocks import ROOT, Snippet, iterate_snippets
from tests.snippets.running import Part, is_run, listed_parts, run_snippet, wall_s
from tests.snippets.world import copy_world, make_world
from tests.snippets.world_slow import add_runs

RESULT = ROOT / "benchmarks" / "results" / "snippets.json"


def run_all(snippets: list[Snippet], scratch: Path, *, slow: bool) -> tuple[list[Part], list[str]]:
    """Run what can be run; return every part, and a line for each failure."""
    world = make_world(scratch / "world")
    if slow:
        add_runs(world)
    parts, failures = [], []
    for number, snippet in enumerate(snippets):
        chosen = is_run(snippet, slow=False) or (slow and is_run(snippet, slow=True))
        if not chosen:
            parts += listed_parts(snippet)
            continue
        print(f"{number + 1}/{len(snippets)} {snippet.name}", file=sys.stderr, flush=True)
        try:
            parts += run_snippet(snippet, copy_world(world, scratch / str(number)))
        except AssertionError as error:
            failures.append(f"{snippet.name}: {error}")
            print(f"  FAILED {error}", file=sys.stderr, flush=True)
    return parts, failures


def document(parts: list[Part], seconds: float, *, slow: bool) -> dict[str, Any]:
    """Return the result: counts, times, and every part."""
    ran = [part for part in parts if part.seconds > 0]
    return {
        "schema_version": 1,
        "command": "python -m tests.snippets.run" + (" --slow" if slow else ""),
        "environment": dataclasses.asdict(read_environment()),
        "snippets": len({(part.page, part.line) for part in parts}),
        "parts_total": len(parts),
        "run_fast": sum(part.speed == "fast" for part in ran),
        "run_slow": sum(part.speed == "slow" for part in ran),
        "not_run": sum(bool(part.reason) for part in parts),
        "processor_s_fast": round(sum(part.seconds for part in ran if part.speed == "fast"), 1),
        "processor_s_slow": round(sum(part.seconds for part in ran if part.speed == "slow"), 1),
        "wall_s": round(seconds, 1),
        "parts": [part.to_dict() for part in parts],
    }


def main() -> int:
    """Run them and write the result; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", action="store_true", help="also those that train")
    parser.add_argument("--only", default="", help="text in the names of the snippets to run")
    parser.add_argument("--json", type=Path, default=RESULT, help="file for the result")
    options = parser.parse_args()
    snippets = [item for item in iterate_snippets() if options.only in item.name]
    began = wall_s()
    with tempfile.TemporaryDirectory() as scratch:
        parts, failures = run_all(snippets, Path(scratch), slow=options.slow)
    if failures:
        print("\n".join(failures), file=sys.stderr)
        return 1
    result = document(parts, wall_s() - began, slow=options.slow)
    if not options.only:
        write_json(options.json, result)
    print(json.dumps({key: value for key, value in result.items() if key != "parts"}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
