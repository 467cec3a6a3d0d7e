from __future__ import annotations

from pathlib import Path

import pytest

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.label_map import LabelMap, label_map_text, read_label_map
from edge_retina.errors import DatasetError

ROBOFLOW = """item {
    name: "Platelets",
    id: 1,
    display_name: "Platelets"
}
item {
    name: "RBC",
    id: 2,
    display_name: "RBC"
}
"""
COCO = """# COCO
item { name: "/m/01g317" id: 1 display_name: "person" }
item: < name: "/m/0199g" id: 3 display_name: "bicycle" keypoints { id: 9 label: "wheel" } >
"""
BACKGROUND = "item { id: 0 name: 'none' } item{id:2 name:'it\\'s \\303\\251 \\\\ \"x\"'}"


def read(tmp_path: Path, text: str) -> LabelMap:
    path = tmp_path / "label_map.pbtxt"
    path.write_text(text)
    return read_label_map(path, boundary=Boundary(tmp_path))


@pytest.mark.parametrize(
    "text, numbers, labels",
    [
        (ROBOFLOW, (1, 2), ("Platelets", "RBC")),
        (COCO, (1, 3), ("person", "bicycle")),
        (BACKGROUND, (2,), ('it\'s é \\ "x"',)),
        ("item { name: 'b' id: 2 } item { name: 'a' id: 1 }", (1, 2), ("a", "b")),
        ("version: 3 other { id: 5 } item { id: 1 name: 'a' }", (1,), ("a",)),
    ],
)
def test_label_maps(tmp_path: Path, text: str, numbers: tuple[int, ...], labels: tuple[str, ...]):
    found = read(tmp_path, text)
    assert (found.numbers, found.labels) == (numbers, labels)


def test_a_class_is_known_by_both_of_its_names(tmp_path: Path):
    assert read(tmp_path, COCO).aliases == {
        "/m/01g317": "person",
        "/m/0199g": "bicycle",
        "person": "person",
        "bicycle": "bicycle",
    }


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "no class names"),
        ("item { id: 1 }", "an item has id '1' and name None; expected item"),
        ("item { name: 'a' }", "an item has id '' and name 'a'; expected item"),
        ("item { id: -1 name: 'a' }", "an item has id '-1'"),
        ("item { id: " + "9" * 5000 + " name: 'a' }", "an item has id '9999"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "a second item has id 1"),
        ("item { id: 1 name: 'a' } item { id: 2 name: 'a' }", "class 'a' is duplicated"),
        ("item { id: 1 name: 'a'", "its braces don't match"),
        ("item { id: 1 name: 'a' } }", "its braces don't match"),
        ("item {\n id: 1\n name: 'a\n' }", "line 3: not a label map; expected item"),
        ("{" * 100_000, "its braces don't match"),
    ],
)
def test_what_is_none(tmp_path: Path, text: str, said: str):
    with pytest.raises(DatasetError) as error:
        read(tmp_path, text)
    assert said in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "label_map.pbtxt"))


def test_what_is_written_is_read(tmp_path: Path):
    labels = ("cat", 'it\'s \\ "é"', "a { b } #")
    found = read(tmp_path, label_map_text(labels))
    assert (found.numbers, found.labels) == ((1, 2, 3), labels)
