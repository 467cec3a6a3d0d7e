"""Which layers of the deploy graph are computed as one, and so which outputs have a range."""

from __future__ import annotations

from edge_retina.layer_names import is_class_logits
from edge_retina.model.keras import keras
from edge_retina.model.keras_internals import call_of, users
from edge_retina.quantization.kernels import channel_axis


def has_range(layer: keras.layers.Layer) -> bool:
    """Whether a layer's output is quantised with a range of its own.

    A convolution before a ReLU is fused with it and has none; concatenating, resizing and reshaping
    keep the range of their input.
    """
    if isinstance(layer, (keras.layers.ReLU, keras.layers.Add)):
        return True
    if channel_axis(layer) is None:
        return False
    found = users(layer)
    return not (len(found) == 1 and isinstance(found[0], keras.layers.ReLU))


def fused_convolution(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """Return the convolution that a ReLU is fused with; None if it stands alone."""
    if not isinstance(layer, keras.layers.ReLU):
        return None
    maker = call_of(layer.input).layer
    return maker if channel_axis(maker) is not None and not has_range(maker) else None


def quantized_outputs(deploy: keras.Model) -> list[str]:
    """Return the names of the layers whose outputs have a range."""
    return [layer.name for layer in deploy.layers if has_range(layer)]


def computing_layers(deploy: keras.Model) -> list[str]:
    """Return the names a recipe can match: convolutions, ReLUs and additions."""
    return [
        layer.name for layer in deploy.layers if channel_axis(layer) is not None or has_range(layer)
    ]


def class_logit_layers(deploy: keras.Model) -> set[str]:
    """Return the names of the layers whose outputs are class logits."""
    return {layer.name for layer in deploy.layers if is_class_logits(layer.name)}
