"""The codec in TensorFlow against the numpy one, and what it means, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes import codec

pytestmark = pytest.mark.tf

ANCHOR = [10.0, 20.0, 30.0, 60.0]  # centre 20, 40; 20 high, 40 wide


@pytest.mark.parametrize(
    "box, code",
    [
        (ANCHOR, [0, 0, 0, 0]),
        ([20, 20, 40, 60], [5, 0, 0, 0]),  # half a height down: 0.5 * 10
        ([10, 24, 30, 64], [0, 1, 0, 0]),  # a tenth of a width to the right
        ([0, 20, 40, 60], [0, 0, 5 * math.log(2), 0]),  # twice as high
        ([10, 30, 30, 50], [0, 0, 0, -5 * math.log(2)]),  # half as wide
    ],
)
def test_codes_by_hand(box: list[float], code: list[float]) -> None:
    from edge_retina.model.box_codec import decode_boxes, encode_boxes

    box, anchor = (np.array([x], np.float32) for x in (box, ANCHOR))
    np.testing.assert_allclose(encode_boxes(box, anchor), [code], atol=1e-5)
    np.testing.assert_allclose(decode_boxes(np.array([code], np.float32), anchor), box, rtol=1e-5)


def boxes_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(-50, 200, (300, 2))
    return np.concatenate([low, low + rng.uniform(1, 100, (300, 2))], axis=1).astype(np.float32)


def test_equal_to_numpy() -> None:
    from edge_retina.model.box_codec import decode_boxes, encode_boxes

    boxes, anchors = boxes_of(0), boxes_of(1)
    codes = codec.encode(boxes, anchors)
    np.testing.assert_allclose(encode_boxes(boxes, anchors), codes, rtol=1e-4, atol=1e-4)
    wild = codes * np.float32(20)  # sizes beyond the limit too
    assert (wild[:, 2:] / 5 > codec.MAX_LOG_SIZE).any()
    decoded = codec.decode(wild, anchors)
    np.testing.assert_allclose(decode_boxes(wild, anchors), decoded, rtol=1e-4, atol=1e-2)


def test_a_box_without_size_has_a_finite_code() -> None:
    from edge_retina.model.box_codec import encode_boxes

    point = np.array([[20, 40, 20, 40]], np.float32)
    code = encode_boxes(point, np.array([ANCHOR], np.float32)).numpy()
    expected = [[0, 0, 5 * math.log(1e-6 / 20), 5 * math.log(1e-6 / 40)]]
    np.testing.assert_allclose(code, expected, rtol=1e-5)


def test_any_leading_axes() -> None:
    from edge_retina.model.box_codec import decode_boxes, encode_boxes

    boxes, anchors = boxes_of(0), boxes_of(1)
    batch = boxes.reshape(2, 3, 50, 4)
    shaped = anchors.reshape(2, 3, 50, 4)
    codes = encode_boxes(batch, shaped)
    np.testing.assert_array_equal(np.reshape(codes, (-1, 4)), encode_boxes(boxes, anchors))
    np.testing.assert_array_equal(
        np.reshape(decode_boxes(codes, shaped), (-1, 4)),
        decode_boxes(np.reshape(codes, (-1, 4)), anchors),
    )
