from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.evaluation.one_class import first

pytestmark = pytest.mark.tf


def evaluated(step: int, found: int) -> Any:
    from edge_retina.training.selection import EvaluatedState

    rng = np.random.default_rng(step)
    weights = [rng.normal(size=(3, 2)).astype(np.float32) for _ in range(12)]
    weights.append(np.float32(step))
    return EvaluatedState(step, found / 100, first(found, 100), weights)


def same(one: Any, other: Any) -> bool:
    arrays = zip(
        [*dataclasses.asdict(one.matches).values(), *one.weights],
        [*dataclasses.asdict(other.matches).values(), *other.weights],
        strict=True,
    )
    plain = (one.step, one.mAP) == (other.step, other.mAP)
    return plain and all(
        a.dtype == b.dtype and np.array_equal(a, b)
        for a, b in ((np.asarray(a), np.asarray(b)) for a, b in arrays)
    )


@pytest.mark.parametrize("found", [[], [50], [50, 60], [60, 50], [50, 80, 79]])
def test_it_comes_back_as_it_was(found: list[int]):
    from edge_retina.training.step import StepResult
    from edge_retina.training.training_state import TrainingState

    state = TrainingState()
    state.step, state.seconds = 1234, 5.6789
    losses, figures = {"cls_loss": 0.1, "box_loss": 1 / 3}, {"score": 0.25, "counts": [1.0, 2.0]}
    state.window.add(StepResult(losses, 2 / 7, figures), images=8)
    for number, count in enumerate(found):
        state.selection.offer(evaluated(number, count))

    other = TrainingState()
    window = other.window
    other.deserialize(state.serialize())
    assert (other.step, other.seconds) == (1234, 5.6789)
    assert other.window is window, "the loop holds it"
    assert window.values == {"cls_loss": [0.1], "box_loss": [1 / 3], "gradient_norm": [2 / 7]}
    assert window.figures == {"score": [0.25], "counts": [[1.0, 2.0]]}
    assert other.selection.count == len(found)
    for name in ("best", "last", "kept"):
        one, two = getattr(state.selection, name), getattr(other.selection, name)
        assert (one is None) == (two is None)
        assert one is None or same(one, two), name


def test_a_damaged_state_is_not_taken_over_by_half():
    """Its first fields are whole; the arrays of its best state are missing."""
    import io
    import json

    from edge_retina.training.training_state import TrainingState

    whole = TrainingState()
    whole.step = 7
    whole.selection.offer(evaluated(7, 50))
    with np.load(io.BytesIO(whole.serialize())) as file:
        plain = file["plain"]
    assert json.loads(plain.tobytes())["step"] == 7
    stream = io.BytesIO()
    np.savez(stream, plain=plain)
    state = TrainingState()
    state.step = 3
    with pytest.raises(ValueError, match="the state of the training is damaged"):
        state.deserialize(stream.getvalue())
    assert (state.step, state.selection.count, state.selection.best) == (3, 0, None)
