from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.datasets import annotations_sha256, load_dataset
from edge_retina.datasets.generated import generate_dataset
from edge_retina.datasets.shapes import SHAPES, Shape, shape_area_px, shape_mask
from edge_retina.errors import DatasetError
from edge_retina.files import sha256_file


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated") / "shapes"
    generate_dataset(out, images={"train": 60, "val": 6}, seed=0)
    return out


def test_it_is_a_valid_coco_data_set(generated: Path):
    dataset = load_dataset(generated)
    assert (dataset.layout, dataset.labels) == ("coco", SHAPES)
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 60, "val": 6}
    assert dataset.split("val")[0].image_id == "val/000001.jpg"
    assert {example.image_hw for example in dataset.split("train")} == {(240, 320)}


def test_it_has_what_a_detector_has_to_cope_with(generated: Path):
    train = load_dataset(generated).split("train")
    counts = [len(example.classes) for example in train]
    assert min(counts) == 0
    assert 1 <= sum(count == 0 for count in counts) <= 12
    assert max(counts) <= 8
    classes = np.bincount(np.concatenate([example.classes for example in train]), minlength=5)
    assert classes.min() >= 20
    boxes = np.concatenate([example.boxes_px for example in train])
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    assert sides.min() < 24
    assert sides.max() > 100
    assert np.percentile(sides, 10) > 16  # few are too small to be told apart


def test_the_same_seed_gives_the_same_files(generated: Path, tmp_path: Path):
    generate_dataset(tmp_path / "again", images={"train": 60, "val": 6}, seed=0)
    files = sorted(path.relative_to(generated) for path in generated.rglob("*.*"))
    assert len(files) == 68
    for file in files:
        assert sha256_file(tmp_path / "again" / file) == sha256_file(generated / file)


def test_another_seed_and_another_split_give_other_pictures(generated: Path, tmp_path: Path):
    generate_dataset(tmp_path / "other", images={"train": 6}, seed=1)
    first = load_dataset(generated)
    hashes = {
        annotations_sha256(load_dataset(tmp_path / "other").split("train")),
        annotations_sha256(first.split("train")[:6]),
    }
    assert len(hashes) == 2
    train, val = first.split("train")[0], first.split("val")[0]
    assert sha256_file(train.path) != sha256_file(val.path)


def test_the_first_pictures_do_not_depend_on_the_count(generated: Path, tmp_path: Path):
    generate_dataset(tmp_path / "few", images={"train": 2}, seed=0)
    few, many = (
        load_dataset(tmp_path / "few").split("train"),
        load_dataset(generated).split("train"),
    )
    assert annotations_sha256(few) == annotations_sha256(many[:2])


def test_annotations_are_the_same_on_every_machine(generated: Path):
    train = load_dataset(generated).split("train")
    assert (
        annotations_sha256(train)
        == "3f8946dbd15f3d739cc33b9889525778c630b3675bd0eec2bef8d0e17a1842c4"
    )


def test_boxes_lie_tightly_around_the_pixels():
    # A box of 0.9 * 40 by 0.9 * 20 pixels around (50, 60), not turned.
    shape = Shape("box", (50.0, 60.0), (40.0, 20.0), 0.0)
    ys, xs = np.nonzero(shape_mask(shape, (100, 120)) >= 128)
    assert (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1) == (32, 69, 51, 70)


@pytest.mark.parametrize(
    "label, share",
    [("box", 0.81), ("cross", 0.55), ("ring", 0.55), ("star", 0.31), ("triangle", 0.47)],
)
def test_area_counts_what_lies_outside_the_picture(label: str, share: float):
    # `share` of the 70 x 60 pixels around it, e.g. pi/4 * (1 - .55^2) for the ring
    inside = Shape(label, (50.0, 60.0), (70.0, 60.0), 15.0)
    outside = Shape(label, (0.0, 0.0), (70.0, 60.0), 15.0)
    assert shape_area_px(inside) == np.count_nonzero(shape_mask(inside, (100, 120)) >= 128)
    assert shape_area_px(outside) == shape_area_px(inside)
    # OpenCV fills half a pixel beyond the outline.
    assert shape_area_px(inside) == pytest.approx(share * 70 * 60, rel=0.12)


def test_pictures_are_neither_flat_nor_clipped(generated: Path):
    for example in load_dataset(generated).split("val"):
        image = cv2.imread(str(example.path))
        assert image.std() > 8
        assert np.mean((image == 0) | (image == 255)) < 0.2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"images": {"trian": 1}}, "expected splits among train, val, test and at least 64x64"),
        ({"images": {"train": 1}, "image_hw": (32, 64)}, "of 64x32 pixels; expected"),
    ],
)
def test_wrong_arguments_write_nothing(tmp_path: Path, arguments: dict, message: str):
    with pytest.raises(DatasetError, match=message):
        generate_dataset(tmp_path / "out", **arguments)
    assert list(tmp_path.iterdir()) == []
