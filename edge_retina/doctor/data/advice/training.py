"""Advice on the training: its data, batch size, learning rate and length."""

from __future__ import annotations

import math

from edge_retina.config import TrainConfig
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.survey import Survey

# What the published results took (benchmarks/configs), all with batch 8: 3,000 steps for vehicles5
# (439 pictures), 4,000 for chess (202), 6,000 for BCCD (292).
_STEPS, _MANY_STEPS = 4000, 6000
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
    broken = sum(bool(survey.pictures[item.path].trouble) for item in survey.usable)
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
    spare = defaults.epochs * math.ceil(count / _LARGE_BATCH) >= _MANY_STEPS
    batch = _LARGE_BATCH if spare else defaults.batch_size
    epoch_steps = math.ceil(count / batch)
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
    return [*advice, *_length(given, count, epoch_steps)]


def _length(given: TrainConfig, count: int, epoch_steps: int) -> list[Advice]:
    """Return advice on steps or epochs, and on how often to evaluate."""
    planned = given.steps or given.epochs * epoch_steps
    steps = max(planned, _STEPS)
    passes = steps / epoch_steps
    if planned < _STEPS:
        now = "train.steps" if given.steps else f"{given.epochs} epochs"
        why = (
            f"{passes:,.0f} epochs; {now} would be {planned:,} steps, too few: the published "
            "results on 200 to 440 pictures took 3,000 to 6,000 of batch 8 (benchmarks/configs)"
        )
        advice = [Advice("train.steps", steps, why)]
    elif given.steps:
        advice = []
    else:
        advice = [Advice("train.epochs", given.epochs, f"{planned:,} steps, which is enough")]
    every = round(passes / _EVALUATIONS)
    if every > given.eval_every_epochs:
        why = f"about {_EVALUATIONS} evaluations; each one costs time"
        advice.append(Advice("train.eval_every_epochs", every, why))
    return advice
