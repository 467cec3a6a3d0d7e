"""The op table of `design`."""

from __future__ import annotations

from pathlib import Path

from edge_retina.benchmark.backends import XNNPACK
from edge_retina.benchmark.environment import Environment
from edge_retina.design.op_table import OpTable, load_table
from tests.fuzz.target import Target

_BOARD = Environment(
    cpu="Cortex-A76",
    cores=4,
    governor=None,
    load_average=0.5,
    os="Linux",
    machine="aarch64",
    python="3.11",
    packages={"ai-edge-litert": "2.1.0"},
)


def check(content: bytes, name: str, directory: Path) -> None:
    """Read it for the board that it is of, use its times, and write it again."""
    path = directory / name
    path.write_bytes(content)
    table = load_table(path, OpTable("ssh:pi@board", _BOARD, XNNPACK, threads=1))
    table.network_ms(dict.fromkeys(table.operators, 2))
    table.save(directory / "again.json")


TARGET = Target("op_table", check)
