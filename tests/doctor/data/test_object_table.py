from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.doctor.data.checks.duplicates import _unmatched
from edge_retina.doctor.data.object_table import groups_of


def test_groups_by_key() -> None:
    found = list(groups_of(np.array([5, 2, 5, 9, 2]), np.array([10, 11, 12, 13, 14])))
    assert [(key, values.tolist()) for key, values in found] == [
        (2, [11, 14]),
        (5, [10, 12]),
        (9, [13]),
    ]
    assert list(groups_of(np.zeros(0, int), np.zeros(0))) == []


def example(boxes_px: np.ndarray, classes: np.ndarray) -> Example:
    none = np.zeros(len(boxes_px), bool)
    return Example("a.jpg", Path("a.jpg"), (100, 100), boxes_px, classes, none, none)


def test_copies_with_thousands_of_boxes_are_compared_in_blocks() -> None:
    boxes = np.tile(np.array([[1, 2, 30, 40]], np.float32), (2500, 1))
    boxes[-3:] += 50  # three that are elsewhere in the other picture
    one = example(boxes, np.zeros(2500, np.int32))
    other = example(boxes[:-3], np.zeros(2497, np.int32))
    tracemalloc.start()
    assert _unmatched(one, other) == 3
    assert _unmatched(other, one) == 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6  # all 6 million pairs at once took 300 MB
