from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_retina.cli.main import main
from edge_retina.datasets import load_dataset

XML = """<annotation><filename>a.png</filename><object><name>cat</name><bndbox><xmin>1</xmin>
<ymin>2</ymin><xmax>{xmax}</xmax><ymax>9</ymax></bndbox></object></annotation>"""


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """One 16 x 16 picture with a valid box and one with an invalid box."""
    import cv2
    import numpy as np

    root = tmp_path / "voc"
    root.mkdir()
    for name, xmax in (("a", 9), ("b", 1)):
        cv2.imwrite(str(root / f"{name}.png"), np.zeros((16, 16, 3), np.uint8))
        (root / f"{name}.xml").write_text(XML.format(xmax=xmax))
    return root


def convert(*arguments: object):
    return CliRunner().invoke(main, ["convert", *map(str, arguments)])


def test_it_says_what_was_written_and_what_was_skipped(voc: Path, tmp_path: Path):
    out = tmp_path / "coco"
    result = convert(voc, "--to", "coco", "--out", out, "--skip-invalid")
    assert result.exit_code == 0, result.output
    assert f"{voc} (voc) -> {out} (coco): 1 train, 1 val, 0 test images" in result.stdout
    assert f"skipped: {voc}/b.xml, object 1: xmax (1) <= xmin (1)" in result.stdout
    assert load_dataset(out).labels == ("cat",)


def test_json_on_stdout_is_only_json(voc: Path, tmp_path: Path):
    arguments = (voc, "--to", "csv", "--out", tmp_path / "csv", "--skip-invalid", "--json", "-")
    record = json.loads(convert(*arguments).stdout)
    assert record["to"] == {"path": str(tmp_path / "csv"), "layout": "csv"}
    assert sum(record["images"].values()) == 2
    assert (record["labels"], record["not_kept"], len(record["skipped"])) == (["cat"], [], 1)


def test_invalid_data_is_one_line_and_nothing_is_written(voc: Path, tmp_path: Path):
    result = convert(voc, "--to", "yolo", "--out", tmp_path / "yolo")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"Error: {voc}/b.xml, object 1: xmax (1) <= xmin (1); "
        "fix the file or pass --skip-invalid (data.skip_invalid = true)"
    ]
    assert not (tmp_path / "yolo").exists()


def test_only_force_overwrites(voc: Path, tmp_path: Path):
    arguments = (voc, "--to", "yolo", "--out", tmp_path / "yolo", "--skip-invalid")
    assert convert(*arguments).exit_code == 0
    again = convert(*arguments)
    assert again.exit_code == 1
    assert "exists and is not empty; choose another directory or pass --force" in again.stderr
    assert convert(*arguments, "--force").exit_code == 0


def test_an_unknown_format_is_refused(voc: Path, tmp_path: Path):
    result = convert(voc, "--to", "pdf", "--out", tmp_path / "x")
    assert result.exit_code == 1
