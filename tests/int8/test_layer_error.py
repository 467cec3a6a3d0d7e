from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_retina.int8.layer_error import LayerError, LayerSums, weight_snr_db


def array(*values: float) -> np.ndarray:
    """One channel."""
    return np.array(values, np.float64)[:, None]


def measured(
    exact: np.ndarray,
    simulated: np.ndarray | None = None,
    own: np.ndarray | None = None,
    file: np.ndarray | None = None,
    replayed: np.ndarray | None = None,
    **changes: Any,
) -> LayerError:
    sums = empty_sums(**changes)
    simulated = exact if simulated is None else simulated
    sums.add(exact, simulated, exact if own is None else own, file, replayed)
    return sums.result(weight_snr_db=None)


def empty_sums(low: float = 0.0, high: float = 5.1, floor: float = -np.inf) -> LayerSums:
    return LayerSums("layer", kernel="conv", low=low, high=high, floor=floor)


def test_signal_to_noise_by_hand() -> None:
    # power 9 + 16 = 25; in the network 0.25 is lost, alone 0.0025, in the file 2.5
    found = measured(
        array(3, 4), array(3, 3.5), own=array(3, 4.05), file=array(3.5, 2.5), replayed=array(3, 4)
    )
    assert (found.name, found.kernel, found.low, found.high) == ("layer", "conv", 0.0, 5.1)
    assert found.snr_db == pytest.approx(20)
    assert found.own_snr_db == pytest.approx(40)
    assert found.tflite_snr_db == pytest.approx(10)
    assert found.cosine == pytest.approx(23 / (5 * np.sqrt(9 + 3.5**2)))
    assert found.rmse_steps == pytest.approx(np.sqrt(0.25 / 2) / 0.02)


def test_two_pictures_are_one_sum() -> None:
    sums = empty_sums()
    sums.add(array(3), array(3), array(3), None, None)
    sums.add(array(4), array(3.5), array(4), None, None)
    assert sums.result(weight_snr_db=7.0).snr_db == pytest.approx(20)
    assert sums.result(weight_snr_db=7.0).range_use == pytest.approx(1 / 5.1)
    assert sums.result(weight_snr_db=7.0).weight_snr_db == 7.0


def test_nothing_lost_is_120_db() -> None:
    found = measured(array(3, 4))
    assert (found.snr_db, found.own_snr_db, found.cosine) == (120, 120, 1)
    assert found.rmse_steps == 0


@pytest.mark.parametrize(
    "value, saturated",
    # steps of 0.02: half of one beyond the end is rounded to it anyway
    [(5.1, 0), (5.109, 0), (5.111, 0.5), (-0.009, 0), (-0.011, 0.5), (1e6, 0.5)],
)
def test_saturated_beyond_half_a_step(value: float, saturated: float) -> None:
    assert measured(array(1, value)).saturated == saturated


@pytest.mark.parametrize(
    "values, use",
    [
        ([0.0, 5.1], 1.0),
        ([0.0, 2.55], 0.5),
        ([1.0, 1.0], 0.0),
        ([-9.0, 9.0], 1.0),  # what is beyond is not more of it
        ([7.0, 8.0], 0.0),
    ],
)
def test_range_use(values: list[float], use: float) -> None:
    assert measured(array(*values)).range_use == pytest.approx(use)


@pytest.mark.parametrize(
    "largest, spread",
    [
        ([1, 2, 40], 20),
        ([-1, -2, -40], 20),
        ([0, 1, 2, 40], 20),  # a dead channel says nothing
        ([0, 0], 1),
        ([3], 1),
    ],
)
def test_channel_spread(largest: list[float], spread: float) -> None:
    exact = np.array([[np.zeros(len(largest)), largest]])  # (1, 2, C)
    assert measured(exact).channel_spread == pytest.approx(spread)


def test_channel_spread_is_over_all_pictures() -> None:
    sums = empty_sums()
    for picture in ([[1.0, 0.5, 0.1]], [[0.5, 2.0, 40.0]]):
        values = np.array(picture)
        sums.add(values, values, values, None, None)
    assert sums.result(weight_snr_db=None).channel_spread == pytest.approx(20)


def test_file_beside_the_simulation() -> None:
    # steps of 0.02. The network: equal, one step, one step, two off. The operator: half a step is
    # rounding of floats, a whole one is another value.
    found = measured(
        array(1, 1, 1, 1),
        simulated=array(1, 1, 1, 1),
        file=array(1, 1.02, 0.98, 1.04),
        replayed=array(1, 1.029, 1.0, 1.04),
    )
    assert found.within_step == 0.75
    assert found.op_equal == 0.75


def test_without_a_file_its_columns_are_empty() -> None:
    found = measured(array(3, 4), array(3, 3.5))
    assert (found.tflite_snr_db, found.within_step, found.op_equal) == (None, None, None)


def test_under_the_floor_all_values_are_equal() -> None:
    """Logits too low for a detection: the range is cut there on purpose."""
    exact, simulated = array(-9, 3), array(-3, 3)
    found = measured(exact, simulated, own=simulated, low=-3.0, high=3.0, floor=-3.0)
    assert (found.snr_db, found.saturated) == (120, 0)
    found = measured(exact, simulated, own=simulated, low=-3.0, high=3.0)
    assert found.snr_db == pytest.approx(10 * np.log10(90 / 36))
    assert found.saturated == 0.5


def test_arguments_are_left_alone() -> None:
    exact = array(-9, 3)
    measured(exact, floor=-3.0)
    np.testing.assert_array_equal(exact, array(-9, 3))


def test_weights_of_the_worst_channel() -> None:
    # Convolution (1, 1, 2, 3): 25 over 0.25 in channel 0, 25 over 0.0025 in channel 1; 2 is dead
    kernel = np.array([[[[3.0, 3.0, 0.0], [4.0, 4.0, 0.0]]]])
    error = np.array([[[[0.5, 0.05, 0.0], [0.0, 0.0, 0.1]]]])
    assert weight_snr_db(kernel, error, channel_axis=3) == pytest.approx(20)
    depthwise = np.moveaxis(kernel, (2, 3), (0, 2))  # (2, 1, 3, 1)
    assert depthwise.shape == (2, 1, 3, 1)
    assert weight_snr_db(
        depthwise, np.moveaxis(error, (2, 3), (0, 2)), channel_axis=2
    ) == pytest.approx(20)


def test_a_dead_kernel_loses_nothing() -> None:
    assert weight_snr_db(np.zeros((1, 1, 2, 3)), np.zeros((1, 1, 2, 3)), channel_axis=3) == 120
