from __future__ import annotations

import numpy as np
import pytest

from edge_retina.evaluation.errors.confusion import Mistake, confusion
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture

BOX, FAR = (0, 0, 32, 32), (64, 64, 96, 96)
NEAR = (0, 0, 32, 24)  # IoU .75 with BOX
A, B, C, BACKGROUND = range(4)


@pytest.mark.parametrize(
    "objects, rows, cells",
    [
        ([], [], []),
        ([("a", BOX)], [], [(A, BACKGROUND)]),
        ([], [("b", BOX, 0.9)], [(BACKGROUND, B)]),
        ([("a", BOX)], [("a", BOX, 0.9)], [(A, A)]),
        ([("a", BOX)], [("b", BOX, 0.9)], [(A, B)]),
        ([("a", BOX)], [("b", BOX, 0.4)], [(A, BACKGROUND)]),  # below the threshold
        ([("a", BOX)], [("b", FAR, 0.9)], [(A, BACKGROUND), (BACKGROUND, B)]),
        # The right class goes first, even with a lower score and a worse box
        ([("a", BOX)], [("b", BOX, 0.9), ("a", NEAR, 0.6)], [(A, A), (BACKGROUND, B)]),
        ([("a", BOX)], [("a", NEAR, 0.9), ("a", BOX, 0.8)], [(A, A), (BACKGROUND, A)]),
        # What is left over goes by overlap
        (
            [("a", BOX)],
            [("b", NEAR, 0.9), ("c", BOX, 0.8)],
            [(A, C), (BACKGROUND, B)],
        ),
    ],
)
def test_by_hand(objects: list, rows: list, cells: list[tuple[int, int]]):
    result = confusion([picture(*objects)], [found(*rows)], LABELS, threshold=0.5)
    expected = np.zeros((4, 4), int)
    for cell in cells:
        expected[cell] += 1
    np.testing.assert_array_equal(result.counts, expected)


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_ignored_objects_are_left_out_with_what_lies_in_them(flag: str):
    example = picture(("a", BOX), ("b", FAR), **{flag: [0]})
    rows = found(("a", BOX, 0.9), ("b", BOX, 0.8))  # of another class: a false alarm
    result = confusion([example], [rows], LABELS, threshold=0.5)
    expected = np.zeros((4, 4), int)
    expected[B, BACKGROUND] = expected[BACKGROUND, B] = 1
    np.testing.assert_array_equal(result.counts, expected)


@pytest.mark.parametrize("seed", range(3))
def test_every_object_and_every_detection_is_counted_once(seed: int):
    examples, detections = draw_errors(20, seed)
    counts = confusion(examples, detections, LABELS, threshold=0.3).counts
    objects = np.concatenate([example.classes for example in examples])
    shown = np.concatenate([item.above(0.3).classes for item in detections])
    np.testing.assert_array_equal(counts[:3].sum(axis=1), np.bincount(objects, minlength=3))
    np.testing.assert_array_equal(counts[:, :3].sum(axis=0), np.bincount(shown, minlength=3))
    assert counts[3, 3] == 0


def test_the_most_frequent_mistakes_come_first():
    examples = [picture(("a", BOX)), picture(("a", BOX)), picture(("a", BOX), ("b", FAR))]
    detections = [
        found(("b", BOX, 0.9)),
        found(("b", BOX, 0.9)),
        found(("a", BOX, 0.9), ("b", FAR, 0.9), ("b", (0, 64, 32, 96), 0.9)),
    ]
    result = confusion(examples, detections, LABELS, threshold=0.5)
    assert result.worst(5) == [
        Mistake("a", "b", 2, pytest.approx(2 / 3)),
        Mistake("background", "b", 1, 1 / 4),  # of the four detections of b
    ]
    assert len(result.worst(1)) == 1
    assert result.to_dict()["labels"] == ["a", "b", "c", "background"]
    assert result.to_dict()["counts"][0] == [1, 2, 0, 0]
