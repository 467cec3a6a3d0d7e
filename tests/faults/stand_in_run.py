"""A `run` without TensorFlow: `python -m tests.faults.stand_in_run run CONFIG --out RUN`.

The stages, their order, markers, lock and files are the real ones. What a stage writes is a text
that follows from the files it needs, written in two halves with a pause between them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_retina.cli.logs import configure_logging
from edge_retina.cli.main import describe
from edge_retina.config import load_config
from edge_retina.files import atomic_path
from edge_retina.run_directory import RunDirectory
from edge_retina.staging import staging_directory
from edge_retina.workflow import stages
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.stage import Stage, StageGraph

PAUSE_S = 0.05  # for each file


def main() -> None:
    """Do every stage that is not done."""
    configure_logging()
    arguments = sys.argv[1:]
    out = Path(arguments[arguments.index("--out") + 1])
    pairs = itertools.pairwise(arguments)
    overrides = [value for option, value in pairs if option == "--set"]
    real = stages.STAGES
    names = {name: real._stages[name] for name in real.names}
    stages.STAGES = StageGraph(
        [
            dataclasses.replace(stage, run=_stand_in(stage, list(names.values())))
            for stage in names.values()
        ]
    )
    try:
        stages.run_all(load_config(overrides=overrides), RunDirectory(out))
    except Exception as error:  # as the program does
        sys.exit(f"Error: {describe(error)}")


def _stand_in(stage: Stage, known: list[Stage]) -> Callable[[RunContext], dict[str, Any]]:
    def run(context: RunContext) -> dict[str, Any]:
        method = context.config.quantize.method
        needed = {name.format(method=method) for name in stage.needs}
        digest = hashlib.sha256(str(context.config.seed).encode())
        for other in known:
            if other.name in needed and other.wanted(context):
                for path in other.outputs(context):
                    digest.update(path.read_bytes())
        paths = stage.outputs(context)
        if not stage.name.startswith("export"):
            for path in paths:
                _write(path, digest.hexdigest())
            return {}
        with staging_directory(paths[0].parent) as staging:
            for path in paths:
                _write(staging / path.name, digest.hexdigest())
            paths[0].parent.mkdir(exist_ok=True)
            for path in paths:
                (staging / path.name).replace(path)
                time.sleep(PAUSE_S / 5)
        return {}

    return run


def _write(path: Path, digest: str) -> None:
    text = json.dumps({"metrics": {}, "name": path.name, "of": digest})
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text[:20])
        stream.flush()
        time.sleep(PAUSE_S)
        stream.write(text[20:])


if __name__ == "__main__":
    main()
