"""Which network is taken."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

from edge_retina.benchmark.operator import CONV, Operator
from edge_retina.config import Config
from edge_retina.design.choice import Choice, best_within, front_of
from edge_retina.design.frame import Frame
from edge_retina.design.grid import Network
from edge_retina.design.object_fit import ObjectFit

CONFIG = Config()


def choice(
    ms: float, macs: int, *, learnable: float | None = None, measured: float | None = None
) -> Choice:
    network = Network(CONFIG.replace(model=dataclasses.replace(CONFIG.model, head_depth=macs % 9)))
    fit = None if learnable is None else ObjectFit(10, learnable, 0.5, (1.0,) * 5)
    frame = Frame.of(network, num_classes=1)
    return Choice(network, Counter(), macs, frame, fit, predicted_ms=ms, measured_ms=measured)


def test_the_most_capacity_within_the_budget() -> None:
    small, medium, large = choice(5, 10), choice(9, 30), choice(12, 50)
    assert best_within([small, large, medium], 10) is medium
    assert best_within([small, large, medium], 12) is large
    assert best_within([small, large, medium], 4) is None
    assert best_within([], 4) is None


def test_of_equal_capacity_the_faster() -> None:
    slow, fast = choice(9, 30), choice(8, 30)
    assert best_within([slow, fast], 10) is fast


def test_predictions_are_corrected_and_measurements_are_not() -> None:
    predicted, measured = choice(9, 30), choice(12, 50, measured=9.5)
    assert best_within([predicted, measured], 10) is measured
    assert best_within([predicted, measured], 9.4, ratio=1.0) is predicted
    assert best_within([predicted, measured], 9.4, ratio=1.1) is None


def test_objects_that_are_large_enough_go_before_capacity() -> None:
    wide, tall = choice(9, 50, learnable=0.9), choice(9, 30, learnable=0.98)
    assert best_within([wide, tall], 10) is tall
    enough = choice(9, 60, learnable=0.985)
    assert best_within([wide, tall, enough], 10) is enough
    assert best_within([choice(8, 20, learnable=1.0), tall], 10) is tall  # 98 % are enough


def test_where_none_is_good_enough_the_best_within_a_point() -> None:
    poor, better, nearly = (
        choice(9, 50, learnable=0.60),
        choice(9, 20, learnable=0.70),
        choice(9, 30, learnable=0.695),
    )
    assert best_within([poor, better, nearly], 10) is nearly


def test_the_front_counts_what_objects_gain() -> None:
    fast, waste, fine = (
        choice(5, 50, learnable=0.8),
        choice(6, 40, learnable=0.8),
        choice(7, 40, learnable=0.95),
    )
    assert front_of([fine, waste, fast]) == [fast, fine]


def test_capacities_within_two_percent_are_equal() -> None:
    fast, slow = choice(5, 1000), choice(6, 1004)
    assert front_of([slow, fast]) == [fast]
    assert best_within([slow, fast], 10) is fast
    more = choice(6, 1050)
    assert front_of([more, fast]) == [fast, more]
    assert best_within([more, fast], 10) is more


def test_what_was_not_predicted_is_no_candidate() -> None:
    unknown = dataclasses.replace(choice(5, 50), predicted_ms=None)
    with pytest.raises(ValueError, match="has not been predicted"):
        front_of([unknown])


def test_json_has_sizes_in_pixels_and_cells() -> None:
    document = choice(5, 50, learnable=0.8).to_dict()
    assert document["objects"]["sides_px"] == (1.0,) * 5
    assert document["objects"]["sides_cells"] == (1 / 8,) * 5
    assert document["predicted_ms"] == 5
    assert document["measured_ms"] is None


def test_macs_count_every_layer() -> None:
    operator = Operator(CONV, 4, 4, 8, 16)
    found = dataclasses.replace(choice(5, 50), operators=Counter({operator: 3}))
    assert found.macs == 3 * 4 * 4 * 8 * 16
