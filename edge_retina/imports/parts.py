"""What the families share: sizes of MobileNetV2, and changes to weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

# Channels of block_16_project, by which the width is known.
WIDTHS = {112: 0.35, 160: 0.5, 240: 0.75, 320: 1.0}
_FIRST, _FIRST_NORM = "Conv1", "bn_Conv1"
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def fold_input(
    weights: Mapping[str, Mapping[str, np.ndarray]],
    *,
    scale: Sequence[float],
    shift: Sequence[float],
) -> dict[str, Mapping[str, np.ndarray]]:
    """Return the weights of a network that takes x in place of x * scale + shift.

    The first convolution takes the scale, its BatchNorm the shift. That is exact but for the last
    row and column of its output, which see the padding: it stays 0, and shift is what it stood for.

    Args:
        weights: of all layers.
        scale: by channel.
        shift: by channel.
    """
    kernel = weights[_FIRST]["kernel"].astype(np.float64)
    added = (kernel * np.array(shift)[:, None]).sum(axis=(0, 1, 2))
    norm = weights[_FIRST_NORM]
    return {
        **weights,
        _FIRST: {"kernel": (kernel * np.array(scale)[:, None]).astype(np.float32)},
        _FIRST_NORM: {**norm, "moving_mean": (norm["moving_mean"] - added).astype(np.float32)},
    }


def without_background(layer: Mapping[str, np.ndarray], per_cell: int) -> dict[str, np.ndarray]:
    """Return the last layer of a class head without the background, the first class of each anchor.

    Args:
        layer: kernel and bias, whose last axis has all classes of an anchor, then of the next.
        per_cell: anchors.
    """

    def drop(array: np.ndarray) -> np.ndarray:
        shape = array.shape[:-1]
        kept = array.reshape(*shape, per_cell, -1)[..., 1:]
        return kept.reshape(*shape, -1)

    return {name: drop(array) for name, array in layer.items()}


def any_of(values: Iterable[object]) -> str:
    """Return values for a message: "1 or 2"."""
    return " or ".join(map(str, values))
