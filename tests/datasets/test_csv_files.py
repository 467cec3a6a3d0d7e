from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.errors import DatasetError

MEND = "; fix the file or pass --skip-invalid (data.skip_invalid = true)"
HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
Write = Callable[..., Path]


@pytest.fixture
def root(tmp_path: Path, picture: Write) -> Path:
    """A directory with the pictures a.jpg and b.jpg, 40 high and 60 wide."""
    for name in "ab":
        picture(tmp_path / "images" / f"{name}.jpg")
    return tmp_path


def test_with_header(root: Path):
    rows = "a.jpg,60,40,dog,1,2,30,40\nb.jpg,60,40,,,,,\na.jpg,60,40,cat,10.5,0,60,20\n"
    (root / "train_labels.csv").write_text(HEADER + rows)
    dataset = load_dataset(root)
    first, second = dataset.split("train")
    assert (dataset.layout, dataset.labels) == ("csv", ("cat", "dog"))
    assert (first.image_id, second.image_id) == ("a.jpg", "b.jpg")
    np.testing.assert_array_equal(first.boxes_px, [[2, 1, 40, 30], [0, 10.5, 20, 60]])
    assert first.classes.tolist() == [1, 0]
    assert second.boxes_px.shape == (0, 4)


def test_columns_are_found_by_name(root: Path):
    (root / "train.csv").write_text("xmax,class,ymin,filename,xmin,ymax\n30,dog,2,a.jpg,1,40\n")
    (example,) = load_dataset(root).split("train")
    np.testing.assert_array_equal(example.boxes_px, [[2, 1, 40, 30]])


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_without_header(root: Path, order: tuple[str, str]):
    rows = {"a": "images/a.jpg,1,2,30,40,dog\n", "b": f"{root}/images/b.jpg,,,,,\n"}
    (root / "train.csv").write_text("".join(rows[name] for name in order))
    by_id = {example.image_id: example for example in load_dataset(root).split("train")}
    np.testing.assert_array_equal(by_id["a.jpg"].boxes_px, [[2, 1, 40, 30]])
    assert by_id["b.jpg"].boxes_px.shape == (0, 4)


def test_a_single_file_is_split_by_hashing(root: Path):
    (root / "all.csv").write_text("a.jpg,1,2,30,40,dog\nb.jpg,,,,,\n")
    dataset = load_dataset(root)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert sum(len(split) for split in dataset.splits.values()) == 2


def test_label_file_fixes_the_order_and_the_classes(root: Path):
    (root / "labels.txt").write_text("dog\ncat\n")
    path = root / "train.csv"
    path.write_text("a.jpg,1,2,30,40,cat\na.jpg,1,2,30,40,fish\n")
    message = f"{path}, image a.jpg, line 2: class 'fish' is not in the list; allowed: cat, dog"
    with pytest.raises(DatasetError) as error:
        load_dataset(root)
    assert str(error.value) == message + MEND
    dataset = load_dataset(root, skip_invalid=True)
    assert dataset.labels == ("dog", "cat")
    assert dataset.split("train")[0].classes.tolist() == [1]


@pytest.mark.parametrize(
    "row, message",
    [
        ("a.jpg,60,40,cat,x,2,30,4", "train.csv, line 3: xmin is 'x', expected a number"),
        ("a.jpg,60,40,cat,1,2", "train.csv, line 3: ymax is '', expected a number"),
        ("a.jpg,60,40,,1,2,30,4", "train.csv, line 3: has no class name"),
        ("a.jpg,60,40,cat,30,2,30,4", "train.csv, image a.jpg, line 3: xmax (30) <= xmin (30)"),
        ("c.jpg,60,40,cat,1,2,30,4", "train.csv, line 3: no such image 'c.jpg'; looked beside"),
    ],
)
def test_invalid_rows(root: Path, row: str, message: str):
    (root / "train.csv").write_text(f"{HEADER}a.jpg,60,40,cat,1,2,30,40\n{row}\n")
    with pytest.raises(DatasetError) as error:
        load_dataset(root)
    assert str(error.value).startswith(f"{root}/{message}")
    dataset = load_dataset(root, skip_invalid=True)
    assert len(dataset.skipped) == 1
    np.testing.assert_array_equal(dataset.split("train")[0].boxes_px, [[2, 1, 40, 30]])


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/secret.jpg", "x/../../secret.jpg"])
def test_paths_that_lead_elsewhere_are_refused(root: Path, name: str):
    (root / "train.csv").write_text(f"a.jpg,1,2,30,40,dog\n{name},1,2,3,4,dog\n")
    with pytest.raises(DatasetError, match=f"line 2: path '{name}' leads out of the data set"):
        load_dataset(root, skip_invalid=True)


def test_other_csv_files_are_no_annotations(root: Path):
    (root / "notes.csv").write_text("name,colour\na,red\n")
    with pytest.raises(DatasetError, match="unrecognised data set layout; expected"):
        load_dataset(root)
    with pytest.raises(
        DatasetError, match=r"notes\.csv, line 1: got 'name,colour', expected a head"
    ):
        load_dataset(root / "notes.csv")


def test_raccoon(shared_data: Path):
    dataset = load_dataset(shared_data / "raccoon" / "csv")
    boxes = {name: sum(len(e.classes) for e in split) for name, split in dataset.splits.items()}
    assert boxes == {"train": 173, "test": 44, "raccoon": 217}


def test_the_csv_says_the_same_as_the_xml(shared_data: Path):
    root = shared_data / "raccoon"
    from_csv = load_dataset(root / "csv" / "raccoon_labels.csv")
    from_xml = load_dataset(root)
    for split, examples in from_xml.splits.items():
        by_id = {example.image_id: example for example in from_csv.splits[split]}
        assert len(by_id) == len(examples)
        for example in examples:
            np.testing.assert_array_equal(by_id[example.image_id].boxes_px, example.boxes_px)
