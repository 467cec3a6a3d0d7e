from __future__ import annotations

import numpy as np
import pytest

from edge_retina.runtime.placement import Placement, place


@pytest.mark.parametrize(
    "picture_hw, input_hw, expected",
    [
        # 200 x 100 into 100 x 100: halved to 100 x 50, 25 grey columns on either side
        ((200, 100), (100, 100), Placement(0, 25, 100, 50, (100, 100))),
        # an odd border of 25: 12 above, 13 below
        ((150, 200), (100, 100), Placement(12, 0, 75, 100, (100, 100))),
        # enlarged to twice its size
        ((10, 20), (40, 40), Placement(10, 0, 20, 40, (40, 40))),
        # already of this size
        ((32, 48), (32, 48), Placement(0, 0, 32, 48, (32, 48))),
        # an input that is not square: 100 x 100 becomes 60 x 60
        ((100, 100), (60, 100), Placement(0, 20, 60, 60, (60, 100))),
        # a hair of a picture keeps one column
        ((1000, 1), (100, 100), Placement(0, 49, 100, 1, (100, 100))),
    ],
)
def test_where_a_letterboxed_picture_lies(
    picture_hw: tuple[int, int], input_hw: tuple[int, int], expected: Placement
) -> None:
    picture = np.full((*picture_hw, 3), 7, np.uint8)
    filled, placement = place(picture, input_hw, "letterbox")
    assert placement == expected
    assert filled.shape == (*input_hw, 3)
    inside = np.zeros(input_hw, bool)
    inside[
        expected.top : expected.top + expected.height,
        expected.left : expected.left + expected.width,
    ] = True
    assert set(np.unique(filled[inside])) == {7}
    assert set(np.unique(filled[~inside])) <= {114}


def test_boxes_come_back_to_the_picture() -> None:
    """Of a 200 x 100 picture in a 100 x 100 input: x from 25..75, y from 0..100."""
    placement = Placement(0, 25, 100, 50, (100, 100))
    boxes = np.array([[0, 0.25, 1, 0.75], [0.1, 0.5, 0.3, 0.75], [0, 0, 0.5, 0.25]], np.float32)
    expected = [[0, 0, 1, 1], [0.1, 0.5, 0.3, 1], [0, -0.5, 0.5, 0]]
    np.testing.assert_allclose(placement.to_picture(boxes), expected, atol=1e-6)


def test_a_stretched_picture_is_the_whole_input() -> None:
    _, placement = place(np.zeros((30, 50, 3), np.uint8), (16, 24), "stretch")
    boxes = np.array([[0.1, 0.2, 0.3, 0.4]], np.float32)
    np.testing.assert_allclose(placement.to_picture(boxes), boxes, atol=1e-7)


def test_the_pixels_are_where_the_placement_says() -> None:
    """A white square is found again by its edges."""
    picture = np.zeros((200, 100, 3), np.uint8)
    picture[40:80, 20:60] = 255
    filled, placement = place(picture, (100, 100), "letterbox")
    rows, columns = np.nonzero(filled[..., 0] > 200)
    box = np.array([[rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]]) / 100
    np.testing.assert_allclose(placement.to_picture(box), [[0.2, 0.2, 0.4, 0.6]], atol=0.011)
