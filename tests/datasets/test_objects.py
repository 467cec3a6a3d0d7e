from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_retina.datasets import Example
from edge_retina.datasets.objects import boxes_at_input, object_classes


def example(boxes: list[tuple[int, ...]], classes: list[int], crowd: list[bool]) -> Example:
    return Example(
        image_id="a",
        path=Path("a"),
        image_hw=(100, 200),
        boxes_px=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int32),
        crowd=np.array(crowd, bool),
    )


EXAMPLES = (
    example([(0, 0, 50, 200), (10, 20, 30, 40)], [2, 0], [True, False]),
    example([], [], []),
    example([(50, 100, 100, 200)], [1], [False]),
)


def test_boxes_are_stretched_to_the_input_and_crowds_left_out() -> None:
    found = boxes_at_input(EXAMPLES, (32, 96))
    np.testing.assert_allclose(found, [(3.2, 9.6, 9.6, 19.2), (16, 48, 32, 96)], rtol=1e-6)
    assert found.dtype == np.float32
    assert object_classes(EXAMPLES).tolist() == [0, 1]


def test_no_pictures() -> None:
    assert boxes_at_input((), (32, 32)).shape == (0, 4)
    assert object_classes(()).shape == (0,)
