"""The figures of a step, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_retina.boxes.codec import encode
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.boxes.matching import IGNORED, NEGATIVE
from tests.training.tiny_backbone import use_tiny_backbone

pytestmark = pytest.mark.tf

# Two images, five anchors in levels of three and two, three classes.
TARGETS = [[0, NEGATIVE, 2, IGNORED, 0], [NEGATIVE, NEGATIVE, NEGATIVE, 0, NEGATIVE]]
LEVELS = (3, 2)


def figures(
    targets: list[list[int]],
    scores: dict[tuple[int, int], float],
    codes: dict[tuple[int, int], tuple[float, ...]] | None = None,
) -> dict[str, Any]:
    """The figures if positive anchors (image, anchor) have these scores for their class.

    `codes` are of objects that don't lie exactly on their anchor.
    """
    from edge_retina.model.keras import tf
    from edge_retina.training.evidence import anchor_figures

    logits = np.full((2, 5, 3), 7.0, np.float32)  # of the other classes: to be left alone
    for (image, anchor), score in scores.items():
        logits[image, anchor, targets[image][anchor]] = math.log(score / (1 - score))
    compiled = tf.function(lambda *given: anchor_figures(*given, level_anchors=LEVELS))
    boxes = np.zeros((2, 5, 4), np.float32)
    for place, code in (codes or {}).items():
        boxes[place] = code
    found = compiled(tf.constant(logits), tf.constant(targets, tf.int32), tf.constant(boxes))
    return {name: value.numpy() for name, value in found.items()}


def test_figures_by_hand() -> None:
    scores = {(0, 0): 0.9, (0, 2): 0.1, (0, 4): 0.5, (1, 3): 0.7}
    found = figures(TARGETS, scores)
    assert found["positives"] == 2.0
    assert found["ignored"] == pytest.approx(0.1)
    np.testing.assert_allclose(found["positives_by_class"], [1.5, 0, 0.5])
    np.testing.assert_allclose(found["positives_by_level"], [1, 1])
    # Places 0, 2 (1.5 rounded to even) and 3 of .1, .5, .7, .9
    assert found["positive_score_p10"] == pytest.approx(0.1, rel=1e-5)
    assert found["positive_score_p50"] == pytest.approx(0.7, rel=1e-5)
    assert found["positive_score_p90"] == pytest.approx(0.9, rel=1e-5)


def test_forced_positives_are_those_that_hardly_overlap_their_object() -> None:
    scores = {(0, 0): 0.9, (0, 2): 0.1, (0, 4): 0.5, (1, 3): 0.7}
    half = math.log(0.5) * 5  # sides of half of the anchor's: IoU .25
    codes = {
        (0, 0): (0.0, 0.0, half, half),
        (0, 2): (0.0, 5.0, 0.0, 0.0),  # half a side to the right: IoU 1/3
        (1, 3): (0.0, 2.5, 0.0, 0.0),  # a quarter: IoU .6
    }
    found = figures(TARGETS, scores, codes)
    assert found["forced"] == 1.0
    np.testing.assert_allclose(found["forced_by_class"], [0.5, 0, 0.5])
    np.testing.assert_allclose(found["forced_by_level"], [1, 0])
    np.testing.assert_allclose(found["positives_by_level"], [1, 1])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_overlap_of_a_code_is_that_of_its_box_and_anchor(seed: int) -> None:
    from edge_retina.training.evidence import overlap_with_anchor

    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (2, 20, 2))
    boxes, anchors = np.concatenate([low, low + rng.uniform(1, 60, (2, 20, 2))], axis=-1)
    expected = pairwise_iou(boxes, anchors).diagonal()
    found = overlap_with_anchor(encode(boxes, anchors)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_batch_without_objects_has_no_scores() -> None:
    found = figures([[NEGATIVE] * 5] * 2, {})
    assert found["positives"] == found["forced"] == 0
    np.testing.assert_array_equal(found["positives_by_class"], [0, 0, 0])
    assert np.isnan(found["positive_score_p50"])


def test_the_parts_of_a_network_are_all_its_variables(
    make_retinanet: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.training.evidence import network_parts

    use_tiny_backbone(monkeypatch)
    model, _ = make_retinanet(fresh=True)
    model.get_layer("block_1_conv").trainable = False
    parts = network_parts(model, "mobilenet_v2")
    assert set(parts) == {"backbone", "fpn", "cls_head", "box_head"}
    found = [variable.ref() for variables in parts.values() for variable in variables]
    assert len(found) == len(set(found))
    assert set(found) == {variable.ref() for variable in model.trainable_variables}
    assert all("cls_" in variable.name for variable in parts["cls_head"])


def test_update_ratios_by_hand() -> None:
    from edge_retina.model.keras import tf
    from edge_retina.training.evidence import UpdateRatios

    variables = [tf.Variable([3.0, 0.0]), tf.Variable([[4.0]]), tf.Variable([0.0])]
    ratios = UpdateRatios({"backbone": variables[:2], "fpn": variables[2:]})

    iterations = tf.Variable(0, dtype=tf.int64)

    @tf.function
    def step() -> dict[str, tf.Tensor]:
        before = ratios.before(iterations)
        iterations.assign_add(1)
        variables[0].assign_add([0.0, 0.3])
        variables[1].assign_add([[0.4]])
        return ratios.after(before)

    found = step()
    assert found["update_ratio_backbone"].numpy() == pytest.approx(0.1)  # .5 to 5
    assert found["update_ratio_fpn"].numpy() == 0.0
    later = [step()["update_ratio_backbone"].numpy() for _ in range(4)]
    assert np.isnan(later[:3]).all()
    # Four steps moved by .5 each in the same direction: from 7 to 7.5.
    old = np.hypot(np.hypot(3, 1.2), 5.6)
    assert later[3] == pytest.approx(0.5 / old)
