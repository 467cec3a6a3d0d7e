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
    """24 256 x 256 pictures with a small cat and a large dog, shifted from one to the next."""
    import cv2
    import numpy as np

    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for number in range(24):
        cv2.imwrite(str(root / "images" / f"{number}.png"), np.zeros((256, 256), np.uint8))
        for label, box in (("cat", SMALL), ("dog", LARGE)):
            xmin, ymin, xmax, ymax = (side + 2 * number for side in box)
            xmax, ymax = xmax + 3 * (number % 4), ymax + number % 12
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
    assert heads[:5] == ["Anchors", "anchors", "fitted", "square", "default"]
    assert heads[9:16] == ["Fitted", "level", "P3", "P4", "P5", "P6", "P7"]
    assert heads[16:19] == ["class", "cat", "dog"]
    assert heads[19] == "side"
    assert heads[20:22] == ["16-32", "128-256"]
    assert heads[22:27] == ["Positive", "anchors", "fitted", "square", "default"]
    assert heads[27:31] == ["Fitted", "per", "1", "2"]
    assert sum("<- enough" in line for line in lines) == 1


def test_it_is_said_what_was_measured_and_what_shapes_were_fitted_to(data: Path):
    lines = anchors(data, "--image-size", 256, "--per-cell", 2).stdout.splitlines()
    assert "recall, IoU: 48 objects of split 'train' as in the files" in lines
    assert any(line.startswith("as drawn: these objects in 1,200 augmented") for line in lines)
    where = "held out: 48 objects not fitted to, as in the files: 5 folds by picture"
    assert where in lines
    level = {line.split()[0]: line for line in lines if line.startswith("P")}
    assert level["P7"].count("(filler)") == 2, "no object is so large"
    words = [word for word in level["P3"].split() if word[0] == "(" and word != "(filler)"]
    counts = [int(word.strip("()")) for word in words]
    assert len(counts) == 2
    assert min(counts) >= 10


def test_fewer_shapes_than_asked_for_are_told(data: Path):
    output = anchors(data, "--image-size", 256, "--per-cell", 9).stdout
    assert "anchors.per_cell = 9 is more than the objects carry: " in output
    assert "anchors.per_cell = " not in anchors(data, "--image-size", 256, "--per-cell", 1).stdout


def test_a_config_says_how_boxes_are_drawn(data: Path, tmp_path: Path):
    config = tmp_path / "c.toml"
    fixed = "horizontal_flip = 0\nscale = [1, 1]\naspect = 0\ntranslate = 0\n"
    config.write_text(f'[data]\npath = "{data}"\n[anchors]\nper_cell = 1\n[augmentation]\n{fixed}')
    still = json.loads(anchors(config, "--json", "-").stdout)["fitted"]
    moved = json.loads(anchors(data, "--per-cell", 1, "--json", "-").stdout)["fitted"]
    assert still["as_drawn"]["mean_best_iou"] == pytest.approx(still["mean_best_iou"], abs=1e-4)
    assert moved["as_drawn"]["mean_best_iou"] < still["as_drawn"]["mean_best_iou"] - 0.03
    assert moved["shapes"] != still["shapes"]


def test_the_validation_split_is_held_out_if_there_is_one(data: Path):
    rows = (data / "train.csv").read_text().splitlines()
    (data / "val.csv").write_text("\n".join([rows[0], *rows[-6:]]))
    (data / "train.csv").write_text("\n".join(rows[:-6]))
    record = json.loads(anchors(data, "--json", "-").stdout)
    assert record["held_out_objects"] == "split 'val'"
    assert {record[name]["held_out"]["objects"] for name in ("fitted", "square", "default")} == {6}
    assert record["fitted"]["objects"] == 42


def test_json_has_everything(data: Path):
    record = json.loads(anchors(data, "--image-size", 256, "--per-cell", 2, "--json", "-").stdout)
    fitted = record["fitted"]
    assert fitted["objects"] == 48
    assert {name: item["objects"] for name, item in fitted["by_class"].items()} == {
        "cat": 24,
        "dog": 24,
    }
    assert {name: item["objects"] for name, item in fitted["by_size"].items()} == {
        "16-32": 24,
        "128-256": 24,
    }
    assert list(fitted["positives_by_level"]) == ["3", "4", "5", "6", "7"]
    total = sum(fitted["positives_by_level"].values())
    assert total == pytest.approx(fitted["positives_per_object"])
    assert [len(level) for level in fitted["shapes"]] == [2] * 5
    assert [len(level) for level in record["default"]["shapes"]] == [9] * 5
    numbers = [point["per_cell"] for point in record["curve"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 2
    assert record["recommended_per_cell"] in numbers
    assert [len(level) for level in record["square"]["shapes"]] == [1] * 5
    assert set(record["square_reach"]) == {"objects", "beyond_reach", "too_long", "too_small"}
    assert record["fitted"]["held_out"]["objects"] == 48


def test_evolution_improves_and_is_written(data: Path, tmp_path: Path):
    def run(*more: object) -> dict:
        arguments = (data, "--image-size", 256, "--per-cell", 1, "--json", "-", *more)
        return json.loads(anchors(*arguments).stdout)["fitted"]

    out = tmp_path / "anchors.toml"
    plain, evolved = run(), run("--evolve", 300, "--out", out)
    before, after = (
        item["as_drawn"]["mean_best_iou"] + item["as_drawn"]["best_possible_recall"]
        for item in (plain, evolved)
    )
    assert after > before
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
