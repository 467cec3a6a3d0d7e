from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path

import pytest

from edge_retina.errors import ModelError
from edge_retina.runtime.label_files import BUILT_IN, Labels, find_labels, is_named, load_labels

LABEL_MAP = """
item { id: 1 name: "/m/01g317" display_name: "person" }
item {
  name: 'car'
  id: 3
}
"""


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("labels.txt", "person\ncar\n\n", ("person", "car")),
        ("labels.txt", "person\n\ncar\n", ("person", "???", "car")),
        ("coral.txt", "0  person\n1  bicycle\n3  car\n", ("person", "bicycle", "???", "car")),
        ("coins.txt", "1 euro\n2 euro\n", ("1 euro", "2 euro")),
        ("data.yaml", "names: {0: person, 2: car}\n", ("person", "???", "car")),
        ("data.yaml", "names: [person, car]\ntask: detect\n", ("person", "car")),
        ("map.pbtxt", LABEL_MAP, ("person", "???", "car")),
        ("labels.txt", f"0 a\n{'1' * 5000} b\n", ("0 a", f"{'1' * 5000} b")),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, text: str, expected: tuple[str, ...]) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert load_labels(str(path)) == Labels(expected, f"--labels {path}")


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("labels.txt", "\n\n", "empty; expected one class name a line"),
        ("data.yaml", "nc: 3\n", "no 'names' with the class names by number"),
        ("data.yaml", "names: {a: person}\n", "'names' must be numbered from 0"),
        ("data.yaml", "names: {-1: person}\n", "class numbers must be 0 to 100000"),
        ("data.yaml", "names: {}\n", "no class names in it"),
        ("data.yaml", "names: [\n", "not valid YAML ("),
        ("data.yaml", "names: [a]\ntask: pose\n", "a model for the task 'pose'; only 'detect'"),
        ("map.pbtxt", "item { name: 'a' }", "an item without a number 'id'"),
        ("map.pbtxt", "", "no class names in it"),
        ("map.pbtxt", f"item {{ id: {'1' * 5000} name: 'a' }}", "an item without a number 'id'"),
    ],
)
def test_files_without_names(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        load_labels(str(path))
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["item { id: " + "a" * 300_000 + " }", "item {" * 100_000, "item { a: " * 50_000],
    ids=["word", "items", "fields"],
)
def test_label_maps_that_never_end_take_no_time(tmp_path: Path, text: str) -> None:
    """Gone through once they take milliseconds; it was minutes, the square of their length."""
    path = tmp_path / "map.pbtxt"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(ModelError):
        load_labels(str(path))
    assert time.process_time() - began < 2


def test_items_end_at_the_first_brace(tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 1 name: 'a' points { x: 7 } } x item{ name:'b' id:2 } item { id: 3")
    assert load_labels(str(path)).names == ("a", "b")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load_labels(str(tmp_path / "none.txt"))
    assert str(caught.value) == (
        f"--labels {tmp_path / 'none.txt'}: can't be read (No such file or directory); expected a "
        "file of class names, or coco80 or coco91"
    )


def test_the_lists_of_coco() -> None:
    full, gaps = BUILT_IN["coco80"], BUILT_IN["coco91"]
    assert (len(full), len(gaps)) == (80, 90)
    assert (full[0], full[11], full[79]) == ("person", "stop sign", "toothbrush")
    assert (gaps[0], gaps[11], gaps[12], gaps[89]) == ("person", "???", "stop sign", "toothbrush")
    assert tuple(filter(is_named, gaps)) == full


@pytest.mark.parametrize(
    "names, counts, expected",
    [
        (("a", "b"), (), ("a", "b")),
        (("a", "b"), (2, 3), ("a", "b")),
        (("???", "a", "b"), (2,), ("a", "b")),
        (("background", "a", "b"), (2,), ("a", "b")),
        (("???", "a"), (2,), ("???", "a")),  # a class without a name, and it fits
        (("a", "b", "c"), (2,), None),
        (("a",), (2,), None),
    ],
)
def test_names_for_a_number_of_classes(
    names: tuple[str, ...], counts: tuple[int, ...], expected: tuple[str, ...] | None
) -> None:
    fitted = Labels(names, "file").fitted(counts)
    assert (fitted and fitted.names) == expected


def archive(path: Path, files: dict[str, str]) -> Path:
    path.write_bytes(b"....TFL3" + bytes(50))
    with zipfile.ZipFile(path, "a") as stream:
        for name, text in files.items():
            stream.writestr(name, text)
    return path


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"metadata.json": json.dumps({"names": {"0": "a", "1": "b"}})}, ("a", "b")),
        ({"temp_meta.txt": "{'task': 'detect', 'names': {0: 'a', 1: 'b'}}"}, ("a", "b")),
        ({"labelmap.txt": "a\nb\n", "notes.txt": "no"}, ("a", "b")),
    ],
)
def test_names_inside(tmp_path: Path, files: dict[str, str], expected: tuple[str, ...]) -> None:
    path = archive(tmp_path / "m.tflite", files)
    (tmp_path / "labels.txt").write_text("beside\n")
    found = find_labels(path)
    assert found is not None
    assert found.names == expected
    assert found.source.endswith(" inside")


def test_names_beside(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(b"....TFL3")
    assert find_labels(path) is None
    (tmp_path / "metadata.yaml").write_text("names: {0: of yaml}\n")
    found = find_labels(path)
    assert found is not None
    assert found.names == ("of yaml",)
    (tmp_path / "labels.txt").write_text("of text\n")
    found = find_labels(path)
    assert found is not None
    assert found.names == ("of text",)


def test_metadata_of_another_task_or_none(tmp_path: Path) -> None:
    pose = archive(tmp_path / "p.tflite", {"metadata.json": '{"names": ["a"], "task": "pose"}'})
    with pytest.raises(ModelError, match="a model for the task 'pose'"):
        find_labels(pose)
    broken = archive(tmp_path / "b.tflite", {"temp_meta.txt": "import os"})
    with pytest.raises(ModelError, match=r"temp_meta\.txt inside: can't be read"):
        find_labels(broken)
