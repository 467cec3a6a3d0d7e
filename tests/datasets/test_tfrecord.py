"""The TFRecord layout: shards, splits, class names, names of pictures, and what is refused."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.datasets import Dataset, Example, annotations_sha256, load_dataset, pictures_sha256
from edge_retina.datasets import tfrecord_writer as writer
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.tf_example import encode_example
from edge_retina.datasets.tfrecord_file import write_record
from edge_retina.errors import DatasetError
from edge_retina.runtime.image import load_image
from edge_retina.stored_files import read_bytes

Write = Callable[..., Path]
Record = Mapping[str, Any]
JPEG = cv2.imencode(".jpg", np.full((40, 60, 3), 128, np.uint8))[1].tobytes()
OTHER = cv2.imencode(".png", np.full((40, 60, 3), 9, np.uint8))[1].tobytes()


def record(
    name: str = "a.jpg",
    *objects: tuple[str, int],
    encoded: bytes = JPEG,
    without: Sequence[str] = (),
    **more: Any,
) -> dict[str, Any]:
    """The features of a 60x40 picture; each object has the box xmin 6 ymin 4 xmax 30 ymax 20."""
    count = len(objects)
    features = {
        "image/encoded": encoded,
        "image/format": b"jpeg",
        "image/filename": name.encode(),
        "image/height": [40],
        "image/width": [60],
        "image/object/bbox/ymin": [0.1] * count,
        "image/object/bbox/xmin": [0.1] * count,
        "image/object/bbox/ymax": [0.5] * count,
        "image/object/bbox/xmax": [0.5] * count,
        "image/object/class/text": [text.encode() for text, _ in objects],
        "image/object/class/label": [number for _, number in objects],
        **more,
    }
    return {
        key: value for key, value in features.items() if not key.endswith(tuple(without) or ";")
    }


CAT, DOG = record("a.jpg", ("cat", 1)), record("b.jpg", ("dog", 2), ("cat", 1))


def write(path: Path, *records: Record | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    for item in records:
        write_record(stream, item if isinstance(item, bytes) else encode_example(item))
    path.write_bytes(stream.getvalue())
    return path


def names(dataset: Dataset) -> dict[str, list[str]]:
    return {name: [item.image_id for item in items] for name, items in dataset.splits.items()}


def refusal(root: Path, **options: bool) -> str:
    with pytest.raises(DatasetError) as error:
        load_dataset(root, **options)
    return str(error.value)


# Reading


def test_boxes_classes_flags_and_pictures(tmp_path: Path):
    flags = {"image/object/is_crowd": [0, 1], "image/object/difficult": [1, 0], "unknown": [1.5]}
    write(tmp_path / "train.tfrecord", record("x/b.jpg", ("dog", 2), ("cat", 1), **flags), CAT)
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.labels) == ("tfrecord", ("cat", "dog"))
    first, second = dataset.split("train")
    assert (first.image_id, second.image_id) == ("x/b.jpg", "a.jpg")
    assert first.image_hw == (40, 60)
    assert first.boxes_px.tolist() == [[4, 6, 20, 30]] * 2
    assert first.classes.tolist() == [1, 0]
    assert (first.crowd.tolist(), first.difficult.tolist()) == ([False, True], [True, False])
    assert read_bytes(second.path) == JPEG
    assert load_image(second.path).shape == (40, 60, 3)
    assert second.path.parent.parent == tmp_path / "train.tfrecord"


def test_pictures_without_objects_or_a_stated_size(tmp_path: Path):
    bare = record("a.jpg", without=("bbox/ymin", "bbox/xmin", "bbox/ymax", "bbox/xmax", "text"))
    unsized = record("b.jpg", ("cat", 1), without=("height", "width"))
    write(tmp_path / "train.record", bare, unsized)
    first, second = load_dataset(tmp_path).split("train")
    assert first.boxes_px.shape == (0, 4)
    np.testing.assert_allclose(second.boxes_px, [[4, 6, 20, 30]], atol=1e-4)


@pytest.mark.parametrize(
    "files, expected",
    [
        (["train.tfrecord", "valid.tfrecord", "test.tfrecord"], ["train", "val", "test"]),
        (["train/Cells.tfrecord", "valid/Cells.tfrecord"], ["train", "val"]),
        (["coco_train.record-00000-of-00001", "coco_val.record-00000-of-00001"], ["train", "val"]),
        (["val-00000-of-00001.tfrecords", "TRAIN.TFRECORD"], ["train", "val"]),
        (["train.record", "big_train.record"], ["train", "big_train"]),
        (["train.record", "trainval.record"], ["train", "trainval"]),
    ],
)
def test_splits_are_those_of_files_and_directories(
    tmp_path: Path, files: list[str], expected: list[str]
):
    for number, name in enumerate(files):
        write(tmp_path / name, record(f"{number}.jpg", ("cat", 1)))
    found = names(load_dataset(tmp_path))
    assert list(found) == expected
    assert sorted(found.values()) == [[f"{number}.jpg"] for number in range(len(files))]


def test_shards_without_the_name_of_a_split_are_split_by_name(tmp_path: Path):
    for number in range(3):
        records = [record(f"{number}-{n}.jpg", ("cat", 1)) for n in range(10)]
        write(tmp_path / f"part-0000{number}-of-00003.tfrecord", *records)
    found = load_dataset(tmp_path)
    assert list(found.splits) == ["train", "val", "test"]
    assert sum(map(len, found.splits.values())) == 30
    # One file of a series stands for all of it
    again = load_dataset(tmp_path / "part-00001-of-00003.tfrecord")
    assert names(again) == names(found)


def test_one_file_may_be_given(tmp_path: Path):
    write(tmp_path / "train.tfrecord", CAT)
    path = write(tmp_path / "coco_val.record-00000-of-00001", DOG)
    assert names(load_dataset(path)) == {"val": ["b.jpg"]}


def test_a_missing_shard_is_named(tmp_path: Path):
    for number in (0, 1, 3):
        write(tmp_path / f"train.record-{number:05d}-of-00004", record(f"{number}.jpg", ("cat", 1)))
    said = refusal(tmp_path)
    assert said.startswith(
        f"{tmp_path}/train.record-00002-of-00004: is missing: 3 of 4 files of its series are there;"
    )
    assert len(load_dataset(tmp_path, skip_invalid=True).split("train")) == 3
    # A name that promises a billion files doesn't make anybody look for them
    write(tmp_path / "val-000-of-999999999.record", record("v.jpg", ("cat", 1)))
    assert "val-001-of-999999999.record: is missing" in str(
        load_dataset(tmp_path, skip_invalid=True).skipped
    )


# Class names


@pytest.mark.parametrize(
    "name, text",
    [
        ("labels.txt", "dog\ncat\n"),
        ("label_map.pbtxt", "item { id: 2 name: 'cat' } item { id: 1 name: 'dog' }"),
        ("train/Cells_label_map.pbtxt", "item { id: 1 name: 'dog' } item { id: 5 name: 'cat' }"),
    ],
)
def test_where_class_names_come_from(tmp_path: Path, name: str, text: str):
    write(tmp_path / "train" / "Cells.tfrecord", record("a.jpg", ("cat", 7), ("dog", 7)))
    (tmp_path / name).write_text(text)
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("dog", "cat")
    assert dataset.split("train")[0].classes.tolist() == [1, 0]  # texts count, not numbers


@pytest.mark.parametrize(
    "name, text, labels",
    [
        ("labels.txt", "dog\ncat\n", ("dog", "cat")),
        ("my_label_map.pbtxt", "item { id: 2 name: 'x' display_name: 'cat' }", ("cat",)),
    ],
)
def test_numbers_alone_need_a_list(tmp_path: Path, name: str, text: str, labels: tuple[str, ...]):
    write(tmp_path / "train.tfrecord", record("a.jpg", ("cat", 2), without=("text",)))
    said = refusal(tmp_path)
    assert f"{tmp_path}/train.tfrecord, record 1 at byte 0, object 1: has a number as its" in said
    assert f"label_map.pbtxt into {tmp_path}" in said
    (tmp_path / name).write_text(text)
    dataset = load_dataset(tmp_path)
    assert dataset.labels == labels
    assert labels[dataset.split("train")[0].classes[0]] == "cat"


def test_a_text_may_be_the_other_name_of_a_class(tmp_path: Path):
    write(tmp_path / "train.tfrecord", record("a.jpg", ("/m/01", 9), ("cat", 9)))
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: '/m/01' display_name: 'cat' }")
    assert load_dataset(tmp_path).split("train")[0].classes.tolist() == [0, 0]


def test_label_maps_must_agree(tmp_path: Path):
    for split, label in (("train", "cat"), ("valid", "dog")):
        write(tmp_path / split / "x.tfrecord", record(f"{split}.jpg", (label, 1)))
        (tmp_path / split / "x_label_map.pbtxt").write_text(f"item {{ id: 1 name: '{label}' }}")
    assert "valid/x_label_map.pbtxt: its classes differ from those of" in refusal(tmp_path)


# Names of pictures


@pytest.mark.parametrize(
    "features, expected",
    [
        ({"name": "deep/a.jpg"}, "deep/a.jpg"),
        ({"name": "/home/bob/../a.jpg"}, "home/bob/a.jpg"),
        ({"name": "C:\\pictures\\a.jpg"}, "pictures/a.jpg"),
        ({"name": "../../a.jpg"}, "a.jpg"),
        ({"name": "397133"}, "397133.jpg"),
        ({"name": "397133", "encoded": OTHER}, "397133.png"),
        ({"name": "", "image/source_id": b"7"}, "7.jpg"),
        ({"name": "\0", "image/source_id": b"two\nlines"}, "000001.jpg"),
        ({"name": "x" * 300}, "000001.jpg"),
        ({"without": ("filename",)}, "000001.jpg"),
        ({"name": "a.tfrecord/1+2/b.jpg"}, "000001.jpg"),
    ],
)
def test_names_of_pictures(tmp_path: Path, features: dict[str, Any], expected: str):
    write(tmp_path / "train.tfrecord", record(**{"name": "a.jpg", **features}), DOG)
    example = load_dataset(tmp_path).split("train")[0]
    assert example.image_id == expected
    assert read_bytes(example.path) == features.get("encoded", JPEG)
    write_dataset(load_dataset(tmp_path), tmp_path / "out", layout="coco")
    assert load_dataset(tmp_path / "out").split("train")[0].image_id == expected


def test_pictures_of_one_name(tmp_path: Path):
    again = record("a.jpg", ("cat", 1), encoded=OTHER)
    write(tmp_path / "train.tfrecord", CAT)
    write(tmp_path / "trainval.tfrecord", CAT, DOG)
    write(tmp_path / "val.tfrecord", again)
    dataset = load_dataset(tmp_path)
    assert names(dataset) == {
        "train": ["a.jpg"],
        "val": ["val/a.jpg"],  # another picture
        "trainval": ["a.jpg", "b.jpg"],
    }
    assert np.shares_memory(*(dataset.split(x)[0].boxes_px for x in ("train", "trainval")))
    assert read_bytes(dataset.split("val")[0].path) == OTHER
    write(tmp_path / "train.tfrecord", CAT, again)
    said = refusal(tmp_path)
    assert "train.tfrecord, record 2 at byte" in said
    assert "image 'a.jpg' is listed twice in split 'train'" in said


# Damage


@pytest.mark.parametrize(
    "bad, said",
    [
        (b"\x0a\x05abc", "has a field that is longer than what holds it"),
        (b"", "has 0 pictures in image/encoded, expected one; its features are: none"),
        (
            {"image": b"x", "label": [1]},
            "image/encoded, expected one; its features are: image, label",
        ),
        (record("c.jpg", encoded=b""), "file is empty"),
        (record("c.jpg", encoded=b"text"), "not an image"),
        (
            record("c.jpg", ("cat", 1), **{"image/object/bbox/xmin": []}),
            "but 0 in image/object/bbox",
        ),
        (
            record("c.jpg", ("cat", 1), **{"image/object/is_crowd": [0, 0]}),
            "but 2 in image/object/is",
        ),
        (record("c.jpg", **{"image/height": [41]}), "size is stated as 60x41, but c.jpg has 60x40"),
    ],
)
def test_a_bad_record_is_one_problem(tmp_path: Path, bad: Record | bytes, said: str):
    path = write(tmp_path / "train.tfrecord", CAT, bad, DOG)
    start = 16 + len(encode_example(CAT))
    message = refusal(tmp_path)
    assert message.startswith(f"{path}, record 2 at byte {start}: ")
    assert said in message
    assert len(load_dataset(tmp_path, skip_invalid=True).split("train")) == 2


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"image/object/bbox/xmax": [float("nan")]}, "a side of its box is not a number"),
        ({"image/object/bbox/xmax": [0.05]}, "xmax (3) <= xmin (6)"),
        ({"image/object/class/text": [b""], "without": ("label",)}, "has no class name"),
        ({"image/object/class/text": [b"cow"]}, "class 'cow' is not in the list"),
        ({"image/object/class/label": [3], "without": ("text",)}, "class number 3 is not in the"),
        ({"image/object/class/label": [0], "without": ("text",)}, "class number 0 is not in the"),
    ],
)
def test_a_bad_object_is_one_problem(tmp_path: Path, changes: dict[str, Any], said: str):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    bad = record("c.jpg", ("cat", 1), **changes)
    write(tmp_path / "train.tfrecord", bad, DOG)
    message = refusal(tmp_path)
    assert f"train.tfrecord, record 1 at byte 0, object 1: {said}" in message
    dataset = load_dataset(tmp_path, skip_invalid=True)
    assert [len(item.classes) for item in dataset.split("train")] == [0, 2]


def test_flipped_pixels_are_found_by_a_thorough_reading(tmp_path: Path):
    path = write(tmp_path / "train.tfrecord", CAT, DOG)
    data = bytearray(path.read_bytes())
    data[data.index(JPEG) + len(JPEG) // 2] ^= 1
    path.write_bytes(data)
    load_dataset(tmp_path)
    said = refusal(tmp_path, thorough=True)
    assert said.startswith(f"{path}, record 1 at byte 0: its data don't fit their checksum; write")
    found = load_dataset(tmp_path, thorough=True, skip_invalid=True)
    assert names(found) == {"train": ["b.jpg"]}


def test_a_compressed_shard_is_refused(tmp_path: Path):
    path = write(tmp_path / "train.tfrecord", CAT)
    packed = tmp_path / "train.tfrecord.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert refusal(tmp_path).startswith(f"{packed}: is compressed with gzip, so no picture can")
    packed.rename(path)
    assert refusal(tmp_path).startswith(f"{path}: is compressed with gzip")


def test_links_that_lead_out_are_refused(tmp_path: Path):
    root = tmp_path / "data"
    write(root / "train.tfrecord", CAT)
    outside = write(tmp_path / "secret.tfrecord", DOG)
    (root / "val.tfrecord").symlink_to(outside)
    assert f"val.tfrecord: symbolic link leads out of the data set (to {outside})" in refusal(root)
    (root / "val.tfrecord").unlink()
    (tmp_path / "elsewhere").mkdir()
    outside.rename(tmp_path / "elsewhere" / "x.tfrecord")
    (root / "val").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link leads out of the data set" in refusal(root)
    (root / "val").unlink()
    (root / "val.tfrecord").symlink_to("train.tfrecord")
    assert len(load_dataset(root).split("val")) == 1
    (root / "val.tfrecord").unlink()
    os.mkfifo(root / "val.tfrecord")
    assert "val.tfrecord: not a regular file" in refusal(root)


# dataset.toml


def test_dataset_toml(tmp_path: Path):
    write(tmp_path / "x" / "one-00000-of-00002.record", record("a.jpg", ("", 1)))
    write(tmp_path / "x" / "one-00001-of-00002.record", record("b.jpg", ("", 2)))
    write(tmp_path / "x" / "two.record", record("c.jpg", ("", 2)))
    head = 'layout = "tfrecord"\nlabels = ["dog", "cat"]\n'
    toml = tmp_path / "dataset.toml"
    toml.write_text(
        head + '[splits]\nmine = "x/one-00000-of-00002.record"\nother = "x/two.record"\n'
    )
    dataset = load_dataset(tmp_path)
    assert names(dataset) == {"mine": ["a.jpg", "b.jpg"], "other": ["c.jpg"]}
    assert (dataset.labels, dataset.split("other")[0].classes.tolist()) == (("dog", "cat"), [1])
    toml.write_text(head + 'annotations = "x"\n')
    found = [name for items in names(load_dataset(tmp_path)).values() for name in items]
    assert sorted(found) == ["a.jpg", "b.jpg", "c.jpg"]
    (tmp_path / "empty").mkdir()
    toml.write_text(head + 'annotations = "empty"\n')
    assert "dataset.toml, annotations: no *.tfrecord or *.tfrecords or *.record in" in refusal(
        tmp_path
    )
    toml.write_text(head + 'annotations = "dataset.toml"\n')
    assert "dataset.toml: not a TFRecord file; expected .tfrecord or" in refusal(tmp_path)


# Writing


@pytest.fixture
def source(tmp_path: Path, coco_json: Write) -> Dataset:
    boxes = [(1, [1.23, 2.5, 30.11, 20.07]), (2, [10, 0, 50, 40], 1)]
    images = [(f"{number}.jpg", boxes if number % 3 else []) for number in range(9)]
    coco_json(tmp_path / "source", images)
    coco_json(tmp_path / "source", [("v.jpg", boxes[:1])], name="annotations/instances_val.json")
    return load_dataset(tmp_path / "source")


def test_shards_are_filled_in_order(
    source: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    size = len(encode_example(CAT))
    for limit, count in ((1 << 27, 1), (3 * size, 4), (1, 9)):
        monkeypatch.setattr(writer, "SHARD_BYTES", limit)
        out = tmp_path / f"out-{limit}"
        write_dataset(source, out, layout="tfrecord")
        shards = sorted(path.name for path in out.glob("train*"))
        shown = range(len(shards))
        assert shards == [f"train-{n:05d}-of-{len(shards):05d}.tfrecord" for n in shown]
        assert abs(len(shards) - count) <= 1
        again = load_dataset(out, thorough=True)
        assert names(again) == names(source)
        assert again.labels == source.labels
        for split in source.splits:
            one, two = source.split(split), again.split(split)
            assert annotations_sha256(one) == annotations_sha256(two)
            assert pictures_sha256(one) == pictures_sha256(two)
            assert all((a.boxes_px == b.boxes_px).all() for a, b in zip(one, two, strict=True))
        write_dataset(source, tmp_path / "twice", layout="tfrecord", force=True)
        for name in shards:
            assert (out / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_boxes_in_hundredths_come_back_exactly(tmp_path: Path, picture: Write):
    rng, hw = np.random.default_rng(0), (413, 997)
    corners = rng.uniform(0, 0.5, (500, 2)), rng.uniform(0.51, 1, (500, 2))
    boxes = (np.concatenate(corners, axis=1) * (*hw, *hw)).round(2).astype(np.float32)
    path, none = picture(tmp_path / "a.jpg", hw), np.zeros(500, bool)
    example = Example("a.jpg", path, hw, boxes, np.zeros(500, np.int32), none)
    dataset = Dataset("x", tmp_path / "x", ("cat",), {"train": (example,)}, "coco")
    write_dataset(dataset, tmp_path / "out", layout="tfrecord")
    (again,) = load_dataset(tmp_path / "out").split("train")
    np.testing.assert_array_equal(again.boxes_px, boxes)


def test_every_layout_can_be_made_of_shards(source: Dataset, tmp_path: Path):
    write_dataset(source, tmp_path / "shards", layout="tfrecord")
    shards = load_dataset(tmp_path / "shards")
    for layout in ("coco", "voc", "yolo", "csv", "tfrecord"):
        write_dataset(shards, tmp_path / f"as-{layout}", layout=layout)
        again = load_dataset(tmp_path / f"as-{layout}")
        for split in source.splits:
            one, two = (pictures_sha256(items.split(split)) for items in (source, again))
            assert one == two, (layout, names(again))


def test_a_picture_that_is_gone(source: Dataset, tmp_path: Path):
    source.split("train")[4].path.unlink()
    with pytest.raises(DatasetError, match=r"4\.jpg: can't be copied \(No such file"):
        write_dataset(source, tmp_path / "out", layout="tfrecord")
    write(tmp_path / "shards" / "train.tfrecord", CAT)
    shards = load_dataset(tmp_path / "shards")
    (tmp_path / "shards" / "train.tfrecord").write_bytes(b"")
    for layout in ("coco", "tfrecord"):
        with pytest.raises(DatasetError, match=r"can't be copied.*its shard has only 0 bytes"):
            write_dataset(shards, tmp_path / "out", layout=layout)
    with pytest.raises(DatasetError, match=r"can't be read .its shard has only 0 bytes"):
        load_image(shards.split("train")[0].path)
