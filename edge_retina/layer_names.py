"""The names of the network's layers, built and parsed here only.

They are API: recipes match them, reports show them, saved activation ranges are keyed by them.

    block_3_expand       the backbone's, as Keras names them
    p3_lateral           the pyramid's: level and part
    cls_conv0_dw         a head's convolution, shared by all levels: in the float model
    tower_conv0_dw       the same, where both heads share their convolutions
    cls_p3_conv0_relu    a head's layer of one level; in the deploy graph all of them are
    cls_p3_out_pw        the last convolution of a head: class logits or box codes
    cls_p3_reshape       the same, one row for each anchor

A block `NAME` is made of `NAME_dw`, `NAME_pw`, `NAME_bn` and `NAME_relu`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

CLASS_HEAD, BOX_HEAD = "cls", "box"
TOWER = "tower"  # of both heads, where they share it
CLASS_LOGITS, BOX_DELTAS = "cls_logits", "box_deltas"  # outputs of the float model
DEPTHWISE, POINTWISE, NORM, RELU = "_dw", "_pw", "_bn", "_relu"
OUTPUT_BLOCK, RESHAPE = "out", "reshape"

# Name of the quantised model and prefix of what it wraps; both are in the file's tensor names.
INT8_MODEL, WRAPPED = "int8", "quant_"
DEPLOY_MODEL = "deploy"  # name of the float one, likewise

_HEAD_LAYER = re.compile(
    rf"({CLASS_HEAD}|{BOX_HEAD}|{TOWER})_(?:p(\d+)_)?"
    rf"(conv\d+(?:{DEPTHWISE}|{POINTWISE}|{NORM}|{RELU})"
    rf"|{OUTPUT_BLOCK}(?:{DEPTHWISE}|{POINTWISE})|{RESHAPE})"
)
_PYRAMID_LAYER = re.compile(r"p(\d+)_\w+")
_TENSOR = re.compile(rf"(?:{INT8_MODEL}/(?:{WRAPPED})?|{DEPLOY_MODEL}/)([^/;]+)/")


@dataclass(frozen=True)
class HeadLayer:
    """A layer of a head.

    Attributes:
        head: `CLASS_HEAD`, `BOX_HEAD`, or `TOWER` for what both share.
        part: block and kind, such as `conv0_dw`, `out_pw` or `reshape`.
        level: of the pyramid; None for a layer that all levels share.
    """

    head: str
    part: str
    level: int | None = None

    @property
    def name(self) -> str:
        """Name of the layer."""
        level = "" if self.level is None else f"p{self.level}_"
        return f"{self.head}_{level}{self.part}"

    @property
    def is_output(self) -> bool:
        """Whether it is the last convolution."""
        return self.part == OUTPUT_BLOCK + POINTWISE

    @property
    def is_reshape(self) -> bool:
        """Whether it is the reshape behind the last convolution."""
        return self.part == RESHAPE

    def at(self, level: int | None) -> HeadLayer:
        """Return the same layer of one level; None: the shared one."""
        return replace(self, level=level)


def parse_head_layer(name: str) -> HeadLayer | None:
    """Return the head layer that a name means; None for any other layer."""
    match = _HEAD_LAYER.fullmatch(name)
    if match is None:
        return None
    head, level, part = match.groups()
    return HeadLayer(head, part, int(level) if level else None)


def tower_block(number: int) -> str:
    """Return the name of a head's convolution block, counted from 0, within the head."""
    return f"conv{number}"


def pyramid_layer(level: int, part: str) -> str:
    """Return the name of a pyramid layer, such as `p3_lateral`."""
    return f"p{level}_{part}"


def level_of(name: str) -> int | None:
    """Return the level of a layer of the pyramid or of one level's head; None for any other."""
    head = parse_head_layer(name)
    if head is not None:
        return head.level
    match = _PYRAMID_LAYER.fullmatch(name)
    return int(match.group(1)) if match else None


def is_class_logits(name: str) -> bool:
    """Whether a layer of the deploy graph puts out class logits."""
    layer = parse_head_layer(name)
    return layer is not None and layer.head == CLASS_HEAD and layer.is_output


def is_head_output(name: str) -> bool:
    """Whether a layer is the last convolution of a head: class logits or box codes."""
    layer = parse_head_layer(name)
    return layer is not None and layer.is_output


def is_pyramid_layer(name: str) -> bool:
    """Whether a layer is one of the pyramid, and not of the backbone or a head."""
    return _PYRAMID_LAYER.fullmatch(name) is not None


def without_level(name: str) -> str:
    """Return the name that a head layer has in common with the other levels'; others unchanged."""
    layer = parse_head_layer(name)
    return name if layer is None else layer.at(None).name


def output_of_reshape(name: str) -> str:
    """Return the last convolution of the head and level of a `reshape` layer.

    Raises:
        ValueError: it is not one.
    """
    layer = parse_head_layer(name)
    if layer is None or not layer.is_reshape:
        raise ValueError(f"layer {name} is not the reshape at the end of a head")
    return replace(layer, part=OUTPUT_BLOCK + POINTWISE).name


def layer_of_tensor(tensor: str) -> str:
    """Return the layer whose output a tensor of a .tflite file is; if unknown, the tensor's name.

    The converter joins the names of the operators it fuses, that of the output first.
    """
    match = _TENSOR.match(tensor)
    return match.group(1) if match else tensor
