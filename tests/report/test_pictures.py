from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from edge_retina.report.pictures import MAX_SIDE_PX, data_uri


def decode(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR_RGB)


def test_colours_keep_their_order() -> None:
    image = np.full((16, 24, 3), (200, 30, 60), np.uint8)
    decoded = decode(data_uri(image))
    assert decoded.shape == (16, 24, 3)
    assert np.abs(decoded.astype(int) - image.astype(int)).max() <= 6  # what JPEG changes


@pytest.mark.parametrize(
    "size, expected",
    [
        ((600, 400), (600, 400)),
        ((MAX_SIDE_PX * 2, 900), (MAX_SIDE_PX, 450)),
        ((3, MAX_SIDE_PX * 4), (1, MAX_SIDE_PX)),
    ],
)
def test_large_pictures_are_shrunk_in_proportion(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert decode(data_uri(image)).shape[:2] == expected
    assert image.shape[:2] == size, "the caller's picture is left alone"
