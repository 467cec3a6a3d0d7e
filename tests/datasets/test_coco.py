from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.datasets.coco import detect_coco, read_coco
from edge_retina.datasets.problems import Problems
from edge_retina.errors import DatasetError

MEND = "; fix the file or pass --skip-invalid (data.skip_invalid = true)"
Write = Callable[..., Path]


def edit(path: Path, change: Callable[[dict], object]) -> None:
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))


def test_ignored_objects_are_difficult_unless_they_are_crowds(tmp_path: Path, coco_json: Write):
    boxes = [(1, [1, 2, 30, 20]), (1, [5, 6, 7, 8]), (2, [10, 0, 50, 40], 1)]
    path = coco_json(tmp_path, [("a.jpg", boxes)])
    tree = json.loads(path.read_text())
    for item, ignore in zip(tree["annotations"], (0, 1, 1), strict=True):
        item["ignore"] = ignore
    path.write_text(json.dumps(tree))
    (example,) = load_dataset(tmp_path).split("train")
    assert example.difficult.tolist() == [False, True, False]
    assert example.crowd.tolist() == [False, False, True]
    assert example.ignored.tolist() == [False, True, True]


def test_xywh_becomes_yxyx_and_ids_with_gaps_become_indices(tmp_path: Path, coco_json: Write):
    objects = [(90, [1, 2, 30, 20]), (3, [10.5, 0, 4.25, 8], 1)]
    coco_json(
        tmp_path,
        [("a.jpg", objects), ("b.jpg", [])],
        categories=((90, "dog"), (3, "cat"), (7, "x")),
    )
    dataset = load_dataset(tmp_path)
    first, second = dataset.split("train")
    assert (dataset.layout, dataset.labels) == ("coco", ("cat", "x", "dog"))
    np.testing.assert_array_equal(first.boxes_px, [[2, 1, 22, 31], [0, 10.5, 8, 14.75]])
    assert first.classes.tolist() == [2, 0]
    assert first.crowd.tolist() == [False, True]
    assert second.boxes_px.shape == (0, 4)


def test_each_file_is_a_split_and_captions_are_not(tmp_path: Path, coco_json: Write):
    coco_json(
        tmp_path, [("a.jpg", [(1, [1, 2, 30, 20])])], name="annotations/instances_train2017.json"
    )
    coco_json(tmp_path, [("b.jpg", [])], name="annotations/instances_val2017.json")
    captions = coco_json(tmp_path, [("a.jpg", [])], name="annotations/captions_val2017.json")
    edit(captions, lambda tree: tree.update(annotations=[{"image_id": 1, "caption": "a cat"}]))
    (tmp_path / "annotations" / "other.json").write_text("[1, 2]")
    assert {name: len(split) for name, split in load_dataset(tmp_path).splits.items()} == {
        "train": 1,
        "val": 1,
    }


@pytest.mark.parametrize(
    "place", ["images/val2017", "images/val", "val2017", "images", "data", "."]
)
def test_where_pictures_may_be(tmp_path: Path, coco_json: Write, picture: Write, place: str):
    coco_json(tmp_path, [("a.jpg", [(1, [1, 2, 3, 4])])], name="annotations/instances_val2017.json")
    (tmp_path / "images" / "a.jpg").unlink()
    picture(tmp_path / place / "a.jpg")
    (example,) = load_dataset(tmp_path).split("val")
    assert example.path == tmp_path / place / "a.jpg"
    below_images = (Path(place) / "a.jpg").as_posix().removeprefix("images/")
    assert example.image_id == below_images


def test_the_splits_own_directory_goes_first(tmp_path: Path, coco_json: Write, picture: Write):
    for split in ("train", "val"):
        coco_json(tmp_path, [("a.jpg", [])], name=f"annotations/instances_{split}.json")
        picture(tmp_path / "images" / split / "a.jpg")
    ids = [item.image_id for split in load_dataset(tmp_path).splits.values() for item in split]
    assert ids == ["train/a.jpg", "val/a.jpg"]


def test_one_file_without_a_split_in_its_name_is_split_by_hashing(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [(f"{n}.jpg", [(1, [1, 2, 3, 4])]) for n in range(20)], name="labels.json")
    dataset = load_dataset(tmp_path)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert sum(len(split) for split in dataset.splits.values()) == 20
    again = load_dataset(tmp_path / "labels.json")
    assert [len(s) for s in again.splits.values()] == [len(s) for s in dataset.splits.values()]
    assert load_dataset(tmp_path, seed=5).splits["test"] != dataset.splits["test"]


def test_roboflow_layout(tmp_path: Path, coco_json: Write, picture: Write):
    for split in ("train", "valid"):
        coco_json(tmp_path, [("a.jpg", [])], name=f"{split}/_annotations.coco.json")
        picture(tmp_path / split / "a.jpg")
    dataset = load_dataset(tmp_path)
    assert [item.image_id for item in dataset.split("val")] == ["valid/a.jpg"]


def test_a_file_given_directly(tmp_path: Path, coco_json: Write):
    path = coco_json(tmp_path, [("a.jpg", [(1, [1, 2, 3, 4])])])
    dataset = load_dataset(path)
    assert dataset.root == tmp_path
    assert len(dataset.split("train")) == 1


@pytest.mark.parametrize("used, labels", [(False, ("cat",)), (True, ("background", "cat"))])
def test_an_unused_background_is_no_class(
    tmp_path: Path, coco_json: Write, used: bool, labels: tuple[str, ...]
):
    objects = [(1, [1, 2, 3, 4])] + [(0, [1, 2, 3, 4])] * used
    coco_json(tmp_path, [("a.jpg", objects)], categories=((0, "background"), (1, "cat")))
    dataset = load_dataset(tmp_path)
    assert dataset.labels == labels
    assert dataset.split("train")[0].classes[0] == labels.index("cat")


@pytest.mark.parametrize(
    "item, message",
    [
        ((1, [5, 2, 0, 4]), "image a.jpg, annotation 1: xmax (5) <= xmin (5)"),
        (
            (1, [5, 2, 4]),
            "image a.jpg, annotation 1: bbox is [5, 2, 4], expected the 4 numbers "
            "x, y, width, height",
        ),
        (
            (1, [5, "b", 4, 4]),
            "image a.jpg, annotation 1: bbox is [5, 'b', 4, 4], expected the 4 numbers "
            "x, y, width, height",
        ),
        (
            (1, None),
            "image a.jpg, annotation 1: bbox is None, expected the 4 numbers x, y, width, height",
        ),
        (
            (9, [5, 2, 4, 4]),
            "image a.jpg, annotation 1: category_id 9 is not in the list of categories",
        ),
        (
            ([9], [5, 2, 4, 4]),
            "image a.jpg, annotation 1: category_id [9] is not in the list of categories",
        ),
        (
            (1, [50, 2, 20, 4]),
            "image a.jpg, annotation 1: box xmin 50 ymin 2 xmax 70 ymax 6 sticks out of the "
            "60x40 image",
        ),
    ],
)
def test_invalid_objects(tmp_path: Path, coco_json: Write, item: tuple, message: str):
    path = coco_json(tmp_path, [("a.jpg", [item, (1, [1, 1, 5, 5])])])
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == f"{path}, {message}{MEND}"
    dataset = load_dataset(tmp_path, skip_invalid=True)
    assert dataset.skipped == (f"{path}, {message}",)
    kept = dataset.split("train")[0].boxes_px
    np.testing.assert_array_equal(kept[-1], [1, 1, 6, 6])
    assert len(kept) == (2 if "sticks out" in message else 1)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda t: t["images"][0].pop("file_name"), "image 1: got {'id': 1,"),
        (lambda t: t["images"][0].update(id=[1]), "image 1: got {'id': [1],"),
        (lambda t: t["images"].append(t["images"][0]), "image 2: id 1 is duplicated"),
        (lambda t: t["categories"][0].pop("name"), "category 1: got {'id': 1}, expected an id"),
        (lambda t: t["categories"][1].update(id=1), "category 2: id 1 is duplicated"),
        (lambda t: t["categories"][1].update(name="cat"), "class 'cat' is duplicated"),
        (lambda t: t["categories"].clear(), "categories: no class names; expected at least one"),
    ],
)
def test_broken_files(
    tmp_path: Path, coco_json: Write, change: Callable[[dict], object], message: str
):
    path = coco_json(tmp_path, [("a.jpg", [])])
    edit(path, change)
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path, skip_invalid=True)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)


def test_malformed_json(tmp_path: Path, coco_json: Write):
    path = coco_json(tmp_path, [("a.jpg", [])])
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DatasetError, match=r"instances_train\.json: malformed JSON \(Expecting"):
        load_dataset(tmp_path)


def test_a_json_of_another_kind(tmp_path: Path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(
        DatasetError, match=r"a\.json: not a COCO file; expected the lists images, annotations"
    ):
        load_dataset(tmp_path / "a.json")


def test_files_must_agree_about_categories(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [("a.jpg", [])])
    coco_json(
        tmp_path, [("b.jpg", [])], name="annotations/instances_val.json", categories=((1, "bird"),)
    )
    message = (
        f"{tmp_path}/annotations/instances_val.json: its categories differ from those of "
        "instances_train.json; all files of a data set must have the same"
    )
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == message


def test_missing_picture(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [("a.jpg", []), ("b.jpg", [])])
    (tmp_path / "images" / "a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"image a\.jpg: no such image; looked in images/, "):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_invalid=True).split("train")) == 1


def test_the_same_picture_twice(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [("a.jpg", []), ("a.jpg", [])])
    with pytest.raises(DatasetError, match=r"image 'a\.jpg' is listed twice in split 'train'"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/secret.jpg"])
def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path, coco_json: Write, name: str):
    coco_json(tmp_path, [(name, [])])
    with pytest.raises(DatasetError, match=f"image {name}: path '{name}' "):
        load_dataset(tmp_path, skip_invalid=True)


def test_coco_tiny(shared_data: Path):
    dataset = load_dataset(shared_data / "coco_tiny")
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 80, "val": 80}
    everything = dataset.splits["train"] + dataset.splits["val"]
    assert len(dataset.labels) == 80
    assert (dataset.labels[0], dataset.labels[79]) == ("person", "toothbrush")
    assert sum(len(item.classes) for item in everything) == 1520
    assert sum(int(item.crowd.sum()) for item in everything) == 17


def test_mediapipe_coco(shared_data: Path):
    with pytest.raises(DatasetError, match=r"sticks out of the \d+x\d+ image"):
        load_dataset(shared_data / "mediapipe_min" / "coco_data")
    dataset = load_dataset(shared_data / "mediapipe_min" / "coco_data", skip_invalid=True)
    everything = [item for split in dataset.splits.values() for item in split]
    assert len(everything) == 5
    assert sum(len(item.classes) for item in everything) == 57


def test_memory_is_that_of_the_boxes_not_of_the_outlines(tmp_path: Path):
    """100,000 pictures with ten objects each: 0.8 GB while they are read, whatever their outlines.

    As parsed JSON an outline of 40 points alone takes 2.5 kB, and an object 0.8 kB.
    """
    pictures, objects = 400, 10
    outline = [[round(number * 1.37, 2) for number in range(80)]]
    tree = {
        "images": [
            {"id": number, "file_name": f"{number}.png", "height": 100, "width": 100}
            for number in range(pictures)
        ],
        "annotations": [
            {
                "id": number * objects + place,
                "image_id": number,
                "category_id": 1,
                "bbox": [1.5, 2.5, 10.25, 20.125],
                "area": 206.3,
                "segmentation": outline,
                "iscrowd": 0,
            }
            for number in range(pictures)
            for place in range(objects)
        ],
        "categories": [{"id": 1, "name": "a"}],
    }
    (tmp_path / "images").mkdir()
    picture = b"\x89PNG"
    for number in range(pictures):
        (tmp_path / "images" / f"{number}.png").write_bytes(picture)
    text = json.dumps(tree)
    (tmp_path / "labels.json").write_text(text)
    text_bytes = len(text)
    del tree, text
    tracemalloc.start()
    try:
        found = detect_coco(tmp_path)
        assert found is not None
        _, parsing = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        splits = read_coco(found, Problems(skip_invalid=True))
        _, reading = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    images = next(iter(splits.splits.values()))
    assert [len(image.objects) for image in images] == [objects] * pictures
    assert images[3].objects[0].yxyx == (2.5, 1.5, 22.625, 11.75)
    # The file is in memory twice while it is decoded
    assert parsing < 2 * text_bytes + 6000 * pictures
    assert reading < 8000 * pictures
