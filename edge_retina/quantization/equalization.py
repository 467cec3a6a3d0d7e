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
from edge_retina.quantization.layer_configs import channel_axis

_ROUNDS = 20  # a chain of pairs settles in a few
_LARGEST_FACTOR = 1e3  # of one round: a nearly dead channel is not blown up


def equalize(deploy: keras.Model) -> int:
    """Equalise a deploy graph's kernels and biases in place; return the number of pairs.

    Args:
        deploy: from `build_deploy_graph`.
    """
    pairs = _pairs(deploy)
    for _ in range(_ROUNDS):
        for first, second in pairs:
            _equalize_pair(first, second)
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
    users = [node.layer for node in layer._outbound_nodes]
    return users[0] if len(users) == 1 else None


def _equalize_pair(first: keras.layers.Layer, second: keras.layers.Layer) -> None:
    kernel, bias = first.get_weights()
    next_kernel, next_bias = second.get_weights()
    first_size = _largest(kernel, channel_axis(first))
    second_size = _largest(next_kernel, 2)  # input channels, of both kinds of kernel
    alive = (first_size > 0) & (second_size > 0)
    ratio = np.sqrt(
        first_size / np.where(alive, second_size, 1), where=alive, out=np.ones_like(bias)
    )
    factor = np.clip(ratio, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR)
    depthwise = isinstance(first, keras.layers.DepthwiseConv2D)
    scaled = kernel / (factor[:, None] if depthwise else factor)
    first.set_weights([scaled, bias / factor])
    second.set_weights([next_kernel * factor[:, None], next_bias])


def _largest(kernel: np.ndarray, axis: int | None) -> np.ndarray:
    """Return the largest absolute weight of each channel along `axis` (C,)."""
    others = tuple(i for i in range(4) if i != axis)
    return np.abs(kernel).max(axis=others)
