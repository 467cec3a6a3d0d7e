from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edge_retina.boxes.codec import decode
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.choices import BOX_LOSSES, CLASS_LOSSES, load_choice
from edge_retina.config import LossConfig
from edge_retina.errors import ConfigError

pytestmark = pytest.mark.tf

LN2, LN9, LN10 = math.log(2), math.log(9), math.log(10)
SQUARE = (0.0, 0.0, 10.0, 10.0)


def focal(targets: list[float], logits: Any, **options: float) -> Any:
    """The focal loss of single numbers, one class each; a target is 0 or 1."""
    from edge_retina.model.class_losses.focal import focal_loss
    from edge_retina.model.keras import tf

    classes = tf.constant([[0 if target else -1 for target in targets]])
    settings = LossConfig(**options)
    return focal_loss(tf.reshape(logits, (1, -1, 1)), classes, None, settings)[0, :, 0]


@pytest.mark.parametrize(
    "target, logit, options, loss",
    [
        (1, 0.0, {}, 0.25 * 0.5**2 * LN2),
        (0, 0.0, {}, 0.75 * 0.5**2 * LN2),
        (1, LN9, {}, 0.25 * 0.1**2 * (LN10 - LN9)),  # p = .9, log(p) = log(9 / 10)
        (0, LN9, {}, 0.75 * 0.9**2 * LN10),
        (1, -LN9, {}, 0.25 * 0.9**2 * LN10),
        (0, -LN9, {}, 0.75 * 0.1**2 * (LN10 - LN9)),
        (1, LN9, {"focal_gamma": 0.0}, 0.25 * (LN10 - LN9)),
        (0, LN9, {"focal_gamma": 0.0}, 0.75 * LN10),
        (0, LN9, {"focal_alpha": 0.9, "focal_gamma": 1.0}, 0.1 * 0.9 * LN10),
        # the one becomes .95, which is .05 away: .95 * -log(.9) + .05 * -log(.1)
        (1, LN9, {"label_smoothing": 0.1}, 0.25 * 0.05**2 * (LN10 - 0.95 * LN9)),
        # the zero becomes .05, which is .85 away
        (0, LN9, {"label_smoothing": 0.1}, 0.75 * 0.85**2 * (LN10 - 0.05 * LN9)),
        (1, LN9, {"label_smoothing": 0.2}, 0.0),  # p is the smoothed target
        (0, -LN9, {"label_smoothing": 0.2}, 0.0),
        (1, LN9, {"label_smoothing": 0.2, "focal_gamma": 0.0}, 0.25 * (LN10 - 0.9 * LN9)),
        (1, -100.0, {}, 25.0),
        (0, 100.0, {}, 75.0),
        (1, 100.0, {}, 0.0),
    ],
)
def test_focal_loss(target: float, logit: float, options: dict[str, float], loss: float):
    np.testing.assert_allclose(focal([target], [logit], **options), [loss], rtol=1e-4, atol=1e-7)


def quality_focal(target: int, iou: float, logits: Any, **options: float) -> Any:
    """The quality focal loss of single numbers, one class each."""
    from edge_retina.model.class_losses.quality_focal import quality_focal_loss
    from edge_retina.model.keras import tf

    logits = tf.reshape(logits, (1, -1, 1))
    classes = tf.fill(logits.shape[:2], 0 if target else -1)
    quality = tf.fill(logits.shape[:2], iou)
    return quality_focal_loss(logits, classes, lambda: quality, LossConfig(**options))[0, :, 0]


@pytest.mark.parametrize(
    "target, iou, logit, options, loss",
    [
        (1, 1.0, 0.0, {}, 0.5**2 * LN2),
        (1, 0.9, LN9, {}, 0.0),  # the score is the IoU
        (1, 0.5, LN9, {}, 0.4**2 * (LN10 - 0.5 * LN9)),
        (1, 0.5, LN9, {"focal_gamma": 1.0}, 0.4 * (LN10 - 0.5 * LN9)),
        (1, 0.8, LN9, {"quality": 0.5}, 0.0),  # 1 - .5 + .5 * .8
        (1, 0.3, LN9, {"quality": 0.0}, 0.1**2 * (LN10 - LN9)),
        (0, 0.0, LN9, {}, 0.9**2 * LN10),
        (0, 0.0, LN9, {"quality": 0.5}, 0.9**2 * LN10),  # background stays 0
    ],
)
def test_quality_focal_loss(
    target: int, iou: float, logit: float, options: dict[str, float], loss: float
):
    found = quality_focal(target, iou, [logit], **options)
    np.testing.assert_allclose(found, [loss], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("iou", [0.0, 0.3, 0.9])
def test_the_quality_focal_loss_is_least_where_the_score_is_the_iou(iou: float):
    p = np.linspace(0.01, 0.99, 99).astype(np.float32)
    found = quality_focal(1, iou, np.log(p / (1 - p)))
    assert p[np.argmin(found)] == pytest.approx(max(iou, 0.01), abs=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 3.5])
def test_focal_loss_of_hard_targets_is_that_of_the_paper(gamma: float):
    logits = np.linspace(-30, 30, 601).astype(np.float32)
    for target, toward in ((1, logits), (0, -logits)):
        p_t = 1 / (1 + np.exp(-toward.astype(np.float64)))
        weight = 0.25 if target else 0.75
        expected = weight * (1 / (1 + np.exp(toward.astype(np.float64)))) ** gamma * -np.log(p_t)
        found = focal([target] * len(logits), logits, focal_gamma=gamma)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.1, 0.4])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("target", [0, 1])
def test_the_focal_loss_is_least_at_the_smoothed_target(
    smoothing: float, gamma: float, target: int
):
    p = np.linspace(0.01, 0.99, 99).astype(np.float32)
    found = focal([target] * 99, np.log(p / (1 - p)), label_smoothing=smoothing, focal_gamma=gamma)
    wanted = 1 - smoothing / 2 if target else smoothing / 2
    assert p[np.argmin(found)] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_loss_has_a_finite_gradient_everywhere(gamma: float, smoothing: float):
    from edge_retina.model.keras import tf

    smooth = math.log(0.95 / 0.05)  # where a smoothed target is met exactly
    each = [-1e4, -100.0, -smooth, -1.0, 0.0, 1.0, smooth, 100.0, 1e4]
    logits = tf.constant(each * 2)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = focal([0] * 9 + [1] * 9, logits, focal_gamma=gamma, label_smoothing=smoothing)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.isfinite(loss).all()
    assert np.isfinite(gradient).all()
    if not smoothing:  # far on the wrong side the slope is that of the cross-entropy
        np.testing.assert_allclose([gradient[7], gradient[10]], [0.75, -0.25], rtol=1e-4)


def matched_codes(targets: Any, codes: Any) -> Any:
    from edge_retina.model.keras import tf
    from edge_retina.model.matched_boxes import MatchedBoxes

    return MatchedBoxes(tf.constant(codes), tf.constant(targets), tf.constant([SQUARE]))


def matched_boxes(target: tuple[float, ...], box: Any) -> Any:
    """Boxes as they are, not decoded from codes."""
    from edge_retina.model.keras import tf
    from edge_retina.model.matched_boxes import MatchedBoxes

    matched = MatchedBoxes(None, None, None)
    matched.target_boxes, matched.boxes = tf.constant([target]), tf.convert_to_tensor(box)
    return matched


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
    from edge_retina.model.box_losses.huber import huber_loss

    targets = np.array([[3.0, -2.0, 0.5, 7.0]], np.float32)
    matched = matched_codes(targets, targets + np.array([errors], np.float32))
    found = huber_loss(matched, LossConfig(huber_delta=delta))
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
def test_iou_losses(kind: str, box: tuple[float, ...], loss: float):
    matched = matched_boxes(SQUARE, np.array([box], np.float32))
    found = load_choice(BOX_LOSSES, kind)(matched, LossConfig())
    np.testing.assert_allclose(found, [loss], atol=1e-5)


@pytest.mark.parametrize("kind", ["giou", "ciou"])
def test_iou_losses_pull_disjoint_boxes_together(kind: str):
    from edge_retina.model.keras import tf

    box = tf.constant([[30.0, 0.0, 40.0, 10.0]])
    with tf.GradientTape() as tape:
        tape.watch(box)
        loss = load_choice(BOX_LOSSES, kind)(matched_boxes(SQUARE, box), LossConfig())
    gradient = tape.gradient(loss, box).numpy()[0]
    assert np.isfinite(gradient).all()
    assert gradient[0] + gradient[2] > 0  # going up, towards the square, lowers the loss


@pytest.mark.parametrize("table", [BOX_LOSSES, CLASS_LOSSES])
def test_every_loss_of_the_tables_exists(table: dict[str, str]):
    found = {name: load_choice(table, name) for name in table}
    assert all(map(callable, found.values()))
    assert len(set(found.values())) == len(table), "two names for one loss"


@pytest.mark.parametrize("field", ["box_loss", "cls_loss"])
def test_an_unknown_loss_is_refused(field: str):
    with pytest.raises(ConfigError, match="'siou' is unknown"):
        loss_of(**{field: "siou"})


def test_decode_boxes_is_the_codec():
    from edge_retina.model.box_codec import decode_boxes

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
    from edge_retina.model.losses import DetectionLoss

    settings = {"box_loss": "huber", "huber_delta": 0.1} | changes
    losses = DetectionLoss(LossConfig(**settings))(
        logits,
        np.zeros_like(codes),
        cls_targets=classes,
        box_targets=codes,
        anchors=ANCHORS,
    )
    return float(losses.classes), float(losses.boxes)


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


def test_a_class_loss_may_ask_for_the_iou_of_the_boxes(monkeypatch: pytest.MonkeyPatch):
    from edge_retina.model import losses
    from edge_retina.model.keras import tf

    asked = {}

    def class_loss(cls_logits: Any, cls_targets: Any, iou: Any, settings: LossConfig) -> Any:
        asked.update(iou=iou().numpy(), targets=np.asarray(cls_targets), settings=settings)
        return tf.zeros_like(cls_logits)

    def load(table: dict[str, str], name: str) -> Any:
        return class_loss if table is CLASS_LOSSES else load_choice(table, name)

    monkeypatch.setattr(losses, "load_choice", load)
    codes = np.zeros_like(CODES)
    codes[0, 0] = 5, 0, 0, 0  # half a height below its anchor: 50 of 150 in common
    codes[1, 1] = 0, 0, 5 * LN2, 5 * LN2  # twice as high and wide: a quarter of it
    loss_of(codes=codes)
    expected = np.zeros((2, 3))
    expected[0, 0], expected[1, 1] = 1 / 3, 1 / 4
    np.testing.assert_allclose(asked["iou"], expected, atol=1e-5)
    rows = decode(codes[[0, 1], [0, 1]], ANCHORS[[0, 1]])
    by_numpy = np.diagonal(pairwise_iou(rows, ANCHORS[[0, 1]]))
    np.testing.assert_allclose(asked["iou"][[0, 1], [0, 1]], by_numpy, atol=1e-5)
    np.testing.assert_array_equal(asked["targets"], CLASSES)
    assert asked["settings"].cls_loss == "focal"


def test_the_iou_for_a_class_loss_has_no_gradient(monkeypatch: pytest.MonkeyPatch):
    """Else the class loss would be lowered by making boxes worse."""
    from edge_retina.model import losses
    from edge_retina.model.keras import tf

    def class_loss(cls_logits: Any, _targets: Any, iou: Any, _settings: LossConfig) -> Any:
        return cls_logits * iou()[..., None]

    def load(table: dict[str, str], name: str) -> Any:
        return class_loss if table is CLASS_LOSSES else load_choice(table, name)

    monkeypatch.setattr(losses, "load_choice", load)
    detection_loss = losses.DetectionLoss(LossConfig(box_weight=0.0))
    deltas = tf.Variable(np.full(CODES.shape, 0.5, np.float32))
    with tf.GradientTape() as tape:
        found = detection_loss(
            tf.constant(LOGITS),
            deltas,
            cls_targets=CLASSES,
            box_targets=CODES,
            anchors=ANCHORS,
        )
        total = found.classes + found.boxes
    assert float(found.classes) != 0
    assert not tape.gradient(total, deltas).numpy().any()
