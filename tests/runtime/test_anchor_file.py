from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.codec import decode
from edge_retina.errors import ModelError
from edge_retina.runtime.anchor_file import AnchorSet, described_anchors, load_anchors

ANCHOR = np.array([[0.5, 0.4, 0.2, 0.1]], np.float32)  # y, x, height, width


def test_a_box_by_hand() -> None:
    """Half a height down, a whole width to the right, twice as high."""
    codes = np.array([[5.0, 10.0, 5 * math.log(2), 0.0]], np.float32)
    box = AnchorSet().decode(codes, ANCHOR)
    np.testing.assert_allclose(box, [[0.4, 0.45, 0.8, 0.55]], atol=1e-6)


def test_codes_of_another_order_without_exponential() -> None:
    """x, y, w, h in pixels of a 128 px input, as MediaPipe's face detector has them."""
    coding = AnchorSet(scales=(128.0,) * 4, order="xywh", exponential=False)
    unit = np.array([[0.5, 0.25, 1.0, 1.0]], np.float32)
    codes = np.array([[32.0, -16.0, 64.0, 32.0, 9.0, 9.0]], np.float32)  # and a key point
    np.testing.assert_allclose(
        coding.decode(codes, unit), [[0.375 - 0.125, 0.5 - 0.25, 0.375 + 0.125, 0.5 + 0.25]]
    )


def test_the_default_is_the_codec_of_this_package() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(0, 3, (50, 4)).astype(np.float32)
    rows = rng.uniform(0.1, 0.9, (50, 4)).astype(np.float32)
    corners = np.concatenate([rows[:, :2] - rows[:, 2:] / 2, rows[:, :2] + rows[:, 2:] / 2], 1)
    np.testing.assert_allclose(
        AnchorSet().decode(codes, rows), decode(codes, corners), rtol=1e-4, atol=1e-5
    )


def test_anchors_of_the_metadata() -> None:
    options: dict[str, Any] = {
        "ssd_anchors_options": {
            "fixed_anchors_schema": {
                "anchors": [{"x_center": 0.4, "y_center": 0.5, "width": 0.1, "height": 0.2}]
            }
        },
        "tensors_decoding_options": {
            "x_scale": 1.0,
            "y_scale": 2.0,
            "w_scale": 3.0,
            "h_scale": 4.0,
            "apply_exponential_on_box_size": True,
            "sigmoid_score": True,
        },
    }
    assert described_anchors(options) == AnchorSet(
        anchors=((0.5, 0.4, 0.2, 0.1),), scales=(2.0, 1.0, 4.0, 3.0), sigmoid=True
    )
    assert described_anchors({}) is None


def test_a_file_and_its_journey_as_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"anchors": [[0.5, 0.4, 0.2, 0.1]], "sigmoid": True}))
    assert load_anchors(path) == AnchorSet(anchors=((0.5, 0.4, 0.2, 0.1),), sigmoid=True)


@pytest.mark.parametrize(
    "content, message",
    [
        ("[]", 'expected {"anchors": [[y_centre, x_centre, height, width], ...]}'),
        ("{", "not valid JSON ("),
        ('{"anchors": [[1, 2, 3]]}', "each anchor, and 'scales', must be 4 numbers"),
        ('{"anchors": []}', "each anchor, and 'scales', must be 4 numbers"),
        ('{"anchors": [[1, 2, "x", 3]]}', "not numbers ("),
        ('{"anchors": [[1, 2, 0, 3]]}', "scales, heights and widths must be above 0"),
        ('{"anchors": [[1, 2, 3, 3]], "scale": 1}', "unknown field 'scale'; did you mean"),
        ('{"anchors": [[1, 2, 3, 3]], "order": "yxwh"}', "'order' must be one of yxhw, xywh"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ModelError) as caught:
        load_anchors(path)
    assert str(caught.value).startswith(f"--anchors {path}: {message}")
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"can't be read \(No such file or directory\)"):
        load_anchors(tmp_path / "none.json")
