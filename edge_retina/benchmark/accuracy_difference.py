"""What int8 costs or gives in mAP: each model against the float32 one it is compared with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from edge_retina.benchmark.accuracy import Accuracy
from edge_retina.benchmark.results import Comparison
from edge_retina.evaluation.intervals import Interval, percentile_interval


def with_accuracy_differences(
    comparisons: Sequence[Comparison], accuracies: Mapping[tuple[str, str], Accuracy]
) -> tuple[Comparison, ...]:
    """Return the comparisons with the differences of mAP that are known.

    Args:
        comparisons: of times.
        accuracies: by model and backend, as results name them.
    """
    return tuple(
        _with_difference(
            item,
            accuracies.get((item.model, item.backend)),
            accuracies.get((item.reference, item.reference_backend)),
        )
        for item in comparisons
    )


def _with_difference(
    comparison: Comparison, one: Accuracy | None, other: Accuracy | None
) -> Comparison:
    if one is None or other is None:
        return comparison
    difference = _difference(one, other)
    return dataclasses.replace(
        comparison,
        mAP_difference=difference.value,
        mAP_difference_low=difference.low,
        mAP_difference_high=difference.high,
    )


def _difference(one: Accuracy, other: Accuracy) -> Interval:
    """Return the difference with its interval, where both are of the same draws."""
    value = one.metrics.mAP - other.metrics.mAP
    if one.resampled is None or other.resampled is None or one.metrics.images < 2:
        return Interval(value, None, None)
    return percentile_interval(value, one.resampled - other.resampled)
