"""The stand-ins that need TensorFlow: RUNs that were trained for two steps, by the program."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.snippets.rules import Rule
from tests.snippets.running import run_command
from tests.snippets.world import write_export


def add_runs(world: Path) -> None:
    """Train RUNs for the names that the pages use, quantised by calibration."""
    shutil.rmtree(world / "runs" / "mine")
    for command in (
        "edge-retina train cells.toml --out runs/cells",
        "edge-retina quantize runs/cells --method ptq",
    ):
        run_command(command, Rule(""), world)
    made = world / "runs" / "cells"
    for name in ("mine", "bccd"):
        shutil.copytree(made, world / "runs" / name)
    write_export(world / "runs" / "mine" / "export", "mine")
    for item in made.iterdir():  # beside the export directory that is there
        target = world / "runs" / "demo" / item.name
        if item.is_dir():
            shutil.copytree(item, target, dirs_exist_ok=True)
        else:
            shutil.copy(item, target)
