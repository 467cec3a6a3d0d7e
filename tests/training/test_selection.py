from __future__ import annotations

import pytest

from edge_retina.training.selection import EvaluatedState, StateSelection
from tests.evaluation.one_class import first

PICTURES = 200


def state(step: int, found: int) -> EvaluatedState:
    matches = first(found, PICTURES)
    return EvaluatedState(step, matches.mAP(), matches, f"weights of {step}")


def kept_of(selection: StateSelection, found: list[int]) -> int:
    for step, number in enumerate(found, 1):
        selection.offer(state(step, number))
    assert selection.kept is not None
    assert selection.kept.weights == f"weights of {selection.kept.step}"
    return selection.kept.step


@pytest.mark.parametrize(
    "found, kept",
    [
        ([100], 1),
        ([100, 120, 140], 3),
        ([100, 100, 100], 3),  # equal: the last
        ([100, 102, 100], 3),  # two pictures of 200 may be luck
        ([100, 140, 100], 2),  # forty are not
        ([100, 140, 139, 138], 4),
        # A decline of which every step is within the noise; compared with the best it is not.
        ([140, 137, 134, 131, 128, 125, 122, 119, 116], 1),
        ([140, 100, 139], 3),  # what lies in between doesn't matter
    ],
)
def test_the_last_state_unless_an_earlier_one_is_better_beyond_noise(found: list[int], kept: int):
    assert kept_of(StateSelection(), found) == kept


def test_the_best_of_many_must_be_better_by_more():
    found = [100, 105, 100]  # 5 pictures of 200: 2.2 standard errors; of three 1.96 are needed
    assert kept_of(StateSelection(), found) == 2
    assert kept_of(StateSelection(), [100] * 10 + found) == 13  # of thirteen 2.6


@pytest.mark.parametrize(
    "start, found, kept",
    [
        (100, [100], 1),  # at least as good
        (100, [101], 1),
        (100, [99], 0),  # worse, however little
        (100, [120, 99], 1),  # the last is out of the question, not all of the training
        (100, [120, 119], 2),
        (100, [120, 101], 1),
        (100, [80, 60], 0),
        (100, [80, 100], 2),
        (0, [0, 0], 2),
    ],
)
def test_the_start_unless_a_trained_state_is_at_least_as_good(
    start: int, found: list[int], kept: int
):
    assert kept_of(StateSelection(start=state(0, start)), found) == kept


@pytest.mark.parametrize("mean_ap, kept", [(0.4999, 0), (0.5, 1), (0.5001, 1)])
def test_a_trained_state_is_never_below_the_start(mean_ap: float, kept: int):
    """Not even by what used to pass for noise, .004."""
    matches = first(100, PICTURES)
    selection = StateSelection(start=EvaluatedState(0, 0.5, matches, None))
    selection.offer(EvaluatedState(1, mean_ap, matches, None))
    assert selection.kept is not None
    assert selection.kept.step == kept


def test_without_any_state():
    assert StateSelection().kept is None
    assert kept_of(StateSelection(start=state(0, 5)), []) == 0
