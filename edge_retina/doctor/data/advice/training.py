"""Advice on the training: its data, batch size, learning rate and length."""

from __future__ import annotations

import math

from edge_retina.budget import budget_steps
from edge_retina.config import TrainConfig
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.survey import Survey

_MANY_STEPS = 6000
_LARGE_BATCH = 16  # only where there are steps to spare; every setting was tuned with the default 8
_EVALUATIONS = 20  # during a training; more cost time and make the best of them a matter of luck


def splits(survey: Survey) -> list[Advice]:
    """Name the split to train on, and drop the names of splits that don't exist."""
    data = survey.config.data
    advice = []
    others = {
        name: len(items)
        for name, items in survey.examples.items()
        if items and name not in (data.val_split, data.test_split)
    }
    if data.train_split not in others and others:
        largest = max(others, key=others.__getitem__)
        reason = f"there is no split '{data.train_split}'; this is the largest one"
        advice.append(Advice("data.train_split", largest, reason))
    for field, name, cost in (
        ("val_split", data.val_split, "the last weights are kept instead of the best ones"),
        ("test_split", data.test_split, "the final metrics come from the validation split"),
    ):
        if name and not survey.examples.get(name):
            advice.append(Advice(f"data.{field}", "", f"there is no split '{name}'; {cost}"))
    return advice


def skip_invalid(survey: Survey) -> list[Advice]:
    """Return advice to leave out what would stop training, if there is any."""
    broken = len(survey.usable) - len(survey.sound(survey.usable))
    invalid = survey.skipped + broken
    if not invalid:
        return []
    what = "invalid annotation or picture" if invalid == 1 else "invalid annotations or pictures"
    reason = f"{invalid} {what} would stop training; this leaves out what isn't fixed yet"
    return [Advice("data.skip_invalid", True, reason)]


def schedule(survey: Survey) -> list[Advice]:
    """Return batch size, learning rate and length, so that there are enough steps.

    Learning rate: square-root scaling for Adam (Malladi et al. 2022).
    """
    given, defaults, count = survey.config.train, TrainConfig(), len(survey.training)
    spare = budget_steps(count, _LARGE_BATCH) >= _MANY_STEPS
    batch = _LARGE_BATCH if spare else defaults.batch_size
    if spare:
        why = f"{count:,} pictures give enough steps even with larger batches"
    else:
        why = f"{count:,} pictures are few: small batches give more steps per epoch"
    advice = [Advice("train.batch_size", batch, why)]
    if batch != defaults.batch_size:
        rate = float(f"{defaults.learning_rate * math.sqrt(batch / defaults.batch_size):.2g}")
        why = (
            f"the default {defaults.learning_rate:g} is for batch {defaults.batch_size}; with Adam "
            "it grows with the square root of the batch"
        )
        advice.append(Advice("train.learning_rate", rate, why))
    return [*advice, *_length(given, count, batch)]


def _length(given: TrainConfig, count: int, batch: int) -> list[Advice]:
    """Return advice on steps and on how often to evaluate.

    Steps that someone chose are raised where they are too few, never lowered.
    """
    epoch_steps, needed = math.ceil(count / batch), budget_steps(count, batch)
    planned = given.steps or given.epochs * epoch_steps
    steps = max(given.steps, needed)
    passes = steps / epoch_steps
    advice = []
    if steps != given.steps:
        now = "train.steps" if given.steps else f"{given.epochs} epochs"
        verdict = "too few" if planned < needed else "more than needed"
        why = f"{passes:,.0f} epochs, which suit {count:,} pictures"
        if planned and planned != needed:
            why += f"; {now} would be {planned:,} steps, {verdict}"
        advice.append(Advice("train.steps", steps, why))
    every = round(passes / _EVALUATIONS)
    if every > given.eval_every_epochs:
        why = f"about {_EVALUATIONS} evaluations; each one costs time"
        advice.append(Advice("train.eval_every_epochs", every, why))
    return advice
