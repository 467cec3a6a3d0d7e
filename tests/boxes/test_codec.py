from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes.codec import decode, encode

ANCHOR = (0.0, 0.0, 10.0, 20.0)  # centre 5, 10; 10 high and 20 wide


@pytest.mark.parametrize(
    "box, code",
    [
        (ANCHOR, (0, 0, 0, 0)),
        ((5, 0, 15, 20), (5, 0, 0, 0)),  # half a height down
        ((0, 5, 10, 25), (0, 2.5, 0, 0)),  # a quarter of a width to the right
        ((-5, 0, 15, 20), (0, 0, 5 * math.log(2), 0)),  # twice as high
        ((0, 5, 10, 15), (0, 0, 0, -5 * math.log(2))),  # half as wide
        ((10, 20, 15, 30), (7.5, 7.5, -5 * math.log(2), -5 * math.log(2))),
    ],
)
def test_codes(box: tuple[float, ...], code: tuple[float, ...]):
    anchor, box_row = np.array([ANCHOR], np.float32), np.array([box], np.float32)
    np.testing.assert_allclose(encode(box_row, anchor)[0], code, atol=1e-5)
    np.testing.assert_allclose(decode(np.array([code], np.float32), anchor)[0], box, atol=1e-4)


def test_encode_then_decode_gives_the_box_back():
    rng = np.random.default_rng(0)
    low = rng.uniform(-50, 200, (2, 2000, 2))
    sides = np.exp(rng.uniform(np.log(4), np.log(200), (2, 2000, 2)))
    boxes, anchors = np.concatenate([low, low + sides], axis=-1).astype(np.float32)
    np.testing.assert_allclose(decode(encode(boxes, anchors), anchors), boxes, atol=2e-3)


def test_wild_codes_decode_to_finite_boxes():
    wild = np.array([[0, 0, 1e6, 1e6], [0, 0, -1e6, -1e6]], np.float32)
    boxes = decode(wild, np.array([ANCHOR, ANCHOR], np.float32))
    np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], [10 * 62.5, 20 * 62.5], rtol=1e-5)
    np.testing.assert_allclose(boxes[1], [5, 10, 5, 10])


def test_a_box_without_area_has_a_finite_code():
    code = encode(np.array([[5.0, 5.0, 5.0, 5.0]]), np.array([ANCHOR]))
    assert np.isfinite(code).all()


def test_no_boxes():
    none = np.zeros((0, 4), np.float32)
    assert encode(none, none).shape == decode(none, none).shape == (0, 4)
