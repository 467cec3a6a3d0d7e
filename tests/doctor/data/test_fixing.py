"""`doctor DATA --fix`: what is corrected in the copy. The original is never touched."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.datasets import load_dataset
from edge_retina.datasets.schema import Dataset
from edge_retina.files import sha256_file
from tests.doctor.made import BOX, VocSet, codes, diagnose, encode, photo, with_orientation


def doctor(*args: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, args)])


def fixed(voc: VocSet, out: Path) -> tuple[Dataset, list[str]]:
    """The copy, and what was done for it."""
    before = {path: sha256_file(path) for path in voc.root.rglob("*") if path.is_file()}
    record = out.with_suffix(".json")
    result = doctor(voc.root, "--fix", out, "--json", record)
    assert result.exit_code == 0, result.output
    assert f"Corrected copy in {out}:" in result.stdout
    after = {path: sha256_file(path) for path in voc.root.rglob("*") if path.is_file()}
    assert after == before
    return load_dataset(out), json.loads(record.read_text())["fixed"]["done"]


@pytest.fixture
def voc(tmp_path: Path) -> VocSet:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(3)
    voc.add_sound(1, split="val", first=3)
    return voc


def test_a_sound_set_is_copied(voc: VocSet, tmp_path: Path) -> None:
    copy, done = fixed(voc, tmp_path / "out")
    assert done == []
    assert {name: len(items) for name, items in copy.splits.items()} == {"train": 3, "val": 1}


def test_invalid_boxes_are_left_out_and_others_cut(voc: VocSet, tmp_path: Path) -> None:
    voc.add("flat.jpg", BOX, ("cat", 50, 20, 50, 60))
    voc.add("wide.jpg", ("cat", 20, 30, 500, 70))
    copy, done = fixed(voc, tmp_path / "out")
    assert done == ["invalid annotations or pictures left out, or boxes cut: 2"]
    boxes = {item.image_id: item.boxes_px for item in copy.splits["train"]}
    assert len(boxes["flat.jpg"]) == 1
    np.testing.assert_allclose(boxes["wide.jpg"], [(30, 20, 70, 128)])
    assert not {"zero-area-box", "box-sticks-out"} & codes(diagnose(tmp_path / "out")).keys()


def test_spellings_of_a_class_become_the_most_frequent_one(voc: VocSet, tmp_path: Path) -> None:
    voc.add("other.jpg", ("Cat", 20, 30, 60, 70), ("dog", 80, 30, 110, 70))
    copy, done = fixed(voc, tmp_path / "out")
    assert done == ["class names merged with another: 1"]
    assert copy.labels == ("cat", "dog")
    (other,) = (item for item in copy.splits["train"] if item.image_id == "other.jpg")
    assert other.classes.tolist() == [0, 1]


def test_equal_boxes_of_a_class_are_one(voc: VocSet, tmp_path: Path) -> None:
    voc.add("twice.jpg", BOX, BOX, ("dog", *BOX[1:]))
    copy, done = fixed(voc, tmp_path / "out")
    assert done == ["boxes that stood there twice: 1"]
    (twice,) = (item for item in copy.splits["train"] if item.image_id == "twice.jpg")
    assert sorted(twice.classes.tolist()) == [0, 1]


def test_the_copy_of_a_picture_that_is_trained_on_goes(voc: VocSet, tmp_path: Path) -> None:
    data = encode(photo(99))
    voc.add("first.jpg", BOX, data=data)
    voc.add("again.jpg", BOX, data=data, split="val")
    copy, done = fixed(voc, tmp_path / "out")
    assert done == ["identical pictures left out: 1"]
    assert "again.jpg" in {item.image_id for item in copy.splits["val"]}
    assert "first.jpg" not in {item.image_id for item in copy.splits["train"]}


def test_a_file_gets_the_suffix_of_its_format(voc: VocSet, tmp_path: Path) -> None:
    voc.add("really.jpg", BOX, data=encode(photo(98), ".png"))
    copy, done = fixed(voc, tmp_path / "out")
    assert done == ["files renamed to the suffix of their format: 1"]
    assert "really.png" in {item.image_id for item in copy.splits["train"]}


def test_a_picture_with_an_orientation_is_turned_upright(voc: VocSet, tmp_path: Path) -> None:
    """Its boxes were drawn on the upright picture, 128 high and 96 wide."""
    sideways = with_orientation(encode(photo(97)), 6)
    voc.add("turned.jpg", ("cat", 20, 30, 60, 70), data=sideways, size_hw=(128, 96))
    copy, done = fixed(voc, tmp_path / "out")
    assert done == ["pictures turned upright: 1"]
    (turned,) = (item for item in copy.splits["train"] if item.image_id == "turned.jpg")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    assert cv2.imread(str(turned.path), flags).shape == (128, 96, 3)
    np.testing.assert_allclose(turned.boxes_px, [(30, 20, 70, 60)])
    assert "exif-orientation" not in codes(diagnose(tmp_path / "out"))


def test_an_existing_directory_is_kept(voc: VocSet, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    result = doctor(voc.root, "--fix", tmp_path / "out")
    assert result.exit_code == 1
    assert str(tmp_path / "out") in result.stderr.splitlines()[-1]
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_it_goes_with_data_alone(voc: VocSet, tmp_path: Path) -> None:
    result = doctor(voc.root, "--fix", tmp_path / "out", "--labels", "--out", tmp_path / "folds")
    assert result.exit_code == 2
    assert "--fix goes with DATA alone" in result.stderr
