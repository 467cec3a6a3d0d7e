"""RetinaNet on MobileNetV2 of the TensorFlow Model Garden, with separable convolutions.

Source: the names of layers and attributes of official.vision's MobileNet, FPN and RetinaNetHead
(tf-models-official 2.20).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from edge_retina.boxes.anchors import Shape
from edge_retina.boxes.codec import CODE_SCALES
from edge_retina.errors import ModelError
from edge_retina.files import read_small_text
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
    HeadLayer,
    pyramid_layer,
    tower_block,
)

log = logging.getLogger(__name__)

_ROOTS = ("model/", "")  # of a whole model, and of its parts as training saves them
_BACKBONE_TOP = 5
_BLOCKS = 17  # inverted bottlenecks
_PARAMS = "params.yaml"  # what a training writes beside its checkpoints
_HEADS = {
    CLASS_HEAD: ("_cls_convs", "_cls_norms", "_classifier"),
    BOX_HEAD: ("_box_convs", "_box_norms", "_box_regressor"),
}
# The defaults of its configs: sizes in an octave, width / height, and strides of the first.
_ANCHORS: Mapping[str, Any] = {"num_scales": 3, "aspect_ratios": [0.5, 1.0, 2.0], "anchor_size": 4}
_ACTIVATION = "relu6"
# What it subtracts from values of 0..1 and divides them by (official.vision.ops.preprocess_ops).
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Layers = dict[str, dict[str, np.ndarray]]


def recognise(checkpoint: Checkpoint) -> bool:
    """Whether it has the parts that no other network has."""
    return _root(checkpoint) is not None


def read(checkpoint: Checkpoint) -> Imported:
    """Read a checkpoint, and the anchors from the `params.yaml` beside it if there is one.

    Raises:
        ModelError: a variable is missing or of a shape that doesn't fit the others, or one is left
            over; or `params.yaml` describes what can't be imported.
    """
    root = _root(checkpoint)
    assert root is not None
    backbone, decoder, head = root
    params = _params(checkpoint.path)
    weights = _backbone(checkpoint, backbone)
    projected = weights["block_16_project"]["kernel"].shape[3]
    if projected not in WIDTHS:
        raise ModelError(
            f"{checkpoint.path}: its MobileNetV2 has {projected} channels in block 16; expected "
            f"{any_of(WIDTHS)}"
        )
    pyramid, levels = _pyramid(checkpoint, decoder)
    weights |= pyramid
    depth = checkpoint.count(f"{head}/_cls_convs")
    for name, attributes in _HEADS.items():
        weights |= _head(checkpoint, head, name, attributes, levels=levels, depth=depth)
    shapes = _shapes({**_ANCHORS, **params.get("anchor", {})})
    box = weights[HeadLayer(BOX_HEAD, OUTPUT_BLOCK + POINTWISE).name]
    per_cell, rest = divmod(box["bias"].size, len(CODE_SCALES))
    if rest or per_cell != len(shapes):
        raise ModelError(
            f"{checkpoint.path}: has {box['bias'].size} box outputs in a cell, but {len(shapes)} "
            f"anchors by {_PARAMS} or the usual config; put the {_PARAMS} of the training beside it"
        )
    # Its codes are not scaled as a rule, those of this package are.
    own = (params.get("detection_generator") or {}).get("box_coder_weights") or [1.0] * 4
    scales = np.array(CODE_SCALES, np.float32) / np.array(own, np.float32)
    for key, value in box.items():
        box[key] = value * np.tile(scales, per_cell)
    last = HeadLayer(CLASS_HEAD, OUTPUT_BLOCK + POINTWISE).name
    weights[last] = without_background(weights[last], per_cell)
    # A detector doesn't use the last convolution of the backbone.
    checkpoint.refuse_unused(*root, spare=f"{backbone}/layer_with_weights-{_BLOCKS + 1}")
    return Imported(
        model={
            "backbone": "mobilenet_v2",
            "backbone_width": WIDTHS[projected],
            "pretrained": "none",
            "min_level": levels[0],
            "max_level": levels[-1],
            "fpn_channels": weights[pyramid_layer(levels[0], "lateral")]["bias"].size,
            "head_depth": depth,
            "wiring": "model_garden",
        },
        shapes=shapes,
        classes=weights[last]["bias"].size // per_cell,
        weights=weights,
        image_hw=_size(params),
        # The input here is (v - 128) / 127.5 of a value v of 0..255.
        input_scale=tuple(0.5 / deviation for deviation in _DEVIATION),
        input_shift=tuple(
            (128 / 255 - mean) / deviation
            for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)
        ),
    )


def _root(checkpoint: Checkpoint) -> tuple[str, str, str] | None:
    """Return the places of backbone, decoder and head."""
    for root in _ROOTS:
        for mark in ("_", ""):
            found = tuple(f"{root}{mark}{name}" for name in ("backbone", "decoder", "head"))
            if checkpoint.has(f"{found[2]}/_cls_convs") and all(map(checkpoint.has, found)):
                return found[0], found[1], found[2]
    return None


def _backbone(checkpoint: Checkpoint, place: str) -> Layers:
    """Return the weights of MobileNetV2, whose blocks are numbered in the order of the network."""

    def block(number: int, part: int, kernel: str = "kernel") -> tuple[dict[str, Any], ...]:
        base = f"{place}/layer_with_weights-{number}"
        norm = {key: checkpoint.value(f"{base}/_norm{part}/{key}") for key in NORM_VARIABLES}
        return {kernel: checkpoint.value(f"{base}/_conv{part}/{kernel}")}, norm

    weights: Layers = {}
    weights["Conv1"], weights["bn_Conv1"] = block(0, 0)
    for number in range(_BLOCKS):
        name = f"block_{number}" if number else "expanded_conv"
        parts = {"expand": (0, "kernel")} if number else {}
        parts |= {"depthwise": (1, "depthwise_kernel"), "project": (2, "kernel")}
        for part, (index, kernel) in parts.items():
            layer, norm = block(number + 1, index, kernel)
            weights[f"{name}_{part}"], weights[f"{name}_{part}_BN"] = layer, norm
    return weights


def _pyramid(checkpoint: Checkpoint, place: str) -> tuple[Layers, list[int]]:
    """Return the weights of the pyramid, and its levels."""
    names = checkpoint.layers(place)
    levels = sorted(int(name.removeprefix("norm_")) for name in names if name.startswith("norm_"))
    if not levels or f"lateral_{levels[0]}" not in names:
        raise ModelError(
            f"{checkpoint.path}: has no pyramid of the form of the Model Garden's FPN in {place}"
        )

    def layer(name: str) -> dict[str, np.ndarray]:
        found = names.get(name, {})
        if name.startswith("norm_"):
            expected = set(NORM_VARIABLES)
        else:
            expected = {"depthwise_kernel", "pointwise_kernel", "bias"}
        if set(found) != expected:
            raise ModelError(
                f"{checkpoint.path}: {place}/{name} has {any_of(sorted(found)) or 'nothing'}; "
                f"expected {', '.join(sorted(expected))} (use_separable_conv: true)"
            )
        return {variable: checkpoint.take(key) for variable, key in found.items()}

    weights: Layers = {}
    for level in levels:
        norm, is_coarse = layer(f"norm_{level}"), level > _BACKBONE_TOP
        own = layer(f"coarser_{level}" if is_coarse else f"post_hoc_{level}")
        name = pyramid_layer(level, "down" if is_coarse else "smooth")
        weights |= _separable(own, name)
        weights[name + NORM] = _with_bias_before(norm, own["bias"])
        if _BACKBONE_TOP <= level < levels[-1]:
            raw = {"kernel": own["pointwise_kernel"], "bias": own["bias"]}
            weights[pyramid_layer(level, "coarse")] = raw
        if not is_coarse:
            weights[pyramid_layer(level, "lateral")] = _one_by_one(layer(f"lateral_{level}"))
    return weights, levels


def _head(
    checkpoint: Checkpoint,
    place: str,
    head: str,
    attributes: tuple[str, str, str],
    *,
    levels: list[int],
    depth: int,
) -> Layers:
    convolutions, norms, last = (f"{place}/{name}" for name in attributes)
    weights: Layers = {}
    for number in range(depth):
        own = _read_separable(checkpoint, f"{convolutions}/{number}")
        block = tower_block(number)
        weights |= _separable(own, HeadLayer(head, block).name)
        for index, level in enumerate(levels):
            base = f"{norms}/{index}/{number}"
            norm = {key: checkpoint.value(f"{base}/{key}") for key in NORM_VARIABLES}
            name = HeadLayer(head, block, level).name + NORM
            weights[name] = _with_bias_before(norm, own["bias"])
    own = _read_separable(checkpoint, last)
    name = HeadLayer(head, OUTPUT_BLOCK).name
    weights |= _separable(own, name)
    weights[name + POINTWISE]["bias"] = own["bias"]
    return weights


def _read_separable(checkpoint: Checkpoint, place: str) -> dict[str, np.ndarray]:
    names = ("depthwise_kernel", "pointwise_kernel", "bias")
    return {name: checkpoint.value(f"{place}/{name}") for name in names}


def _separable(own: Mapping[str, np.ndarray], name: str) -> Layers:
    return {
        name + DEPTHWISE: {"depthwise_kernel": own["depthwise_kernel"]},
        name + POINTWISE: {"kernel": own["pointwise_kernel"]},
    }


def _one_by_one(own: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a separable convolution of size 1 as the plain one that it is."""
    scale = own["depthwise_kernel"].reshape(-1, 1)
    return {"kernel": own["pointwise_kernel"] * scale, "bias": own["bias"]}


def _with_bias_before(norm: Mapping[str, np.ndarray], bias: np.ndarray) -> dict[str, np.ndarray]:
    """Return a BatchNorm that does the same without the bias before it."""
    return {**norm, "moving_mean": norm["moving_mean"] - bias}


def _params(checkpoint: Path) -> dict[str, Any]:
    """Return `task.model` of the `params.yaml` beside a checkpoint; empty if there is none."""
    path = checkpoint.parent / _PARAMS
    if not path.is_file():
        log.warning(
            "%s: no %s beside it; taking anchors and activation of the usual config: %s and %s",
            *(checkpoint, _PARAMS, dict(_ANCHORS), _ACTIVATION),
        )
        return {}
    try:
        params: Any = yaml.safe_load(read_small_text(path))["task"]["model"]
        activation = params["norm_activation"]["activation"]
        parts = (params["head"], params["decoder"]["fpn"])
        separable = [part["use_separable_conv"] for part in parts]
    except (yaml.YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: is not of a RetinaNet of the Model Garden ({error!r})") from None
    if activation != _ACTIVATION or not all(separable):
        raise ModelError(
            f"{path}: activation {activation}, use_separable_conv {separable}; only {_ACTIVATION} "
            "with separable convolutions can be imported"
        )
    found: dict[str, Any] = params
    return found


def _size(params: Mapping[str, Any]) -> tuple[int, int] | None:
    size = params.get("input_size")
    return (int(size[0]), int(size[1])) if size else None


def _shapes(anchor: Mapping[str, Any]) -> tuple[Shape, ...]:
    """Return the anchors of a cell, in strides: all ratios of a size, then the next size."""
    scales, size = int(anchor["num_scales"]), float(anchor["anchor_size"])
    return tuple(
        (
            size * 2 ** (number / scales) / math.sqrt(ratio),
            size * 2 ** (number / scales) * math.sqrt(ratio),
        )
        for number in range(scales)
        for ratio in anchor["aspect_ratios"]
    )


FAMILY = Family(
    title="TensorFlow Model Garden, RetinaNet on MobileNetV2",
    recognise=recognise,
    read=read,
    origin="tensorflow/models, official/vision, Apache-2.0; trained by who wrote the checkpoint",
)
