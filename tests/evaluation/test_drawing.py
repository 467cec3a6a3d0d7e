from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.drawing import (
    PALETTE,
    colour_of,
    draw_boxes,
    draw_detections,
    draw_ground_truth,
)
from edge_retina.runtime.detections import Detections


def detections(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int32),
        np.array(scores, np.float32),
    )


def has_colour(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == np.array(colour)).all(axis=-1).any())


def test_the_callers_image_is_not_changed() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    drawn = draw_detections(image, detections([[0.1, 0.1, 0.9, 0.9]], [0.9], [0]), ["cat"])
    assert not image.any()
    assert drawn.any()
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)


def test_boxes_lie_where_they_are() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    drawn = draw_detections(image, detections([[0.4, 0.25, 0.8, 0.75]], [0.9], [3]), list("abcd"))
    for y, x in [(60, 50), (60, 150), (80, 100)]:  # left, right and bottom edge
        assert tuple(drawn[y, x]) == PALETTE[3]
    assert not drawn[60, 100].any()  # inside
    assert not drawn[90:, :].any()  # below


def test_each_class_has_its_colour_and_low_scores_none() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    found = detections([[0.5, 0, 0.7, 0.3], [0.5, 0.5, 0.7, 0.9]], [0.9, 0.29], [0, 1])
    drawn = draw_detections(image, found, ["cat", "dog"], score_threshold=0.3)
    assert has_colour(drawn, PALETTE[0])
    assert not has_colour(drawn, PALETTE[1])
    assert has_colour(
        draw_detections(image, found, ["cat", "dog"], score_threshold=0.2), PALETTE[1]
    )


def test_nothing_found_leaves_the_image_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_detections(image, detections([], [], []), []), image)


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [0, 0.9, 0.1, 1], [0.95, 0.95, 1, 1]])
def test_labels_stay_inside_the_image(box: list[float]) -> None:
    """The label's filled box is found whole: some row has a run of colour as wide as the text."""
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw_detections(image, detections([box], [0.5], [1]), ["a", "long name"])
    of_colour = (drawn == np.array(colour_of(1))).all(axis=-1)
    assert of_colour.sum(axis=1).max() > 60


def test_colours_start_again_after_the_last() -> None:
    assert colour_of(len(PALETTE)) == PALETTE[0]
    assert len(set(PALETTE)) == len(PALETTE)


@pytest.mark.parametrize("flag", ["crowd", "difficult"])
def test_ignored_objects_are_grey(flag: str) -> None:
    none = np.array([False, False])
    example = Example(
        image_id="a",
        path=Path("a"),
        image_hw=(100, 100),
        boxes_px=np.array([[40, 10, 60, 40], [70, 60, 90, 90]], np.float32),
        classes=np.array([0, 0], np.int32),
        **{"crowd": none, "difficult": none, flag: np.array([False, True])},
    )
    drawn = draw_ground_truth(np.zeros((100, 100, 3), np.uint8), example, ["cat"])
    assert tuple(drawn[50, 10]) == PALETTE[0]
    red, green, blue = drawn[80, 60]
    assert red == green == blue > 0


def test_labels_that_would_touch_a_later_one_are_left_out() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    boxes = np.array([(40, 20, 60, 40), (42, 30, 62, 50), (42, 120, 62, 140)], float)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]

    def above_boxes(labels_overlap: bool) -> list[bool]:
        drawn = draw_boxes(image, boxes, ["one"] * 3, colours, labels_overlap=labels_overlap)
        return [has_colour(drawn[:38], colour) for colour in colours]

    assert above_boxes(True) == [True, True, True]
    assert above_boxes(False) == [False, True, True]
