"""docs/threat_model.md: what it names exists, and checks that no other test shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_retina.benchmark.connection import _quote_path
from edge_retina.datasets import load_dataset
from edge_retina.errors import DatasetError

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "threat_model.md").read_text(encoding="utf-8")


@pytest.mark.checkout
def test_every_check_is_where_the_page_says() -> None:
    table = PAGE.partition("## What is checked")[2].partition("## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 15
    for threat, _, code, tests in rows[2:]:
        for name in re.findall(r"`([^`]+)`", code):
            places = ("", "edge_retina", "edge_retina/benchmark")
            assert any((ROOT / place / name).exists() for place in places), f"{threat}: {name}"
        for name in re.findall(r"`([^`]+)`", tests):
            assert (ROOT / name).exists(), f"{threat}: {name}"


def test_yaml_makes_no_python_objects(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "data.yaml").write_text(
        f"names: !!python/object/apply:os.system ['touch {trace}']\ntrain: images/train\n"
    )
    (tmp_path / "images" / "train").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"data\.yaml"):
        load_dataset(tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("/opt/py thon", "'/opt/py thon'"),
        ("x; reboot", "'x; reboot'"),
        ("$(reboot)", "'$(reboot)'"),
        ("~/edge/bin/python", "~/edge/bin/python"),
        ("~/a b'c", "~/'a b'\"'\"'c'"),
    ],
)
def test_names_on_a_device_are_no_commands(path: str, quoted: str) -> None:
    assert _quote_path(path) == quoted
