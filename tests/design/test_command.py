"""`edge-retina design` on a device that is made up, and what it says to bad input."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark.backends import XNNPACK
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.runner import DeviceKind
from edge_retina.cli.main import main
from edge_retina.config import load_config
from edge_retina.datasets.generated import generate_dataset
from edge_retina.design.op_table import OpTable

SMALL = [
    *("--set", "model.backbone_width=0.35"),
    *("--set", "model.fpn_channels=48"),
    *("--set", "model.head_depth=2"),
]


def design(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["design", *map(str, arguments)])


@pytest.fixture
def board(
    make_board: Any, add_device_kind: Callable[[str, DeviceKind], None], no_conversion: None
) -> None:
    add_device_kind("board", DeviceKind("board", lambda *_: make_board()))


@pytest.mark.tf
def test_without_data(board: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = design("--budget-ms", "12", "--device", "board", "--out", out, *SMALL)
    assert result.exit_code == 0, result.output
    assert "measured ms" in result.stdout
    assert result.stdout.count("<- chosen") == 1
    assert "learnable" not in result.stdout
    assert f"next:    edge-retina train {out}/config.toml --set data.path=DATA" in result.stdout
    assert "finalist 1 of at most 4: exporting w0.35" in result.stderr
    names = sorted(path.name for path in out.iterdir())
    assert names[:3] == ["config.toml", "front.svg", "op_table.json"]
    assert [name.endswith("_int8.tflite") for name in names[3:]] == [True]
    assert load_config(out / "config.toml").model.backbone_width == 0.35


@pytest.mark.tf
def test_with_data(board: None, tmp_path: Path) -> None:
    images = {"train": 8, "val": 2, "test": 2}
    generate_dataset(tmp_path / "data", images=images, image_hw=(96, 128), seed=1)
    out = tmp_path / "out"
    arguments = ["--budget-ms", "12", "--device", "board", "--data", tmp_path / "data"]
    arguments.append("--skip-invalid")
    result = design(*arguments, "--out", out, "--json", tmp_path / "found.json", *SMALL)
    assert result.exit_code == 0, result.output
    assert "learnable" in result.stdout
    assert "Sizes of the objects at the network's input" in result.stdout
    written = load_config(out / "config.toml").data
    assert (written.path, written.skip_invalid) == (str(tmp_path / "data"), True)
    document = json.loads((tmp_path / "found.json").read_text())
    chosen = [item for item in document["networks"] if item["title"] == document["chosen"]]
    assert [item["measured_ms"] <= 12 for item in chosen] == [True]
    assert {len(item["objects"]["sides_px"]) for item in document["networks"]} == {5}
    assert any(item["min_level"] == 4 for item in document["networks"])
    again = design(*arguments, "--out", out, "--json", "-", *SMALL)
    assert json.loads(again.stdout)["networks"] == document["networks"]


@pytest.mark.parametrize("budget", ["0", "-3", "nan", "inf"])
def test_a_budget_must_be_a_time(budget: str, tmp_path: Path) -> None:
    result = design("--budget-ms", budget, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: --budget-ms {budget}: expected milliseconds above 0, e.g. 20\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_unknown_device_is_one_line(tmp_path: Path) -> None:
    result = design("--budget-ms", "20", "--device", "usb", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: --device usb: no such device; available: local, ssh:")
    assert result.stderr.count("\n") == 1


def test_data_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = design("--budget-ms", "20", "--data", tmp_path / "none", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path / 'none'}")
    assert result.stderr.count("\n") == 1


def test_classes_are_those_of_the_data(tmp_path: Path) -> None:
    result = design("--budget-ms", "20", "--data", tmp_path, "--classes", "3")
    assert result.exit_code == 2
    assert "--classes goes without --data" in result.stderr


def test_an_op_table_of_another_machine_is_one_line(tmp_path: Path) -> None:
    table = OpTable("local", dataclasses.replace(read_environment(), cpu="Z80"), XNNPACK, threads=1)
    table.save(tmp_path / "table.json")
    result = design(
        "--budget-ms", "20", "--op-table", tmp_path / "table.json", "--out", tmp_path / "out"
    )
    assert result.exit_code == 1
    assert "table.json: measured with another machine: Z80 (" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_tensorflow_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'tf_keras', 'tensorflow_model_optimization'):\n"
        "    sys.modules[name] = None\n"
        "from edge_retina.cli.main import main\n"
        f"main(['design', '--budget-ms', '20', '--out', {str(tmp_path / 'out')!r}])\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr == (
        'Error: this command needs the training extra: pip install "edge-retina[train]"\n'
    )
