"""A backbone of five layers in the place of MobileNetV2.

Tests of what a training goes on from build and trace a network many times; what it is made of does
not matter to them, and MobileNetV2's 150 layers would take most of their time.
"""

from __future__ import annotations

from typing import Any

import pytest

from edge_retina.backbones.backbone import Backbone
from edge_retina.backbones.table import BACKBONES

NAME = "mobilenet_v2"  # the default backbone, so that configs need not name it
_TINY = Backbone(
    keras_name="TinyNet",
    taps={3: "block_3_relu", 4: "block_4_relu", 5: "block_5_relu"},
    early_ends={1: "block_1_relu", 2: "block_2_relu"},
    layer_prefixes=("block_",),
    widths=BACKBONES[NAME].widths,
    imagenet_widths=(),
)


def use_tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the default backbone be a tiny one."""
    from edge_retina.model.keras import keras

    monkeypatch.setattr(keras.applications, _TINY.keras_name, _build, raising=False)
    monkeypatch.setitem(BACKBONES, NAME, _TINY)


def _build(
    *,
    alpha: float,
    include_top: bool,
    weights: None,
    input_tensor: Any = None,
    input_shape: tuple[Any, ...] | None = None,
) -> Any:
    """Return a network of five strides, with the arguments of those in keras.applications."""
    from edge_retina.model.keras import keras

    assert not include_top
    assert weights is None
    assert alpha in _TINY.widths
    image = keras.Input(input_shape) if input_tensor is None else input_tensor
    x = image
    for stage in range(1, 6):
        name = f"block_{stage}"
        x = keras.layers.Conv2D(
            8, 3, strides=2, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = keras.layers.BatchNormalization(name=f"{name}_BN")(x)
        x = keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
    return keras.Model(image, x)
