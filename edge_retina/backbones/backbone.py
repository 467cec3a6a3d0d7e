"""What the detector needs to know about a classification network to build on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Backbone:
    """A network of `keras.applications`, without its TensorFlow code.

    It gets images in -1..1 and may consist of convolutions, BatchNorm, ReLU, additions and zero
    padding, which the deploy graph can fold.

    Attributes:
        keras_name: of the function in `keras.applications`.
        taps: by level (3, 4, 5: strides 8, 16, 32) the layer whose output feeds the pyramid.
        early_ends: by level (1, 2: strides 2, 4) the last layer before the next stride. With the
            taps they are where the stages of the network end; see `stage_ends`.
        layer_prefixes: what the names of its layers start with, to tell them from the rest. Names
            are Keras' with "_" for "/"; a ReLU without one is called after its convolution,
            `NAME_relu`.
        widths: allowed values of `model.backbone_width` (alpha).
        imagenet_widths: those that Keras has ImageNet weights for.
        options: further arguments of the function.
    """

    keras_name: str
    taps: Mapping[int, str]
    early_ends: Mapping[int, str]
    layer_prefixes: tuple[str, ...]
    widths: tuple[float, ...]
    imagenet_widths: tuple[float, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stage_ends(self) -> Mapping[int, str]:
        """The last layer of each stage; stage l ends with stride 2**l and contains those before."""
        return {**self.early_ends, **self.taps}
