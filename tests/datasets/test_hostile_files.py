"""Small annotation files that once took memory or time out of all proportion to their size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_retina import errors
from edge_retina.datasets import checks, load_dataset, yolo, yolo_files
from edge_retina.errors import DatasetError

Writer = Callable[..., Path]


def refusal(root: Path) -> str:
    with pytest.raises(DatasetError) as error:
        load_dataset(root)
    return str(error.value)


def peak_bytes(root: Path) -> int:
    tracemalloc.start()
    load_dataset(root, skip_invalid=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def test_a_csv_of_many_columns_costs_what_is_read_of_it(tmp_path: Path, picture: Writer) -> None:
    """5,000 columns and 500 lines are 30 KB; a field for each would be 2.5 million."""
    picture(tmp_path / "a.jpg")
    header = ",".join(["filename,class,xmin,ymin,xmax,ymax", *(f"c{n}" for n in range(5000))])
    (tmp_path / "train.csv").write_text(header + "\n" + "a.jpg,cat,1,2,30,40\n" * 500)
    load_dataset(tmp_path)  # what is imported and cached at the first time is not counted
    assert peak_bytes(tmp_path) < 5e6  # it was 100 MB


def test_the_last_of_columns_with_one_name_is_read(tmp_path: Path, picture: Writer) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "train.csv").write_text(
        "class,filename,xmin,ymin,xmax,ymax,class\ndog,a.jpg,1,2,30,40,cat\ndog,a.jpg,1,2,30,40\n"
    )
    assert refusal(tmp_path).startswith(f"{tmp_path}/train.csv, line 3: has no class name")
    dataset = load_dataset(tmp_path, skip_invalid=True)
    assert dataset.labels == ("cat",)
    assert dataset.splits["train"][0].boxes_px.tolist() == [[2, 1, 40, 30]]


@pytest.mark.parametrize(
    "before, opening, what",
    [
        ("<!DOCTYPE a [<!ATTLIST b c CDATA 'ddd'>]>", "<annotation>", "declares default attribute"),
        ("", f"<annotation xmlns='{'x' * 1000}'>", "has a name space of over 1,000 characters"),
        ("", f'<annotation xmlns:v = "{"x" * 1000}">', "has a name space of over 1,000 characters"),
    ],
    ids=["attribute", "name space", "prefix"],
)
def test_xml_that_unfolds_is_refused(
    tmp_path: Path, voc_xml: Writer, before: str, opening: str, what: str
) -> None:
    path = voc_xml(tmp_path, "a", ("cat", 1, 2, 30, 40))
    path.write_text(before + path.read_text().replace("<annotation>", opening))
    message = refusal(tmp_path)
    assert message.startswith(f"{path}: {what}")
    assert message.endswith("fix the file or pass --skip-invalid (data.skip_invalid = true)")


def test_a_short_name_space_is_read(tmp_path: Path, voc_xml: Writer) -> None:
    path = voc_xml(tmp_path, "a", ("cat", 1, 2, 30, 40))
    path.write_text(path.read_text().replace("<annotation>", "<annotation xmlns:v='urn:v'>"))
    assert load_dataset(tmp_path).labels == ("cat",)


def test_a_category_id_of_more_than_64_bits(tmp_path: Path, coco_json: Writer) -> None:
    path = coco_json(tmp_path, [("a.jpg", [])], categories=((1, "cat"), (2**63, "dog")))
    assert refusal(tmp_path) == (
        f"{path}, category 2: its id has more than 64 bits; number the categories from 1, in "
        "category_id too"
    )


def test_a_file_name_longer_than_a_path(tmp_path: Path, coco_json: Writer) -> None:
    path = coco_json(tmp_path, [("a.jpg", [(1, [1, 2, 3, 4])])])
    path.write_text(path.read_text().replace("a.jpg", "a" * 4097))
    assert refusal(tmp_path).startswith(
        f"{path}, image 1: file_name has 4097 characters, but no path has more than 4096"
    )


def yolo_set(root: Path, picture: Writer, yaml: str) -> None:
    picture(root / "images" / "a.jpg")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (root / "data.yaml").write_text(f"names: [cat]\n{yaml}\n")


def counted(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> list[Any]:
    """Note the first argument of each call of a function."""
    calls: list[Any] = []
    real = getattr(place, name)
    monkeypatch.setattr(place, name, lambda x, *a, **k: (calls.append(x), real(x, *a, **k))[1])
    return calls


def test_a_label_file_is_read_once_however_often_it_is_listed(
    tmp_path: Path, picture: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    yolo_set(tmp_path, picture, "train: list.txt")
    names = ["images/a.jpg"] * 20 + [f"images/a.{n}" for n in range(20)]  # labels/a.txt of all
    (tmp_path / "list.txt").write_text("\n".join(names))
    calls = counted(monkeypatch, yolo, "_read_lines")
    dataset = load_dataset(tmp_path, skip_invalid=True)
    assert calls == [tmp_path / "labels" / "a.txt"]
    assert [item.image_id for item in dataset.splits["train"]] == ["a.jpg"]
    assert len(dataset.splits["train"][0].classes) == 1
    assert len(dataset.skipped) == 39  # 19 repetitions and 20 files that are not there


def test_a_directory_is_listed_once_however_often_it_is_named(
    tmp_path: Path, picture: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    yolo_set(tmp_path, picture, "train: [images, ./images, images/, images//]")
    calls = counted(monkeypatch, yolo_files, "list_images")
    assert len(load_dataset(tmp_path).splits["train"]) == 1
    assert calls == [tmp_path / "images"]


def test_merge_keys_of_data_yaml_are_refused(tmp_path: Path, picture: Writer) -> None:
    yolo_set(tmp_path, picture, "a: &a {k: 1}\nb: {<<: *a}")
    assert refusal(tmp_path) == (
        f"{tmp_path}/data.yaml: malformed YAML (line 3: merge keys (<<) are not read; write the "
        "keys out); fix the file"
    )


def test_the_list_of_allowed_classes_is_shortened(tmp_path: Path, picture: Writer) -> None:
    yolo_set(tmp_path, picture, "train: images")
    (tmp_path / "data.yaml").write_text(
        f"names: [{', '.join(f'c{n}' for n in range(60))}]\ntrain: images\n"
    )
    (tmp_path / "labels" / "a.txt").write_text("60 0.5 0.5 0.2 0.2\n")
    assert "allowed: 0..59 (c0, c1, " in refusal(tmp_path)
    assert ", c49 and 10 more)" in refusal(tmp_path)


def test_only_the_first_unknown_classes_are_compared_with_the_known_ones(
    tmp_path: Path, picture: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "a.jpg")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    rows = ["a.jpg,cat,1,2,30,40", *(f"a.jpg,unit {n % 30},1,2,30,40" for n in range(90))]
    (tmp_path / "train.csv").write_text(
        "filename,class,xmin,ymin,xmax,ymax\n" + "\n".join(rows) + "\n"
    )
    calls = counted(monkeypatch, checks, "choices_hint")
    skipped = load_dataset(tmp_path, skip_invalid=True).skipped
    assert calls == [f"unit {n}" for n in range(20)]
    assert skipped[0].endswith("class 'unit 0' is not in the list; allowed: cat, dog")
    assert skipped[29].endswith("class 'unit 29' is not in the list; the list has 2 names")
    assert skipped[30] == skipped[0].replace("line 3", "line 33")


def test_long_names_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, list[str]]] = []

    def close(got: str, names: list[str], n: int) -> list[str]:
        compared.append((got, names))
        return []

    monkeypatch.setattr(errors.difflib, "get_close_matches", close)
    hint = errors.choices_hint("x" * 5000, ["cat", "y" * 5000])
    assert compared == [("x" * 100, ["cat"])]
    assert hint == f"allowed: cat, {'y' * 100}"
