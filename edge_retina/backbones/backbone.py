"""What the detector needs to know about a classification network to build on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications`, without its TensorFlow code.

    Attributes:
        keras_name: of the function in `keras.applications`.
        taps: by level (3, 4, 5: strides 8, 16, 32) the layer whose output feeds the pyramid.
        layer_prefixes: what the names of its layers start with, to tell them from the rest.
        widths: allowed values of `model.backbone_width` (alpha).
        options: further arguments of the function.
    """

    keras_name: str
    taps: Mapping[int, str]
    layer_prefixes: tuple[str, ...]
    widths: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
