from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.config import load_config

SMALL, LARGE = (20, 20, 42, 36), (30, 10, 190, 130)  # xmin ymin xmax ymax


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve 256 x 256 pictures with a small cat and a large dog, shifted from one to the next."""
    import cv2
    import numpy as np

    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for number in range(12):
        cv2.imwrite(str(root / "images" / f"{number}.png"), np.zeros((256, 256), np.uint8))
        for label, box in (("cat", SMALL), ("dog", LARGE)):
            xmin, ymin, xmax, ymax = (side + 2 * number for side in box)
            xmax, ymax = xmax + 3 * (number % 4), ymax + number
            lines.append(f"{number}.png,256,256,{label},{xmin},{ymin},{xmax},{ymax}")
    (root / "train.csv").write_text("\n".join(lines))
    return root


def anchors(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["anchors", *map(str, arguments)])


def test_tables(data: Path):
    result = anchors(data, "--image-size", 256, "--per-cell", 2, "--curve")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    heads = [line.split()[0] for line in lines if line]
    assert heads[:3] == ["anchors", "fitted", "default"]
    assert heads[3:6] == ["class", "cat", "dog"]
    assert heads[6] == "side"
    assert heads[7:9] == ["16-32", "128-256"]
    assert heads[9:13] == ["Positive", "anchors", "fitted", "default"]
    assert "P3" in result.stdout
    assert [line.split()[0] for line in lines[-9:]] == [str(number) for number in range(1, 10)]
    assert sum("<- enough" in line for line in lines) == 1


def test_json_has_everything(data: Path):
    record = json.loads(anchors(data, "--image-size", 256, "--per-cell", 2, "--json", "-").stdout)
    fitted = record["fitted"]
    assert fitted["objects"] == 24
    assert {name: item["objects"] for name, item in fitted["by_class"].items()} == {
        "cat": 12,
        "dog": 12,
    }
    assert {name: item["objects"] for name, item in fitted["by_size"].items()} == {
        "16-32": 12,
        "128-256": 12,
    }
    assert list(fitted["positives_by_level"]) == ["3", "4", "5", "6", "7"]
    total = sum(fitted["positives_by_level"].values())
    assert total == pytest.approx(fitted["positives_per_object"])
    assert [len(level) for level in fitted["shapes"]] == [2] * 5
    assert [len(level) for level in record["default"]["shapes"]] == [9] * 5
    assert [point["per_cell"] for point in record["curve"]] == list(range(1, 10))
    assert record["recommended_per_cell"] in range(1, 10)


def test_evolution_improves_and_is_written(data: Path, tmp_path: Path):
    def run(*more: object) -> dict:
        arguments = (data, "--image-size", 256, "--per-cell", 1, "--json", "-", *more)
        return json.loads(anchors(*arguments).stdout)["fitted"]

    out = tmp_path / "anchors.toml"
    plain, evolved = run(), run("--evolve", 300, "--out", out)
    assert evolved["mean_best_iou"] > plain["mean_best_iou"]
    shapes = load_config(out).anchors.shapes
    assert [[list(shape) for shape in level] for level in shapes] == evolved["shapes"]


def test_a_rectangular_input(data: Path, tmp_path: Path):
    out = tmp_path / "anchors.toml"
    arguments = (data, "--image-size", "128x256", "--per-cell", 1, "--json", "-", "--out", out)
    record = json.loads(anchors(*arguments).stdout)
    # Pictures are square: at the input every box is half as high.
    assert list(record["fitted"]["by_size"]) == ["8-16", "16-32", "64-128"]
    shapes = [shape for level in record["fitted"]["shapes"] for shape in level]
    assert all(height < 1.05 * width for height, width in shapes)
    assert record["fitted"]["best_possible_recall"] > record["default"]["best_possible_recall"]
    assert "128x256 px" in out.read_text()


def test_a_data_set_that_is_missing(tmp_path: Path):
    result = anchors(tmp_path / "none")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path}/none: no such file or directory")


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("--image-size", 16, "model.image_hw must be in 32..2048, got 16"),
        ("--image-size", 100, "model.image_hw must be a multiple of 32, got 100"),
        ("--per-cell", 0, "anchors.per_cell must be in 1..16, got 0"),
        ("--max-level", 9, "model.max_level must be in 3..7, got 9"),
    ],
)
def test_sizes_that_no_network_has_are_refused(data: Path, option: str, value: int, message: str):
    result = anchors(data, option, value, "--out", data / "anchors.toml")
    assert result.exit_code == 1
    assert result.stderr.strip() == f"Error: {message}"
    assert not (data / "anchors.toml").exists()
