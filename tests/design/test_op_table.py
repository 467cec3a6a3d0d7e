"""The op table: kept, used again, and refused where it says nothing."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from edge_retina.benchmark.backends import BUILTIN, XNNPACK
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.operator import ADD, CONV, Operator
from edge_retina.design.frame import Frame
from edge_retina.design.op_table import OpTable, load_table
from edge_retina.errors import BenchmarkError

PI = Environment(
    "Cortex-A76", 4, None, "Linux", "aarch64", "3.11", {"ai-edge-litert": "2.3.0"}, load_average=0.1
)
FIRST, SECOND = Operator(ADD, 4, 4, 8, 8), Operator(CONV, 4, 4, 8, 16)
FRAME = Frame(64, 64, 3, 5, 84, 3, 2000, 100)
EMPTY = OpTable("ssh:pi@board", PI, XNNPACK, threads=1)
TABLE = EMPTY.with_operators({FIRST: 0.25}).with_frames({FRAME: 1.5})


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    TABLE.save(tmp_path / "table.json")
    assert load_table(tmp_path / "table.json", EMPTY) == TABLE


def test_without_a_file_it_is_empty(tmp_path: Path) -> None:
    assert load_table(tmp_path / "none.json", EMPTY) == EMPTY


def test_what_is_missing_is_named_once() -> None:
    assert TABLE.missing([SECOND, FIRST, SECOND]) == [SECOND]


def test_a_network_is_the_sum_of_its_layers() -> None:
    table = TABLE.with_operators({SECOND: 0.5})
    assert table.network_ms(Counter({FIRST: 3, SECOND: 1})) == pytest.approx(1.25)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"environment": dataclasses.replace(PI, cpu="Cortex-A72")}, "another machine: Cortex-A76"),
        (
            {"environment": dataclasses.replace(PI, packages={"ai-edge-litert": "2.4.0"})},
            "ai-edge-litert 2.3.0, not Cortex-A76",
        ),
        ({"backend": BUILTIN}, "another backend: tflite-xnnpack, not tflite-builtin"),
        ({"threads": 4}, "another number of threads: 1, not 4"),
    ],
)
def test_other_measurements_are_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    TABLE.save(tmp_path / "table.json")
    with pytest.raises(BenchmarkError, match=message) as error:
        load_table(tmp_path / "table.json", dataclasses.replace(EMPTY, **change))
    assert str(error.value).endswith("which is written if it isn't there")


def test_a_load_that_has_passed_is_no_other_machine(tmp_path: Path) -> None:
    TABLE.save(tmp_path / "table.json")
    now = dataclasses.replace(EMPTY, environment=dataclasses.replace(PI, load_average=2.0))
    assert load_table(tmp_path / "table.json", now).operators == TABLE.operators


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"environment": 3}', json.dumps({"a": 1})])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match="not an op table") as error:
        load_table(path, EMPTY)
    assert "\n" not in str(error.value)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="not an op table"):
        load_table(tmp_path, EMPTY)
