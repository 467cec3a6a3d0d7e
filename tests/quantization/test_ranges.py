from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_retina.errors import DatasetError
from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf


def test_ranges_are_the_extremes_over_all_batches(
    int8_detector: SimpleNamespace, blurred_pictures: Callable[[int, int], Any]
):
    from edge_retina.model.keras import keras
    from edge_retina.quantization.ranges import measure_ranges

    deploy = int8_detector.deploy
    images = normalize(blurred_pictures(6, seed=3))
    found = measure_ranges(deploy, [images[:2], images[2:5], images[5:]], score_threshold=0.05)
    names = ["Conv1_relu", "p3_merge", "p4_smooth_dw", "box_p5_out_pw"]
    probe = keras.Model(deploy.input, [deploy.get_layer(name).output for name in names])
    for name, output in zip(names, probe(images), strict=True):
        expected = min(output.numpy().min(), 0), max(output.numpy().max(), 0)
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


def test_every_range_holds_0_and_has_a_width(int8_detector: SimpleNamespace):
    for low, high in int8_detector.ranges.values():
        assert low <= 0 <= high
        assert high - low > 1e-4


def test_class_logits_are_cut_at_the_floor(int8_detector: SimpleNamespace):
    from edge_retina.int8.activation_ranges import logit_floor
    from edge_retina.quantization.fusion import class_logit_layers

    logits = class_logit_layers(int8_detector.deploy)
    assert logits == {f"cls_p{level}_out_pw" for level in (3, 4, 5)}
    for name in logits:
        assert int8_detector.ranges[name][0] == pytest.approx(logit_floor(0.05))
    assert int8_detector.ranges["box_p3_out_pw"][0] < logit_floor(0.05)  # boxes are not


def test_no_pictures(int8_detector: SimpleNamespace):
    from edge_retina.quantization.ranges import measure_ranges

    with pytest.raises(DatasetError, match="there are no calibration images"):
        measure_ranges(int8_detector.deploy, [], score_threshold=0.05)


def test_calibration_batches_hold_every_picture_in_order(tmp_path: Path):
    from edge_retina.quantization.ranges import calibration_batches

    paths = [tmp_path / f"{i}.png" for i in range(10)]
    for i, path in enumerate(paths):
        assert cv2.imwrite(str(path), np.full((40, 30, 3), 20 * i, np.uint8))
    batches = list(calibration_batches(paths, (64, 32)))
    assert [batch.shape for batch in batches] == [(8, 64, 32, 3), (2, 64, 32, 3)]
    values = np.concatenate(batches)[:, 5, 5, 0]
    np.testing.assert_array_equal(values, (20 * np.arange(10) - 128) / 128)


@pytest.fixture(scope="module")
def narrow(int8_detector: SimpleNamespace, blurred_pictures: Callable[[int, int], Any]) -> Any:
    """Ranges of some pictures by each method."""
    from edge_retina.quantization.ranges import measure_ranges

    images = normalize(blurred_pictures(12, seed=3))

    def measure(**options: Any) -> dict[str, tuple[float, float]]:
        batches = [images[:8], images[8:]]
        return measure_ranges(int8_detector.deploy, batches, score_threshold=0.05, **options)

    return measure


def test_percentiles_are_those_of_the_values(
    int8_detector: SimpleNamespace, blurred_pictures: Callable[[int, int], Any], narrow: Any
):
    from edge_retina.model.keras import keras

    found = narrow(method="percentile", percentile=98.0)
    names = ["Conv1_relu", "p3_lateral", "box_p3_out_pw"]
    deploy = int8_detector.deploy
    probe = keras.Model(deploy.input, [deploy.get_layer(name).output for name in names])
    for name, output in zip(names, probe(normalize(blurred_pictures(12, seed=3))), strict=True):
        values = output.numpy()
        bin_width = (values.max() - values.min()) / 2048
        low, high = np.quantile(values, (0.01, 0.99))
        expected = min(low, 0), max(high, 0)
        np.testing.assert_allclose(found[name], expected, atol=1.5 * bin_width, err_msg=name)


def test_no_method_goes_beyond_the_extremes(narrow: Any):
    full = narrow()
    for method in ("percentile", "mse"):
        found = narrow(method=method, percentile=99.0)
        assert set(found) == set(full)
        inside = [
            full[name][0] - 1e-5 <= low <= 0 <= high <= full[name][1] + 1e-5
            for name, (low, high) in found.items()
            if not name.startswith("cls")
        ]
        assert all(inside)
        assert sum(found[name] != full[name] for name in full) > 0.5 * len(full)


@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_no_method_cuts_the_upper_end_of_class_logits(narrow: Any, method: str):
    full, found = narrow(), narrow(method=method, percentile=90.0)
    for level in (3, 4, 5):
        name = f"cls_p{level}_out_pw"
        assert found[name][1] == full[name][1]
        other = f"cls_p{level}_out_dw"
        assert method == "mse" or found[other][1] < full[other][1]


def test_levels_share_their_union(narrow: Any):
    own, shared = narrow(), narrow(shared_levels=True)
    for part in ("cls_p{}_conv0_relu", "box_p{}_out_pw"):
        names = [part.format(level) for level in (3, 4, 5)]
        union = min(own[name][0] for name in names), max(own[name][1] for name in names)
        assert [shared[name] for name in names] == [union] * 3
    for name in ("p3_smooth_relu", "p4_lateral", "block_3_depthwise_relu"):
        assert shared[name] == own[name]
