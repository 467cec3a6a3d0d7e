from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.report.disagreements import best_threshold, count_lone, disagreements
from tests.evaluation.errors.made_split import LABELS, SIDE, found, picture

BOX, FAR = (16, 16, 48, 48), (64, 64, 96, 96)
NEAR = (18, 16, 50, 48)


def test_objects_that_only_one_found_are_counted() -> None:
    both = found(("a", BOX, 0.9), ("b", FAR, 0.8))
    assert count_lone(both, both) == 0
    assert count_lone(both, found(("a", NEAR, 0.5), ("b", FAR, 0.8))) == 0  # IoU .88
    assert count_lone(both, found(("a", BOX, 0.9))) == 1
    assert count_lone(both, found(("a", BOX, 0.9), ("c", FAR, 0.8))) == 2  # another class
    assert count_lone(found(), both) == count_lone(both, found()) == 2
    assert count_lone(found(), found()) == 0


def examples(directory: Path, count: int) -> list[Example]:
    shown = []
    for number in range(count):
        path = directory / f"{number}.png"
        cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), 90, np.uint8))
        shown.append(dataclasses.replace(picture(("a", BOX), name=path.name), path=path))
    return shown


def test_the_pictures_that_differ_most_come_first(tmp_path: Path) -> None:
    one = [found(("a", BOX, 0.9)), found(("a", BOX, 0.9), ("b", FAR, 0.8)), found(("a", BOX, 0.9))]
    other = [found(), found(("c", FAR, 0.3)), found(("a", BOX, 0.9), ("b", FAR, 0.3))]
    tiles = disagreements(examples(tmp_path, 3), one, other, LABELS, threshold=0.4)
    assert [tile.caption for tile in tiles] == [
        "1.png: 2 only in one of the two",
        "0.png: 1 only in one of the two",
    ]  # of the third, what differs is below the threshold
    assert (
        len(disagreements(examples(tmp_path, 3), one, other, LABELS, threshold=0.4, shown=1)) == 1
    )
    assert all(tile.source.startswith("data:image/jpeg;base64,") for tile in tiles)


def test_the_threshold_is_that_of_the_best_f1(tmp_path: Path) -> None:
    rows = found(("a", BOX, 0.75), ("a", FAR, 0.5))
    assert best_threshold(examples(tmp_path, 1), [rows], LABELS) == 0.75
    assert best_threshold(examples(tmp_path, 1), [found()], LABELS) == 0.3
