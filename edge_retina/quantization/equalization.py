"""Cross-layer equalisation: even out the channels' weights without changing what is computed.

Where a layer's output goes to one convolution only, a channel can be divided by a number that the
next layer multiplies its weights by. Channels of very different size, which one scale of int8
serves badly, become alike. Source: Nagel et al. 2019, Data-Free Quantization Through Weight
Equalization and Bias Correction, section 4.1.

Deviation: a pair with ReLU6 between is left alone instead of becoming ReLU behind the user's back;
with `quantize.relu = "relu"` there is none.
"""

from __future__ import annotations

import numpy as np

from edge_retina.model.keras import keras
from edge_retina.model.keras_internals import users
from edge_retina.quantization.kernels import channel_axis

_ROUNDS = 20  # a chain of pairs settles in a few
# A nearly dead channel would be divided by a tiny number, and its bias, which stays alive, with it:
# on chess the range of the first layer grew to 237,000 and XNNPACK refused the file. So channels
# below this share of the median are left alone, and no channel is changed by more than the factor.
_DEAD = 1e-3
_LARGEST_FACTOR = 100.0


def equalize(deploy: keras.Model) -> int:
    """Equalise a deploy graph's kernels and biases in place; return the number of pairs.

    Args:
        deploy: from `build_deploy_graph`.
    """
    pairs = _pairs(deploy)
    done = [np.ones(first.bias.shape) for first, _ in pairs]  # factors so far
    for _ in range(_ROUNDS):
        for number, (first, second) in enumerate(pairs):
            wanted = np.clip(
                done[number] * _ratio(first, second), 1 / _LARGEST_FACTOR, _LARGEST_FACTOR
            )
            _divide(first, second, wanted / done[number])
            done[number] = wanted
    return len(pairs)


def _pairs(deploy: keras.Model) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
    found = []
    for layer in deploy.layers:
        if channel_axis(layer) is None:
            continue
        user = _only_user(layer)
        if isinstance(user, keras.layers.ReLU) and user.max_value is None:
            user = _only_user(user)
        if user is not None and channel_axis(user) is not None:
            found.append((layer, user))
    return found


def _only_user(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    found = users(layer)
    return found[0] if len(found) == 1 else None


def _ratio(first: keras.layers.Layer, second: keras.layers.Layer) -> np.ndarray:
    """Return by what to divide each channel (C,) so that both layers' weights are of one size."""
    first_size = _largest(first.get_weights()[0], channel_axis(first))
    second_size = _largest(second.get_weights()[0], 2)  # input channels, of both kinds of kernel
    alive = (first_size > _DEAD * np.median(first_size)) & (
        second_size > _DEAD * np.median(second_size)
    )
    return np.sqrt(np.where(alive, first_size, 1.0) / np.where(alive, second_size, 1.0))


def _divide(first: keras.layers.Layer, second: keras.layers.Layer, factor: np.ndarray) -> None:
    """Divide the channels between two layers by `factor` (C,) without changing the result."""
    kernel, bias = first.get_weights()
    next_kernel, next_bias = second.get_weights()
    depthwise = isinstance(first, keras.layers.DepthwiseConv2D)
    first.set_weights([kernel / (factor[:, None] if depthwise else factor), bias / factor])
    second.set_weights([next_kernel * factor[:, None], next_bias])


def _largest(kernel: np.ndarray, axis: int | None) -> np.ndarray:
    """Return the largest absolute weight of each channel along `axis` (C,)."""
    others = tuple(i for i in range(4) if i != axis)
    return np.abs(kernel).max(axis=others)
