from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.datasets.loading import check_source, read_source
from edge_retina.datasets.problems import Problems
from edge_retina.errors import DatasetError

MEND = "; fix the file or pass --skip-invalid (data.skip_invalid = true)"
Write = Callable[..., Path]


@pytest.fixture
def yolo(picture: Write) -> Callable[..., Path]:
    """Write a picture of 40 x 60 and its label file; return the label file."""

    def write(root: Path, name: str, text: str = "0 0.5 0.5 0.5 0.25\n") -> Path:
        picture(root / "images" / f"{name}.jpg")
        path = root / "labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_normalised_centres_become_yxyx_pixels(tmp_path: Path, yolo: Callable[..., Path]):
    yolo(tmp_path, "train/a", "1 0.5 0.5 0.5 0.25\n\n0 0 0 0.2 0.2 0.1 0.4\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = load_dataset(tmp_path, skip_invalid=False)
    (example,) = dataset.split("train")
    assert (dataset.layout, dataset.labels) == ("yolo", ("cat", "dog"))
    assert (example.image_id, example.image_hw) == ("train/a.jpg", (40, 60))
    # The second line is a polygon: the box around (0, 0), (.2, .2), (.1, .4).
    np.testing.assert_allclose(example.boxes_px, [[15, 15, 25, 45], [0, 0, 16, 12]], atol=1e-5)
    assert example.classes.tolist() == [1, 0]


@pytest.mark.parametrize(
    "names", ["names: [cat, dog]", "names:\n- cat\n- 'dog'\n", "names:\n  0: cat\n  1: dog\n"]
)
def test_class_names_of_data_yaml(tmp_path: Path, yolo: Callable[..., Path], names: str):
    yolo(tmp_path, "train/a")
    (tmp_path / "data.yaml").write_text(f"train: images/train  # a comment\n{names}")
    assert load_dataset(tmp_path).labels == ("cat", "dog")
    assert load_dataset(tmp_path / "data.yaml").labels == ("cat", "dog")


@pytest.mark.parametrize(
    "train, val",
    [
        ("images/one", "images/two"),
        ("../images/one", "../images/two"),
        ("./one.txt", "two.txt"),
        ("[images/one]", "[images/two]"),
    ],
)
def test_splits_of_data_yaml(tmp_path: Path, yolo: Callable[..., Path], train: str, val: str):
    yolo(tmp_path, "one/a")
    yolo(tmp_path, "two/b")
    (tmp_path / "one.txt").write_text("./images/one/a.jpg\n")
    (tmp_path / "two.txt").write_text("images/two/b.jpg\n\n")
    (tmp_path / "data.yaml").write_text(f"train: {train}\nval: {val}\nnames: [cat]\n")
    dataset = load_dataset(tmp_path)
    assert {name: [e.image_id for e in split] for name, split in dataset.splits.items()} == {
        "train": ["one/a.jpg"],
        "val": ["two/b.jpg"],
    }
    assert len(dataset.split("train")[0].classes) == 1


def test_paths_of_another_machine_are_not_followed(tmp_path: Path, yolo: Callable[..., Path]):
    yolo(tmp_path, "train/a")
    yolo(tmp_path, "valid/b")
    (tmp_path / "data.yaml").write_text("path: /home/me/x\ntrain: ../y/a\nval: b\nnames: [cat]\n")
    assert list(load_dataset(tmp_path).splits) == ["train", "val"]


def test_directory_of_each_split(tmp_path: Path, yolo: Callable[..., Path]):
    yolo(tmp_path / "train", "a")
    yolo(tmp_path / "valid", "b")
    (tmp_path / "data.yaml").write_text("names: [cat]\n")
    dataset = load_dataset(tmp_path)
    assert [e.image_id for e in dataset.split("val")] == ["valid/images/b.jpg"]
    assert len(dataset.split("val")[0].classes) == 1


def test_a_flat_data_set_is_split_by_hashing(tmp_path: Path, yolo: Callable[..., Path]):
    for number in range(12):
        yolo(tmp_path, str(number))
    (tmp_path / "labels" / "classes.txt").write_text("cat\n")
    dataset = load_dataset(tmp_path)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert sum(len(split) for split in dataset.splits.values()) == 12


def test_a_picture_without_label_file_has_no_objects(
    tmp_path: Path, yolo: Callable[..., Path], picture: Write
):
    yolo(tmp_path, "train/a")
    picture(tmp_path / "images" / "train" / "b.jpg")
    yolo(tmp_path, "train/c", "")
    (tmp_path / "classes.txt").write_text("cat\n")
    assert [len(e.classes) for e in load_dataset(tmp_path).split("train")] == [1, 0, 0]


@pytest.mark.parametrize(
    "line, message",
    [
        (
            "0 0.5 0.5 0.5",
            "got '0 0.5 0.5 0.5', expected the numbers class x y width height (0..1)",
        ),
        (
            "0 a 0.5 0.5 1",
            "got '0 a 0.5 0.5 1', expected the numbers class x y width height (0..1)",
        ),
        ("2 0.5 0.5 0.5 0.5", "class 2 is not in the list; allowed: 0..1 (cat, dog)"),
        ("0.5 0.5 0.5 0.5 0.5", "class 0.5 is not in the list; allowed: 0..1 (cat, dog)"),
        ("0 0.5 0.5 0 0.5", "xmax (30) <= xmin (30)"),
        (
            "0 30 20 10 10",
            "box xmin 1500 ymin 600 xmax 2100 ymax 1000 lies outside the 60x40 image",
        ),
    ],
)
def test_invalid_lines(tmp_path: Path, yolo: Callable[..., Path], line: str, message: str):
    path = yolo(tmp_path, "train/a", f"1 0.5 0.5 0.5 0.25\n{line}\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == f"{path}, line 2: {message}{MEND}"
    dataset = load_dataset(tmp_path, skip_invalid=True)
    assert dataset.skipped == (f"{path}, line 2: {message}",)
    assert dataset.split("train")[0].classes.tolist() == [1]


@pytest.mark.parametrize(
    "text, message",
    [
        ("train: images/train\n", "data.yaml: no class names; expected 'names' in data.yaml or"),
        ("names: [cat, cat]\n", "data.yaml, names: class 'cat' is duplicated"),
        ("names: {0: cat, 2: dog}\n", "data.yaml, names: keys are [0, 2], expected 0, 1, 2 ..."),
        ("names: [cat\n", "data.yaml: malformed YAML (while parsing a flow sequence"),
        ("just text\n", "data.yaml: not a YOLO data file; expected keys names, train, val"),
    ],
)
def test_broken_yaml(tmp_path: Path, yolo: Callable[..., Path], text: str, message: str):
    yolo(tmp_path, "train/a")
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}/{message}")


def test_lists_of_names_must_agree(tmp_path: Path, yolo: Callable[..., Path]):
    yolo(tmp_path, "train/a")
    (tmp_path / "data.yaml").write_text("names: [dog, cat]\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/data.yaml: its names ['dog', 'cat'] differ from classes.txt ['cat', 'dog']; "
        "delete the wrong one"
    )


def test_labels_without_picture(tmp_path: Path, yolo: Callable[..., Path]):
    yolo(tmp_path, "train/a")
    yolo(tmp_path, "train/b")
    (tmp_path / "images" / "train" / "b.jpg").unlink()
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(DatasetError, match=r"labels/train/b\.txt: no image for this label file"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_invalid=True).split("train")) == 1


def test_a_picture_that_a_list_repeats_is_kept_once(tmp_path: Path, yolo: Callable[..., Path]):
    """2,000 lines that repeat one picture of 20,000 boxes would be 40 million boxes."""
    yolo(tmp_path, "one/a", "0 0.5 0.5 0.5 0.25\n" * 3)
    yolo(tmp_path, "one/b")
    names = ["images/one/a.jpg", "images/one/b.jpg", *["images/one/a.jpg"] * 5]
    (tmp_path / "list.txt").write_text("\n".join(names))
    (tmp_path / "data.yaml").write_text("train: list.txt\nnames: [cat]\n")
    problems = Problems(skip_invalid=True)
    source = read_source(tmp_path, problems)
    assert source.splits["train"].rows.tolist() == [0, 1, 0, 0, 0, 0, 0]
    assert len(source.columns.label) == 4
    assert len(check_source(source, problems)["train"]) == 2
    assert [problem.code for problem in problems.found] == ["repeated-image"] * 5


def test_a_list_that_leads_elsewhere_is_refused(tmp_path: Path, yolo: Callable[..., Path]):
    yolo(tmp_path, "a")
    (tmp_path / "train.txt").write_text("images/a.jpg\n../../secret.jpg\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: [cat]\n")
    with pytest.raises(
        DatasetError, match=r"train\.txt, line 2: path .* leads out of the data set"
    ):
        load_dataset(tmp_path)


def test_chess(shared_data: Path):
    dataset = load_dataset(shared_data / "chess")
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 202, "val": 58, "test": 29}
    everything = [item for split in dataset.splits.values() for item in split]
    assert sum(len(item.classes) for item in everything) == 2870
    assert len(dataset.labels) == 13
    assert (
        sum(int(np.sum(item.classes == dataset.labels.index("bishop"))) for item in everything) == 1
    )


def test_vehicles(shared_data: Path):
    dataset = load_dataset(shared_data / "vehicles5")
    assert dataset.labels == ("ambulance", "bus", "car", "motorcycle", "truck")
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 439, "val": 125, "test": 63}
    assert sum(len(e.classes) for split in dataset.splits.values() for e in split) == 1194
