"""SSD MobileNetV2 FPNLite of the TF2 Object Detection API.

Source: the attribute names of object_detection's SSDMobileNetV2FpnKerasFeatureExtractor,
KerasFpnTopDownFeatureMaps and WeightSharedConvolutionalBoxPredictor (tensorflow/models, research).
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from edge_retina.boxes.anchors import Shape
from edge_retina.errors import ModelError
from edge_retina.files import read_small_file
from edge_retina.imports.checkpoint import Checkpoint
from edge_retina.imports.family import Family, Imported
from edge_retina.imports.parts import NORM as NORM_VARIABLES
from edge_retina.imports.parts import WIDTHS, any_of, without_background
from edge_retina.layer_names import (
    BOX_HEAD,
    CLASS_HEAD,
    DEPTHWISE,
    NORM,
    OUTPUT_BLOCK,
    POINTWISE,
    TOWER,
    HeadLayer,
    pyramid_layer,
    tower_block,
)

_EXTRACTOR, _PREDICTOR = "model/_feature_extractor", "model/_box_predictor"
_BACKBONES = ("classification_backbone", "_mobilenet_v2")  # the attribute, in newer and older code
_PYRAMID = f"{_EXTRACTOR}/_fpn_features_generator"
_COARSE = f"{_EXTRACTOR}/_coarse_feature_layers"
_TOWERS = f"{_PREDICTOR}/_base_tower_layers_for_heads/box_encodings"
_BOX = f"{_PREDICTOR}/_box_prediction_head/_box_encoder_layers/0"
_CLASS = (
    f"{_PREDICTOR}/_prediction_heads/class_predictions_with_background/_class_predictor_layers/0"
)
_BOX_CODES = 4
_PIPELINE = "pipeline.config"
_RESIZER = re.compile(r"fixed_shape_resizer\s*\{\s*height:\s*(\d+)\s*width:\s*(\d+)")
_MIN_LEVEL, _BACKBONE_TOP = 3, 5
_LAYERS_PER_BLOCK = 3  # of a tower: convolution, BatchNorm, activation
# By the channels of Conv_1.
_WIRINGS = {256: "od_fpnlite", 1280: "od_fpnlite_wide"}
# Of multiscale_anchor_generator in the published configs: width / height, and sizes in an octave.
_ANCHOR_STRIDES, _RATIOS, _SCALES = 4.0, (1.0, 2.0, 0.5), (1.0, 2**0.5)


def recognise(checkpoint: Checkpoint) -> bool:
    """Whether it has the parts that no other network has."""
    return all(map(checkpoint.has, (_PYRAMID, _TOWERS, _BOX, _CLASS)))


def read(checkpoint: Checkpoint) -> Imported:
    """Read a checkpoint.

    Raises:
        ModelError: a variable is missing or of a shape that doesn't fit the others, or one is left
            over.
    """
    weights = _backbone(checkpoint)
    top = _BACKBONE_TOP
    projected, last = (weights[name]["kernel"].shape[3] for name in ("block_16_project", "Conv_1"))
    if projected not in WIDTHS or last not in _WIRINGS:
        raise ModelError(
            f"{checkpoint.path}: its MobileNetV2 has {projected} channels in block 16 and {last} "
            f"at the end; expected {any_of(WIDTHS)}, and {any_of(_WIRINGS)}"
        )
    weights[pyramid_layer(top, "lateral")] = _dense(checkpoint, f"{_PYRAMID}/top_layers/0")
    for index, level in enumerate(range(top - 1, _MIN_LEVEL - 1, -1)):
        lateral = f"{_PYRAMID}/residual_blocks/{index}/0"
        weights[pyramid_layer(level, "lateral")] = _dense(checkpoint, lateral)
        place = f"{_PYRAMID}/conv_layers/{index}"
        weights |= _block(checkpoint, place, pyramid_layer(level, "smooth"))
    max_level = top + checkpoint.count(_COARSE)
    for level in range(top + 1, max_level + 1):
        place = f"{_COARSE}/{level - top - 1}"
        weights |= _block(checkpoint, place, pyramid_layer(level, "down"))
    levels = range(_MIN_LEVEL, max_level + 1)
    if checkpoint.count(_TOWERS) != len(levels):
        raise ModelError(
            f"{checkpoint.path}: has {len(levels)} levels in the pyramid, but "
            f"{checkpoint.count(_TOWERS)} in the heads"
        )
    depth = checkpoint.count(f"{_TOWERS}/0") // _LAYERS_PER_BLOCK
    for number in range(depth):
        place, block = f"{_TOWERS}/0/{_LAYERS_PER_BLOCK * number}", tower_block(number)
        weights |= _separable(checkpoint, place, HeadLayer(TOWER, block).name)
        for index, level in enumerate(levels):
            norm = f"{_TOWERS}/{index}/{_LAYERS_PER_BLOCK * number + 1}"
            name = HeadLayer(TOWER, block, level).name + NORM
            weights[name] = {key: checkpoint.value(f"{norm}/{key}") for key in NORM_VARIABLES}
    box, classes = HeadLayer(BOX_HEAD, OUTPUT_BLOCK).name, HeadLayer(CLASS_HEAD, OUTPUT_BLOCK).name
    weights |= _separable(checkpoint, _BOX, box, has_bias=True)
    weights |= _separable(checkpoint, _CLASS, classes, has_bias=True)
    per_cell = weights[box + POINTWISE]["bias"].size // _BOX_CODES
    if per_cell != len(_RATIOS) * len(_SCALES):
        raise ModelError(
            f"{checkpoint.path}: has {per_cell} anchors per cell; expected "
            f"{len(_RATIOS) * len(_SCALES)}, as in the published configs"
        )
    weights[classes + POINTWISE] = without_background(weights[classes + POINTWISE], per_cell)
    checkpoint.refuse_unused("model")
    return Imported(
        model={
            "backbone": "mobilenet_v2",
            "backbone_width": WIDTHS[projected],
            "pretrained": "none",
            "min_level": _MIN_LEVEL,
            "max_level": max_level,
            "fpn_channels": int(weights[box + DEPTHWISE]["depthwise_kernel"].shape[2]),
            "head_depth": depth,
            "wiring": _WIRINGS[last],
        },
        shapes=_shapes(),
        classes=weights[classes + POINTWISE]["bias"].size // per_cell,
        weights=weights,
        image_hw=_size_of_pipeline(checkpoint.path),
        has_corner_anchors=True,
    )


def _size_of_pipeline(checkpoint: Path) -> tuple[int, int] | None:
    """Return the input size of the config beside a checkpoint, or above its directory."""
    places = [directory / _PIPELINE for directory in (checkpoint.parent, checkpoint.parent.parent)]
    for place in filter(Path.is_file, places):
        found = _RESIZER.search(read_small_file(place).decode("utf-8", "replace"))
        if found:
            return int(found.group(1)), int(found.group(2))
    return None


def _backbone(checkpoint: Checkpoint) -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of MobileNetV2, whose layers are numbered in the order of the network."""
    names = [f"{_EXTRACTOR}/{name}" for name in _BACKBONES]
    place = next(filter(checkpoint.has, names), names[0])
    return {
        layer: {
            variable: checkpoint.value(f"{place}/layer_with_weights-{number}/{variable}")
            for variable in variables
        }
        for number, (layer, variables) in enumerate(_mobilenet_layers())
    }


def _mobilenet_layers() -> list[tuple[str, tuple[str, ...]]]:
    """Return the layers of Keras' MobileNetV2 that have weights, with their variables."""
    found: list[tuple[str, tuple[str, ...]]] = [
        ("Conv1", ("kernel",)),
        ("bn_Conv1", NORM_VARIABLES),
    ]
    for number in range(17):
        block = f"block_{number}" if number else "expanded_conv"
        if number:
            found += [(f"{block}_expand", ("kernel",)), (f"{block}_expand_BN", NORM_VARIABLES)]
        found += [
            (f"{block}_depthwise", ("depthwise_kernel",)),
            (f"{block}_depthwise_BN", NORM_VARIABLES),
            (f"{block}_project", ("kernel",)),
            (f"{block}_project_BN", NORM_VARIABLES),
        ]
    return [*found, ("Conv_1", ("kernel",)), ("Conv_1_bn", NORM_VARIABLES)]


def _dense(checkpoint: Checkpoint, place: str) -> dict[str, np.ndarray]:
    return {name: checkpoint.value(f"{place}/{name}") for name in ("kernel", "bias")}


def _block(checkpoint: Checkpoint, place: str, name: str) -> dict[str, dict[str, np.ndarray]]:
    """Return a separable convolution and its BatchNorm."""
    norm = {key: checkpoint.value(f"{place}/1/{key}") for key in NORM_VARIABLES}
    return _separable(checkpoint, f"{place}/0", name) | {name + NORM: norm}


def _separable(
    checkpoint: Checkpoint, place: str, name: str, *, has_bias: bool = False
) -> dict[str, dict[str, np.ndarray]]:
    """Return a SeparableConv2D as the two layers that it is here."""
    pointwise = {"kernel": checkpoint.value(f"{place}/pointwise_kernel")}
    if has_bias:
        pointwise["bias"] = checkpoint.value(f"{place}/bias")
    depthwise = {"depthwise_kernel": checkpoint.value(f"{place}/depthwise_kernel")}
    return {name + DEPTHWISE: depthwise, name + POINTWISE: pointwise}


def _shapes() -> tuple[Shape, ...]:
    """Return the anchors of a cell, in strides: all sizes of a ratio, then the next ratio."""
    return tuple(
        (
            _ANCHOR_STRIDES * scale / math.sqrt(ratio),
            _ANCHOR_STRIDES * scale * math.sqrt(ratio),
        )
        for ratio in _RATIOS
        for scale in _SCALES
    )


FAMILY = Family(
    title="TF2 Object Detection API, SSD MobileNetV2 FPNLite",
    recognise=recognise,
    read=read,
    origin="tensorflow/models, TF2 Detection Zoo, Apache-2.0; trained on COCO 2017",
)
