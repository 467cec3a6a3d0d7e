from __future__ import annotations

import math

import numpy as np
import pytest

from edge_retina.boxes.codec import encode
from edge_retina.config import LossConfig

pytestmark = pytest.mark.tf

LN2, LN9, LN10 = math.log(2), math.log(9), math.log(10)  # logit LN9: a score of .9
TEACHER_LOGITS = np.array([[[LN9], [-LN9]]], np.float32)
TEACHER_DELTAS = np.array([[[0.0] * 4, [0.0] * 4]], np.float32)


def distance(logits: object, deltas: object, teacher_logits: object = TEACHER_LOGITS) -> float:
    from edge_retina.model.distillation import distillation_loss

    found = distillation_loss(
        np.asarray(logits, np.float32),
        np.asarray(deltas, np.float32),
        np.asarray(teacher_logits, np.float32),
        TEACHER_DELTAS,
    )
    return float(found)


@pytest.mark.parametrize(
    "logits, deltas, expected",
    [
        (TEACHER_LOGITS, TEACHER_DELTAS, 0.0),
        # Scores .5 and .9: squared difference x (cross-entropy - entropy of the teacher's score).
        ([[[0.0], [-LN9]]], TEACHER_DELTAS, 0.4**2 * (LN2 - (LN10 - 0.9 * LN9))),
        # Boxes count by the teacher's score: mean of four differences x .9, x .1.
        (TEACHER_LOGITS, [[[1.0, -1.0, 2.0, 0.0], [0.0] * 4]], 1.0 * 0.9),
        (TEACHER_LOGITS, [[[0.0] * 4, [4.0, 0.0, 0.0, 0.0]]], 1.0 * 0.1),
    ],
)
def test_distillation_loss_by_hand(logits: object, deltas: object, expected: float):
    # The teacher's scores add up to 1, by which it is divided.
    assert distance(logits, deltas) == pytest.approx(expected, abs=1e-6)


def test_it_is_per_unit_of_teacher_score():
    deltas = [[[1.0] * 4, [0.0] * 4]]
    assert distance([[[LN9], [LN9]]], deltas, [[[LN9], [LN9]]]) == pytest.approx(0.9 / 1.8)
    # but never divided by less than 1
    assert distance([[[0.0], [-9.0]]], deltas, [[[0.0], [-9.0]]]) == pytest.approx(0.5)


def test_boxes_of_what_the_teacher_calls_background_do_not_count():
    background = -math.log(0.96 / 0.04)  # a score of .04
    logits = [[[background], [background]]]
    assert distance(logits, [[[5.0] * 4] * 2], logits) == 0.0


@pytest.mark.parametrize("start", [-3.0, 0.0, 5.0])
def test_descent_leads_to_the_teacher(start: float):
    from edge_retina.model.distillation import distillation_loss
    from edge_retina.model.keras import tf

    logits = tf.Variable(np.full((1, 2, 1), start, np.float32))
    deltas = tf.Variable(np.full((1, 2, 4), start, np.float32))
    with tf.GradientTape() as tape:
        loss = distillation_loss(logits, deltas, TEACHER_LOGITS, TEACHER_DELTAS)
    toward_logits, toward_deltas = tape.gradient(loss, [logits, deltas])
    assert (np.sign(toward_logits) == np.sign(start - TEACHER_LOGITS)).all()
    assert (np.sign(toward_deltas) == np.sign(start - TEACHER_DELTAS)).all()


ANCHORS = np.array([[0, 0, 8, 8], [8, 8, 24, 16]], np.float32)


def imitation(
    logits: object,
    deltas: object,
    teacher_logits: object = TEACHER_LOGITS,
    teacher_deltas: object = TEACHER_DELTAS,
    *,
    counted: tuple[bool, ...] = (True, True),
    **settings: object,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the loss and its gradients by logits and deltas."""
    from edge_retina.model.distillation import ImitationLoss
    from edge_retina.model.keras import tf

    loss = ImitationLoss(LossConfig(**settings), anchors_px=ANCHORS, counted=np.array(counted))
    outputs = [tf.Variable(np.asarray(x, np.float32)) for x in (logits, deltas)]
    teacher = [np.asarray(x, np.float32) for x in (teacher_logits, teacher_deltas)]
    with tf.GradientTape() as tape:
        found = loss(*outputs, *teacher)
    toward_logits, toward_deltas = tape.gradient(found, outputs)
    return float(found), toward_logits.numpy(), toward_deltas.numpy()


# Of the anchor (0, 0, 8, 8): its upper half, whose GIoU with it is 1/2.
HALF = encode(np.array([[0, 0, 4, 8]], np.float32), ANCHORS[:1])[0].tolist()


@pytest.mark.parametrize(
    "logits, deltas, settings, expected",
    [
        # Scores .5 and .9: difference x (cross-entropy - entropy of the teacher's score).
        ([[[0.0], [-LN9]]], TEACHER_DELTAS, {}, 0.4 * (LN2 - (LN10 - 0.9 * LN9))),
        # Boxes: loss x the teacher's score, .9.
        (TEACHER_LOGITS, [[HALF, [0.0] * 4]], {}, 0.9 * 0.5),
        (TEACHER_LOGITS, [[HALF, [0.0] * 4]], {"box_weight": 3.0}, 3 * 0.9 * 0.5),
        # An anchor that isn't counted has no part, nor in the sum of scores: .1 is left, taken as 1
        ([[[0.0], [-LN9]]], [[HALF, [0.0] * 4]], {"counted": (False, True)}, 0.0),
    ],
)
def test_imitation_loss_by_hand(
    logits: object, deltas: object, settings: dict[str, object], expected: float
):
    # The teacher's scores add up to 1, by which it is divided.
    found, *_ = imitation(logits, deltas, **settings)
    assert found == pytest.approx(expected, abs=1e-5)


def test_imitation_is_per_unit_of_teacher_score():
    two = [[[LN9], [LN9]]]
    found, *_ = imitation(two, [[HALF, [0.0] * 4]], two)
    assert found == pytest.approx(0.9 * 0.5 / 1.8, abs=1e-5)


@pytest.mark.parametrize("box_loss", ["huber", "giou", "ciou"])
def test_a_perfect_imitation_is_left_alone(box_loss: str):
    """No distance and no slope, though a decoded and encoded box is rounded."""
    rng = np.random.default_rng(0)
    logits, deltas = rng.normal(0, 2, (3, 2, 4)), rng.normal(0, 2, (3, 2, 4))
    rounded = deltas * (1 + 1e-6)
    found, toward_logits, toward_deltas = imitation(
        logits, deltas, logits, rounded, box_loss=box_loss
    )
    assert found == 0
    np.testing.assert_array_equal(toward_logits, 0)
    np.testing.assert_array_equal(toward_deltas, 0)


def test_imitation_counts_no_boxes_of_background():
    background = [[[-math.log(0.96 / 0.04)]] * 2]  # scores of .04
    found, _, toward_deltas = imitation(background, [[[5.0] * 4] * 2], background)
    assert found == 0
    np.testing.assert_array_equal(toward_deltas, 0)


@pytest.mark.parametrize("start", [-2.0, 3.0])
def test_descent_leads_to_what_is_imitated(start: float):
    deltas = np.zeros((1, 2, 4))
    deltas[..., 0] = start  # moved along y alone
    found, toward_logits, toward_deltas = imitation(np.full((1, 2, 1), start), deltas)
    assert found > 0
    assert (np.sign(toward_logits) == np.sign(start - TEACHER_LOGITS)).all()
    assert (np.sign(toward_deltas[..., 0]) == np.sign(start)).all()
