from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid

pytestmark = pytest.mark.tf

# 8 x 12, 4 x 6 and 2 x 3 cells with three shapes each
GRID = AnchorGrid((64, 96), 3, (((9.0, 9.0), (9.0, 5.0), (5.0, 9.0)),) * 3)
CHANNELS = 4


@pytest.fixture(scope="module")
def head() -> Any:
    """A head without a tower over three levels, from the pyramid to all anchors (A, 2)."""
    from edge_retina.model.heads import build_head
    from edge_retina.model.keras import keras

    pyramid = {level: keras.Input((*GRID.cells_hw(level), CHANNELS)) for level in GRID.levels}
    outputs = build_head(
        pyramid,
        name="cls",
        channels=CHANNELS,
        depth=0,
        outputs_per_anchor=2,
        anchors_per_cell=GRID.per_cell,
    )
    return keras.Model(list(pyramid.values()), keras.layers.Concatenate(axis=1)(outputs))


def features() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = [(1, *GRID.cells_hw(level), CHANNELS) for level in GRID.levels]
    return [rng.normal(size=size).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("level, row, column", [(3, 0, 0), (3, 2, 10), (4, 3, 1), (5, 1, 0)])
def test_outputs_are_in_the_order_of_the_anchors(head: Any, level: int, row: int, column: int):
    """A change in one cell reaches the anchors of the 3 x 3 cells around it, and no others."""
    before = features()
    after = [array.copy() for array in before]
    after[level - 3][0, row, column] += 5.0
    changed = (head(before).numpy() != head(after).numpy()).any(axis=-1)[0]

    boxes = GRID.boxes_px()
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    of_level = np.repeat(GRID.levels, GRID.level_counts()) == level
    place = (np.array([row, column]) + 0.5) * 2**level
    near = of_level & (np.abs(centres - place) <= 2**level).all(axis=1)
    np.testing.assert_array_equal(changed, near)


def test_channels_are_shape_then_output(head: Any):
    layer = head.get_layer("cls_out_pw")
    kernel, bias = layer.get_weights()
    layer.set_weights([np.zeros_like(kernel), np.arange(bias.size, dtype=np.float32)])
    found = head(features()).numpy()[0]
    layer.set_weights([kernel, bias])
    shape = np.arange(len(found)) % GRID.per_cell
    np.testing.assert_array_equal(found, np.stack([2 * shape, 2 * shape + 1], axis=1))


@pytest.mark.parametrize("probability", [0.01, 0.2, 0.5])
def test_prior_bias_is_the_logit(probability: float):
    from edge_retina.model.heads import prior_bias

    assert 1 / (1 + math.exp(-prior_bias(probability))) == pytest.approx(probability)


def test_a_fresh_network_sees_an_object_in_one_anchor_of_a_hundred(
    make_retinanet: Callable[..., Any],
):
    model, _ = make_retinanet(fresh=True)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    cls_logits, box_deltas = model(images)
    probability = (1 / (1 + np.exp(-cls_logits.numpy()))).mean()
    assert probability == pytest.approx(0.01, rel=0.2)
    assert (model.get_layer("box_out_pw").bias.numpy() == 0).all()
    assert np.abs(box_deltas).mean() < 0.5  # boxes start at their anchors
