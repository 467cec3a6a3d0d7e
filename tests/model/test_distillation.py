from __future__ import annotations

import math

import numpy as np
import pytest

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
