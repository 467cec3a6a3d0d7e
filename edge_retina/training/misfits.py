"""Which layers of a network can be taken from a trained detector, by the shapes of the weights."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_retina.layer_names import (
    CLASS_HEAD,
    DEPTHWISE,
    OUTPUT_BLOCK,
    TOWER,
    level_of,
    parse_head_layer,
    pyramid_layer,
)
from edge_retina.training.init_source import LAST_BOX, Weights

Shapes = dict[str, dict[str, tuple[int, ...]]]  # by layer and variable

_BOX_CODES = 4


class Sizes:
    """Sizes of a detector, read off the shapes of its weights.

    Attributes:
        levels: of the pyramid.
        depth: convolutions in a head before the last one.
        per_cell: anchors in a cell.
        channels: of the pyramid and the heads.
        wiring: what tells one `model.wiring` from another: whether the heads share their
            convolutions, whether the pyramid has biases, and maps from before BatchNorm.
    """

    def __init__(self, shapes: Shapes) -> None:
        self.levels = sorted({level for name in shapes if (level := level_of(name)) is not None})
        tower = [name for name in shapes if _is_tower_convolution(name)]
        self.depth = len(tower)
        lateral, coarse = (pyramid_layer(self.levels[0], "lateral"), re.compile(r"p\d+_coarse"))
        self.wiring = (
            any(_head_of(name) == TOWER for name in tower),
            "bias" in shapes.get(lateral, {}),
            any(map(coarse.fullmatch, shapes)),
        )
        self.per_cell = shapes[LAST_BOX]["bias"][0] // _BOX_CODES
        self.channels = shapes[LAST_BOX]["kernel"][2]


class Misfits:
    """Says why layers of a network can't be taken from a detector."""

    def __init__(self, *, there: Shapes, here: Shapes) -> None:
        """Take the shapes of the detector's and of the network's weights."""
        self._there, self._here = there, here
        their, our = Sizes(there), Sizes(here)
        self._their_levels = their.levels
        self._channels = self._depth = self._per_cell = self._wiring = ""
        if their.wiring != our.wiring:
            self._wiring = "model.wiring is another one in it"
        if their.channels != our.channels:
            self._channels = f"model.fpn_channels is {their.channels} in it, {our.channels} here"
        if their.depth != our.depth:
            self._depth = f"model.head_depth is {their.depth} in it, {our.depth} here"
        if their.per_cell != our.per_cell:
            self._per_cell = f"{their.per_cell} anchors per cell in it, {our.per_cell} here"

    def find(self, name: str) -> str:
        """Return why a layer, other than the last one of the class head, can't be taken; or ""."""
        if self._wiring and (level_of(name) is not None or _head_of(name)):
            return self._wiring
        if name not in self._there:
            level = level_of(name)
            if level is None or level in self._their_levels:
                return "not in it"
            return f"its levels are {', '.join(map(str, self._their_levels))}"
        if self._depth and _is_of_last_block(name):
            return self._depth
        if self._there[name] == self._here[name]:
            return ""
        return self._channels or (self._per_cell if name == LAST_BOX else "of another shape in it")

    def find_for_classes(self, their_labels: Sequence[str] | None) -> str:
        """Return why no class of the last layer can be taken; or ""."""
        if their_labels is None:
            return "its class names are unknown; put its labels.txt beside it"
        return self._wiring or self._channels or self._depth or self._per_cell


def shapes_of_weights(weights: Weights) -> Shapes:
    """Return the shape of each of some weights."""
    return {
        layer: {name: tuple(array.shape) for name, array in variables.items()}
        for layer, variables in weights.items()
    }


def _is_tower_convolution(name: str) -> bool:
    layer = parse_head_layer(name)
    return (
        layer is not None
        and layer.head in (CLASS_HEAD, TOWER)
        and layer.part.endswith(DEPTHWISE)
        and not _is_of_last_block(name)
    )


def _head_of(name: str) -> str:
    layer = parse_head_layer(name)
    return layer.head if layer else ""


def _is_of_last_block(name: str) -> bool:
    layer = parse_head_layer(name)
    return layer is not None and layer.part.startswith(OUTPUT_BLOCK)
