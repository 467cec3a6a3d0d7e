"""What the importer needs to know about detectors of another framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import Shape
from edge_retina.imports.checkpoint import Checkpoint

# By layer and variable of this package's float model, e.g. ["p3_lateral"]["kernel"].
Weights = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Imported:
    """A detector, read from a checkpoint.

    Attributes:
        model: fields of the config's section `model`, but for the input size.
        shapes: anchors (height, width) in strides of their level; the same on every level.
        classes: how many it has, without background.
        weights: of every layer.
        image_hw: input size, if the files beside the checkpoint tell it.
        input_scale: what the network was trained on, of this package's input x (-1..1) by channel:
            x * scale + shift; () for x itself.
        input_shift: see there.
        has_corner_anchors: on levels whose stride doesn't divide the input size, anchors lie around
            the corners of their cells instead of the centres.
    """

    model: Mapping[str, Any]
    shapes: tuple[Shape, ...]
    classes: int
    weights: Weights
    image_hw: tuple[int, int] | None = None
    input_scale: tuple[float, ...] = ()
    input_shift: tuple[float, ...] = ()
    has_corner_anchors: bool = False


@dataclass(frozen=True)
class Family:
    """Detectors of one kind.

    Attributes:
        title: its usual name.
        recognise: whether a checkpoint is of this kind.
        read: reads it; raises ModelError where it is cut or not of the structure.
        origin: where such weights come from, and their licence.
    """

    title: str
    recognise: Callable[[Checkpoint], bool]
    read: Callable[[Checkpoint], Imported]
    origin: str
