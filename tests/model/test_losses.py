from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes.codec import decode
from edge_retina.config import LossConfig

pytestmark = pytest.mark.tf

LN2, LN9, LN10 = math.log(2), math.log(9), math.log(10)
SQUARE = (0.0, 0.0, 10.0, 10.0)


@pytest.mark.parametrize(
    "target, logit, options, loss",
    [
        (1, 0.0, {}, 0.25 * 0.5**2 * LN2),
        (0, 0.0, {}, 0.75 * 0.5**2 * LN2),
        (1, LN9, {}, 0.25 * 0.1**2 * (LN10 - LN9)),  # p = .9, log(p) = log(9 / 10)
        (0, LN9, {}, 0.75 * 0.9**2 * LN10),
        (1, -LN9, {}, 0.25 * 0.9**2 * LN10),
        (0, -LN9, {}, 0.75 * 0.1**2 * (LN10 - LN9)),
        (1, LN9, {"gamma": 0.0}, 0.25 * (LN10 - LN9)),
        (0, LN9, {"gamma": 0.0}, 0.75 * LN10),
        (0, LN9, {"alpha": 0.9, "gamma": 1.0}, 0.1 * 0.9 * LN10),
        # the one becomes .95: .95 * -log(.9) + .05 * -log(.1)
        (1, LN9, {"label_smoothing": 0.1}, 0.25 * 0.1**2 * (LN10 - 0.95 * LN9)),
        (0, LN9, {"label_smoothing": 0.1}, 0.75 * 0.9**2 * (LN10 - 0.05 * LN9)),
        (1, -100.0, {}, 25.0),
        (0, 100.0, {}, 75.0),
        (1, 100.0, {}, 0.0),
    ],
)
def test_focal_loss(target: float, logit: float, options: dict[str, float], loss: float):
    from edge_retina.model.keras import tf
    from edge_retina.model.losses import focal_loss

    settings = {"alpha": 0.25, "gamma": 2.0} | options
    found = focal_loss(tf.constant([float(target)]), tf.constant([logit]), **settings)
    np.testing.assert_allclose(found, [loss], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_has_a_finite_gradient_everywhere(gamma: float):
    from edge_retina.model.keras import tf
    from edge_retina.model.losses import focal_loss

    logits = tf.constant([[-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4]] * 2)
    targets = tf.constant([[0.0] * 7, [1.0] * 7])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = focal_loss(targets, logits, alpha=0.25, gamma=gamma)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()
    # far on the wrong side the slope is that of the cross-entropy
    np.testing.assert_allclose([gradient[0, 5], gradient[1, 1]], [0.75, -0.25], rtol=1e-4)


@pytest.mark.parametrize(
    "errors, delta, loss",
    [
        ((0, 0, 0, 0), 0.1, 0.0),
        ((0.05, 0, 0, 0), 0.1, 0.5 * 0.05**2 / 0.1),
        ((0.1, 0, 0, 0), 0.1, 0.05),  # where the two forms meet
        ((0, -0.3, 0, 0), 0.1, 0.05 + 0.2),  # beyond: slope 1
        ((1, 1, -1, 3), 1.0, 0.5 + 0.5 + 0.5 + 2.5),
    ],
)
def test_huber_loss(errors: tuple[float, ...], delta: float, loss: float):
    from edge_retina.model.losses import huber_loss

    targets = np.array([[3.0, -2.0, 0.5, 7.0]], np.float32)
    found = huber_loss(targets, targets + np.array([errors], np.float32), delta=delta)
    np.testing.assert_allclose(found, [loss], rtol=1e-4, atol=1e-7)


def ciou_of_half() -> float:
    """The square against its left half: IoU, shift of centres, difference of shapes."""
    shape = 4 / math.pi**2 * (math.pi / 4 - math.atan(0.5)) ** 2
    return 0.5 + 2.5**2 / 200 + shape**2 / (0.5 + shape)


@pytest.mark.parametrize(
    "kind, box, loss",
    [
        ("giou", SQUARE, 0.0),
        ("giou", (0, 0, 10, 5), 0.5),  # the hull is the union
        ("giou", (20, 20, 30, 30), 1 + 700 / 900),
        ("giou", (0, 10, 10, 20), 1.0),
        ("giou", (5, 5, 15, 15), 1 - 25 / 175 + 50 / 225),
        ("ciou", SQUARE, 0.0),
        ("ciou", (0, 10, 10, 20), 1 + 100 / 500),
        ("ciou", (20, 20, 30, 30), 1 + 800 / 1800),
        ("ciou", (0, 0, 10, 5), ciou_of_half()),
    ],
)
def test_iou_loss(kind: str, box: tuple[float, ...], loss: float):
    from edge_retina.model.losses import iou_loss

    pair = np.array([SQUARE], np.float32), np.array([box], np.float32)
    np.testing.assert_allclose(iou_loss(*pair, kind=kind), [loss], atol=1e-5)


@pytest.mark.parametrize("kind", ["giou", "ciou"])
def test_iou_loss_pulls_disjoint_boxes_together(kind: str):
    from edge_retina.model.keras import tf
    from edge_retina.model.losses import iou_loss

    box = tf.constant([[30.0, 0.0, 40.0, 10.0]])
    with tf.GradientTape() as tape:
        tape.watch(box)
        loss = iou_loss(tf.constant([SQUARE]), box, kind=kind)
    gradient = tape.gradient(loss, box).numpy()[0]
    assert np.isfinite(gradient).all()
    assert gradient[0] + gradient[2] > 0  # going up, towards the square, lowers the loss


def test_decode_boxes_is_the_codec():
    from edge_retina.model.losses import decode_boxes

    rng = np.random.default_rng(0)
    codes = (rng.normal(0, 5, (500, 4))).astype(np.float32)
    codes[0], codes[1] = 1000, -1000  # beyond the largest size code
    low = rng.uniform(0, 200, (500, 2))
    anchors = np.concatenate([low, low + rng.uniform(4, 100, (500, 2))], 1).astype(np.float32)
    np.testing.assert_allclose(
        decode_boxes(codes, anchors), decode(codes, anchors), rtol=1e-4, atol=1e-3
    )


ANCHORS = np.array([(0, 0, 10, 10), (0, 10, 10, 20), (10, 0, 20, 10)], np.float32)
LOGITS = np.array([[[LN9, -LN9], [0, 0], [LN9, LN9]], [[0, 0], [0, LN9], [-LN9, 0]]], np.float32)
CLASSES = np.array([[0, -1, -2], [-2, 1, -1]], np.int32)
CODES = np.array(
    [[[0.3, 0, 0, 0], [9] * 4, [9] * 4], [[9] * 4, [0, 0.05, 0, 0], [9] * 4]], np.float32
)


def loss_of(
    logits: np.ndarray = LOGITS,
    classes: np.ndarray = CLASSES,
    codes: np.ndarray = CODES,
    **changes: object,
) -> tuple[float, float]:
    from edge_retina.model.losses import detection_loss

    settings = {"box_loss": "huber", "huber_delta": 0.1} | changes
    cls_loss, box_loss = detection_loss(
        logits,
        np.zeros_like(codes),
        cls_targets=classes,
        box_targets=codes,
        anchors=ANCHORS,
        loss=LossConfig(**settings),
    )
    return float(cls_loss), float(box_loss)


def test_detection_loss_by_hand():
    right = 0.1**2 * (LN10 - LN9)  # p = .9 where a one is wanted, or .1 where a zero is
    half = 0.5**2 * LN2
    positives = 0.25 * right + 0.75 * right + 0.25 * right + 0.75 * half
    negatives = 2 * 0.75 * half + 0.75 * (right + half)
    cls_loss, box_loss = loss_of()
    assert cls_loss == pytest.approx((positives + negatives) / 2, rel=1e-4)
    assert box_loss == pytest.approx((0.25 + 0.0125) / 2, rel=1e-4)
    assert loss_of(box_weight=3.0)[1] == pytest.approx(3 * box_loss)


@pytest.mark.parametrize("box_loss", ["huber", "giou", "ciou"])
def test_ignored_anchors_contribute_nothing(box_loss: str):
    logits, codes = LOGITS.copy(), CODES.copy()
    logits[0, 2], logits[1, 0] = 55, -77
    codes[0, 2], codes[1, 0] = 3, -4
    assert loss_of(logits, codes=codes, box_loss=box_loss) == loss_of(box_loss=box_loss)


@pytest.mark.parametrize("box_loss", ["giou", "ciou"])
def test_the_iou_losses_compare_boxes_at_the_anchors(box_loss: str):
    classes = np.array([[-1, 0, -1], [-1, -1, -1]], np.int32)
    codes = np.zeros_like(CODES)
    codes[0, 1] = 10, 0, 0, 0  # one height below its anchor: they share an edge
    expected = {"giou": 1.0, "ciou": 1 + 100 / 500}
    assert loss_of(classes=classes, codes=codes, box_loss=box_loss)[1] == pytest.approx(
        expected[box_loss], abs=1e-5
    )


@pytest.mark.parametrize("box_loss", ["huber", "giou", "ciou"])
def test_a_batch_without_objects(box_loss: str):
    cls_loss, found = loss_of(classes=np.full_like(CLASSES, -1), box_loss=box_loss)
    assert found == 0
    # divided by 1, not by 0: six anchors, twelve numbers
    right, half, wrong = 0.1**2 * (LN10 - LN9), 0.5**2 * LN2, 0.9**2 * LN10
    assert cls_loss == pytest.approx(0.75 * (2 * right + 6 * half + 4 * wrong), rel=1e-4)
