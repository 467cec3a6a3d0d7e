from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from edge_retina.datasets import Dataset, load_dataset
from edge_retina.datasets.layouts import LAYOUTS
from edge_retina.datasets.saving import write_dataset
from edge_retina.errors import DatasetError
from edge_retina.stored_files import read_bytes

Write = Callable[..., Path]


@pytest.fixture
def dataset(tmp_path: Path, coco_json: Write) -> Dataset:
    """Two splits, a picture without objects, an unused class, fractions, flags, a directory."""
    categories = ((1, "zebra"), (2, "big cat"), (3, "unused"))
    root = tmp_path / "source"
    first = [(1, [1.23, 2.5, 30.111, 20]), (2, [10, 0, 50, 40], 1)]
    path = coco_json(root, [("a.jpg", first), ("b.jpg", [])], categories=categories)
    tree = json.loads(path.read_text())
    tree["annotations"][0]["ignore"] = 1
    path.write_text(json.dumps(tree))
    coco_json(
        root,
        [("deep/a.jpg", [(2, [0.333, 0.777, 59.5, 39])])],
        name="annotations/instances_val.json",
        categories=categories,
    )
    return load_dataset(root)


def assert_same(first: Dataset, second: Dataset) -> None:
    assert first.labels == second.labels
    for split, examples in second.splits.items():
        assert len(first.splits[split]) == len(examples)
        for one, two in zip(first.splits[split], examples, strict=True):
            assert one.image_hw == two.image_hw
            assert read_bytes(one.path) == read_bytes(two.path)
            np.testing.assert_allclose(one.boxes_px, two.boxes_px, atol=0.01)
            np.testing.assert_array_equal(one.classes, two.classes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip(dataset: Dataset, tmp_path: Path, layout: str):
    lost = write_dataset(dataset, tmp_path / "out", layout=layout)
    again = load_dataset(tmp_path / "out")
    assert again.layout == layout
    assert list(again.splits) == ["train", "val"]
    assert_same(dataset, again)
    first, empty = again.split("train")
    flags = [(c, d) for c, d in zip(first.crowd.tolist(), first.difficult.tolist(), strict=True)]
    assert empty.crowd.shape == empty.difficult.shape == (0,)
    if layout in ("coco", "tfrecord"):
        assert flags == [(False, True), (True, False)]
        assert lost == ()
    elif layout == "voc":
        assert flags == [(False, True), (False, True)]
        assert lost == ("crowd flags of 1 boxes: Pascal VOC has none, they are marked difficult",)
    else:
        assert flags == [(False, False), (False, False)]
        assert [line.split(":")[0] for line in lost] == [
            "crowd flags of 1 boxes",
            "difficult flags of 1 boxes",
        ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_splits_that_overlap(tmp_path: Path, voc_xml: Write, layout: str):
    root = tmp_path / "source"
    for name in "abc":
        voc_xml(root, name, ("cat", 1, 1, 9, 9))
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("c\n")
    (lists / "trainval.txt").write_text("c\na\nb\n")
    source = load_dataset(root)
    lost = write_dataset(source, tmp_path / "out", layout=layout)
    again = load_dataset(tmp_path / "out")
    assert_same(source, again)
    if layout == "yolo":
        assert list(again.splits) == ["train", "val"]
        assert lost == ("split 'trainval': YOLO knows only train, val, test",)
    else:
        assert list(again.splits) == ["train", "val", "trainval"]
        assert lost == ()


def test_rotated_pictures_survive(tmp_path: Path, voc_xml: Write, picture: Write):
    picture(tmp_path / "source" / "JPEGImages" / "a.jpg", (40, 60), exif=6)
    voc_xml(tmp_path / "source", "a", ("cat", 1, 0, 9, 32), size=(60, 40))
    source = load_dataset(tmp_path / "source")
    for layout in LAYOUTS:
        write_dataset(source, tmp_path / layout, layout=layout)
        assert_same(source, load_dataset(tmp_path / layout))


def test_voc_files_are_flat_and_distinct(dataset: Dataset, tmp_path: Path):
    write_dataset(dataset, tmp_path / "out", layout="voc")
    names = sorted(path.name for path in (tmp_path / "out" / "Annotations").iterdir())
    assert names == ["a.xml", "b.xml", "deep_a.xml"]
    text = (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert "<name>zebra</name>" in text
    assert "<xmin>1.23</xmin>" in text
    assert "<width>60</width>" in text


def test_yolo_files(dataset: Dataset, tmp_path: Path):
    write_dataset(dataset, tmp_path / "out", layout="yolo")
    tree = yaml.safe_load((tmp_path / "out" / "data.yaml").read_text())
    assert tree["names"] == {0: "zebra", 1: "big cat", 2: "unused"}
    assert (tmp_path / "out" / tree["train"]).read_text().splitlines()[0] == "./images/a.jpg"
    # x 10..60 of 60, y 0..40 of 40
    lines = (tmp_path / "out" / "labels" / "a.txt").read_text().splitlines()
    assert lines[1] == "1 0.58333334 0.50000000 0.83333333 1.00000000"


def test_csv_files(dataset: Dataset, tmp_path: Path):
    write_dataset(dataset, tmp_path / "out", layout="csv")
    assert (tmp_path / "out" / "train.csv").read_text().splitlines() == [
        "filename,width,height,class,xmin,ymin,xmax,ymax",
        "a.jpg,60,40,zebra,1.23,2.5,31.341,22.5",
        "a.jpg,60,40,big cat,10,0,60,40",
        "b.jpg,60,40,,,,,",
    ]


def test_refusals_write_nothing(dataset: Dataset, tmp_path: Path):
    with pytest.raises(DatasetError, match="unknown layout 'vco'; did you mean 'voc'"):
        write_dataset(dataset, tmp_path / "out", layout="vco")
    for out in (dataset.root, dataset.root.parent):
        with pytest.raises(DatasetError, match="contains the data set to convert; choose"):
            write_dataset(dataset, out, layout="voc", force=True)
    dataset.splits["train"][0].path.unlink()
    with pytest.raises(DatasetError, match=r"a\.jpg: can't be copied to"):
        write_dataset(dataset, tmp_path / "out", layout="voc")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "name",
    [
        "bccd",
        "chess",
        "coco_tiny",
        "mediapipe_min/coco_data",
        "mediapipe_min/pascal_voc_data",
        "raccoon",
        "vehicles5",
    ],
)
def test_real_data_sets_survive(shared_data: Path, tmp_path: Path, name: str, layout: str):
    source = load_dataset(shared_data / name, skip_invalid=True)
    write_dataset(source, tmp_path / "out", layout=layout)
    again = load_dataset(tmp_path / "out")
    assert again.layout == layout
    assert set(source.splits) - set(again.splits) <= {"trainval"}
    assert_same(source, again)
