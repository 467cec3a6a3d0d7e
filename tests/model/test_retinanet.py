from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tf

IMAGE_HW = (128, 192)


@pytest.fixture(scope="module")
def network(make_retinanet: Callable[..., Any]) -> Any:
    return make_retinanet(image_hw=IMAGE_HW, max_level=7, head_depth=1)


def test_outputs_are_one_row_for_each_anchor(network: Any):
    model, grid = network
    anchors = len(grid.boxes_px())
    assert anchors == 2 * (16 * 24 + 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2)  # 1.5 cells make 2
    cls_logits, box_deltas = model(np.zeros((2, *IMAGE_HW, 3), np.float32))
    assert cls_logits.shape == (2, anchors, 3)
    assert box_deltas.shape == (2, anchors, 4)
    assert model.output_names == ["cls_logits", "box_deltas"]


def test_levels_are_joined_finest_first(network: Any):
    from edge_retina.model.keras import keras

    model, grid = network
    names = [f"{head}_p{level}_reshape" for head in ("cls", "box") for level in grid.levels]
    probe = keras.Model(model.input, [*model.outputs, *(model.get_layer(n).output for n in names)])
    image = np.random.default_rng(0).uniform(-1, 1, (1, *IMAGE_HW, 3)).astype(np.float32)
    cls_logits, box_deltas, *by_level = (array.numpy() for array in probe(image))
    np.testing.assert_array_equal(np.concatenate(by_level[:5], axis=1), cls_logits)
    np.testing.assert_array_equal(np.concatenate(by_level[5:], axis=1), box_deltas)
    assert [array.shape[1] for array in by_level[:5]] == list(grid.level_counts())


def test_heads_share_convolutions_but_not_batchnorm(network: Any):
    model, _ = network
    names = {layer.name for layer in model.layers}
    assert {"cls_conv0_dw", "cls_conv0_pw", "box_conv0_dw", "box_out_pw"} <= names
    assert {f"cls_p{level}_conv0_bn" for level in range(3, 8)} <= names
    assert not any(name.startswith("cls_p3_conv0_dw") for name in names)


def test_features_are_at_their_strides(network: Any):
    model, _ = network
    for level in range(3, 8):
        name = f"p{level}_smooth_relu" if level <= 5 else f"p{level}_down_relu"
        height, width = (-(-side // 2**level) for side in IMAGE_HW)
        assert model.get_layer(name).output_shape == (None, height, width, 16)


def test_a_single_level(make_retinanet: Callable[..., Any]):
    model, grid = make_retinanet(max_level=3)
    cls_logits, _ = model(np.zeros((1, 64, 64, 3), np.float32))
    assert cls_logits.shape == (1, len(grid.boxes_px()), 3)
