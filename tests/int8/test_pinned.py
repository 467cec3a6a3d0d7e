from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_retina.errors import ConfigError
from edge_retina.int8.pinned import read_pinned, write_pinned
from edge_retina.int8.selection import calibration_set

CHOSEN = calibration_set(["b.jpg", "a.jpg"], seed=3, strategy="stratified")
KNOWN = ("a.jpg", "b.jpg", "c.jpg")


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    path = tmp_path / "pinned.json"
    write_pinned(path, CHOSEN, dataset="cells", split="train")
    return path


def change(path: Path, **changes: Any) -> None:
    tree = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in tree.items() if value is not ...}))


def message(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_pinned(path, known=KNOWN)
    return str(caught.value)


def test_round_trip(pinned: Path) -> None:
    assert read_pinned(pinned, known=KNOWN) == CHOSEN


def test_the_file_says_what_it_is(pinned: Path) -> None:
    assert json.loads(pinned.read_text()) == {
        "schema_version": 1,
        "dataset": "cells",
        "split": "train",
        "image_ids": ["b.jpg", "a.jpg"],
        "seed": 3,
        "sha256": CHOSEN.sha256,
        "strategy": "stratified",
    }


@pytest.mark.parametrize(
    "ids", [["a.jpg", "b.jpg"], ["b.jpg"], ["b.jpg", "a.jpg", "c.jpg"]], ids=str
)
def test_changed_pictures_are_seen(pinned: Path, ids: list[str]) -> None:
    change(pinned, image_ids=ids)
    assert message(pinned).startswith(
        f"{pinned}: image_ids don't match their sha256; write it again"
    )


def test_pictures_of_another_data_set(pinned: Path) -> None:
    chosen = calibration_set(["a.jpg", "x.jpg", "y.jpg"], seed=0, strategy="first")
    write_pinned(pinned, chosen, dataset="other", split="train")
    assert message(pinned) == (
        f"{pinned}: 2 of its 3 images are not in the training split, the first is x.jpg; it "
        "belongs to another data set or split"
    )


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({"image_ids": ...}, "'image_ids' is missing"),
        ({"image_ids": []}, "image_ids is empty"),
        ({"image_ids": "a.jpg"}, "image_ids must be a list, got 'a.jpg'"),
        ({"image_ids": [1]}, "image_ids must be a string, got 1"),
        ({"seed": ...}, "'seed' is missing"),
        ({"seed": "3"}, "seed must be an integer, got '3'"),
        ({"strategy": ...}, "'strategy' is missing"),
        ({"sha256": ...}, "'sha256' is missing"),
    ],
)
def test_damaged_fields(pinned: Path, changes: dict[str, Any], expected: str) -> None:
    change(pinned, **changes)
    assert message(pinned).startswith(f"{pinned}: {expected}; write it again")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("{", "not JSON (Expecting property name enclosed in double quotes"),
        ("\xff", "not JSON (not UTF-8 text at byte 0)"),
        ("[]", "not an object; write it again"),
    ],
)
def test_damaged_file(pinned: Path, text: str, expected: str) -> None:
    pinned.write_bytes(text.encode("latin-1"))
    assert message(pinned).startswith(f"{pinned}: {expected}")
    assert "\n" not in message(pinned)


def test_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    assert message(path) == (
        f"quantize.calibration_set {path}: can't be read (No such file or directory)"
    )
