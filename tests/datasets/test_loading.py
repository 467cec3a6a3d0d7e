from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_retina.datasets import annotations_sha256, load_dataset
from edge_retina.errors import DatasetError

Write = Callable[..., Path]


def test_missing_directory(tmp_path: Path):
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path / "none")
    assert str(error.value) == f"{tmp_path}/none: no such file or directory; expected a data set"


def test_empty_directory(tmp_path: Path):
    with pytest.raises(DatasetError, match="directory is empty; expected one of Pascal VOC"):
        load_dataset(tmp_path)


def test_unknown_layout_lists_what_was_looked_for(tmp_path: Path, picture: Write):
    picture(tmp_path / "a.jpg")
    with pytest.raises(DatasetError) as error:
        load_dataset(tmp_path)
    for layout in ("COCO", "Pascal VOC", "YOLO", "CSV"):
        assert layout in str(error.value)


def test_unknown_file(tmp_path: Path, picture: Write):
    with pytest.raises(DatasetError, match=r"a\.jpg: not an annotation file; expected \.json"):
        load_dataset(picture(tmp_path / "a.jpg"))


def test_no_usable_images(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [])
    with pytest.raises(
        DatasetError, match=r"the data set is empty: no usable images \(layout coco"
    ):
        load_dataset(tmp_path)


def test_no_objects_at_all(tmp_path: Path, voc_xml: Write):
    voc_xml(tmp_path, "a")
    with pytest.raises(DatasetError, match="no objects in any image, so no classes"):
        load_dataset(tmp_path)


def test_a_broken_picture_is_named_or_left_out(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [("a.jpg", []), ("b.jpg", [])])
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"images/a\.jpg: file is empty; expected an image; fix"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, skip_invalid=True)
    assert [example.image_id for example in dataset.split("train")] == ["b.jpg"]
    assert len(dataset.skipped) == 1


def test_unknown_split_names_the_others(tmp_path: Path, coco_json: Write):
    coco_json(tmp_path, [("a.jpg", [])])
    with pytest.raises(DatasetError, match="no split 'trian'; did you mean 'train'"):
        load_dataset(tmp_path).split("trian")


def test_annotation_hash_sees_what_matters(tmp_path: Path, coco_json: Write):
    def digest(*objects: tuple, name: str = "a.jpg") -> str:
        coco_json(tmp_path, [(name, list(objects))])
        return annotations_sha256(load_dataset(tmp_path).split("train"))

    first = digest((1, [1, 2, 3, 4]))
    assert digest((1, [1, 2, 3, 4.001])) == first
    others = [
        digest((1, [1, 2, 3, 4.1])),
        digest((2, [1, 2, 3, 4])),
        digest((1, [1, 2, 3, 4], 1)),
        digest((1, [1, 2, 3, 4]), name="b.jpg"),
        digest(),
    ]
    assert len({first, *others}) == 6


def test_importing_needs_numpy_and_pillow_only(repository: Path):
    code = "import sys, edge_retina.datasets; print(*{m.split('.')[0] for m in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    loaded = set(run.stdout.split())
    assert "numpy" in loaded
    assert not loaded & {"cv2", "tensorflow", "tf_keras", "yaml", "pycocotools", "click", "rich"}
