from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_retina.runtime.image import load_image
from tests.clients.pictures import turned


def test_a_turned_picture_is_upright_again_when_its_orientation_is_minded(tmp_path: Path) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:10, :15] = 255  # a light corner, top left
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture)
    (tmp_path / "turned.jpg").write_bytes(turned(path))
    upright = load_image(tmp_path / "turned.jpg")
    assert upright.shape == (40, 60, 3)
    np.testing.assert_allclose(upright.astype(int), picture.astype(int), atol=40)
    ignored = cv2.imread(
        str(tmp_path / "turned.jpg"), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )
    assert ignored.shape == (60, 40, 3)
