from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_retina.doctor.findings import Finding
from tests.doctor.made import VocSet, codes, diagnose, encode, photo


def write_coco(root: Path, categories: dict[int, str], boxes: list[dict[str, Any]]) -> None:
    (root / "images").mkdir(parents=True)
    (root / "images" / "a.jpg").write_bytes(encode(photo(1)))
    tree = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 96, "width": 128}],
        "categories": [{"id": number, "name": name} for number, name in categories.items()],
        "annotations": [{"id": n, "image_id": 1, **box} for n, box in enumerate(boxes, 1)],
    }
    (root / "train.json").write_text(json.dumps(tree))


def of_ids(tmp_path: Path, ids: list[int]) -> dict[str, Finding]:
    boxes = [{"category_id": number, "bbox": [9, 9, 40, 40.5]} for number in ids]
    write_coco(tmp_path, {number: f"class {number}" for number in ids}, boxes)
    return codes(diagnose(tmp_path))


@pytest.mark.parametrize("ids", [[0, 1, 2], [1, 2, 3], [1]])
def test_ids_without_gaps(tmp_path: Path, ids: list[int]) -> None:
    assert "class-id-gaps" not in of_ids(tmp_path, ids)


@pytest.mark.parametrize(
    "ids, missing", [([1, 3, 6], 3), ([2, 3], 1), ([0, 5], 4), ([1, 2**62], 2**62 - 2)]
)
def test_ids_with_gaps(tmp_path: Path, ids: list[int], missing: int) -> None:
    assert of_ids(tmp_path, ids)["class-id-gaps"].count == missing


def test_crowd_regions_are_noted_and_not_boxes(tmp_path: Path) -> None:
    box = {"category_id": 1, "bbox": [0, 0, 128, 96], "iscrowd": 1}
    write_coco(tmp_path, {1: "cat"}, [box, {"category_id": 1, "bbox": [9, 9, 40, 40]}])
    found = codes(diagnose(tmp_path))
    assert found["crowd-region"].count == 1
    assert "covering-box" not in found
    assert found["class-with-one-box"].count == 1


def test_difficult_objects_are_noted_and_not_counted(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 9, 9, 50, 50), ("cat", 60, 9, 100, 50))
    path = tmp_path / "Annotations" / "a.xml"
    first, second = path.read_text().split("</name>", 1)
    path.write_text(f"{first}</name><difficult>1</difficult>{second}")
    diagnosis = diagnose(voc.root)
    (case,) = codes(diagnosis)["difficult-object"].cases
    assert (case.file, case.where) == ("JPEGImages/a.jpg", "Annotations/a.xml, object 1")
    assert codes(diagnosis)["class-with-one-box"].cases[0].detail == "1 box"
    assert diagnosis.anchors.coverage["default"].objects == 1


def test_class_that_no_box_has(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add_sound(2)
    (tmp_path / "labels.txt").write_text("cat\nunicorn\n")
    assert codes(diagnose(voc.root))["class-without-boxes"].cases[0].file == "unicorn"


def test_class_missing_where_it_is_measured(tmp_path: Path) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", ("cat", 9, 9, 50, 50), ("dog", 60, 9, 100, 50), ("dog", 9, 60, 50, 90))
    voc.add("b.jpg", ("cat", 9, 9, 50, 50), split="val")
    found = codes(diagnose(voc.root))["class-absent-from-split"]
    assert [(case.file, case.detail) for case in found.cases] == [("dog", "none in val")]


@pytest.mark.parametrize(
    "names, similar",
    [
        (("cat", "dog"), []),
        (("Traffic Light", "traffic_light", "traffic-light"), ["traffic-light", "traffic_light"]),
        (("+", "-"), []),  # nothing but punctuation: that is what they differ by
    ],
)
def test_similar_names(tmp_path: Path, names: tuple[str, ...], similar: list[str]) -> None:
    voc = VocSet(tmp_path)
    voc.add("a.jpg", *[(name, 9 + 30 * i, 9, 35 + 30 * i, 50) for i, name in enumerate(names)])
    found = codes(diagnose(voc.root)).get("similar-class-names")
    assert sorted(case.file for case in found.cases) == similar if found else not similar


def test_pixels_in_a_yolo_file(tmp_path: Path) -> None:
    for name in ("images/train", "labels/train"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "images" / "train" / "a.jpg").write_bytes(encode(photo(1)))
    (tmp_path / "labels" / "train" / "a.txt").write_text("0 60 40 30 20\n0 .5 .5 .2 .2\n")
    found = codes(diagnose(tmp_path))
    assert found["pixels-in-normalized-format"].count == 1
    assert found["pixels-in-normalized-format"].cases[0].where == "labels/train/a.txt, line 1"
    assert "box-outside" not in found  # said once
