"""The layers of a network as operators to be timed, read off the networks that training builds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache

from edge_retina.benchmark.operator import ADD, CONV, DEPTHWISE, DOUBLE, Operator
from edge_retina.config import ModelConfig
from edge_retina.layer_names import BOX_HEAD, CLASS_HEAD
from edge_retina.model.backbone import build_backbone
from edge_retina.model.fpn import build_fpn
from edge_retina.model.heads import build_head
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import LayerCall, layer_calls
from edge_retina.wirings.own import WIRING

# Built once at this size: every map then is the input divided by a power of two, and the same
# layers at another input size have that size divided by it, rounded up.
_BUILT_PX = 512
_HEAD_LEVEL = 3  # where the heads are built


def network_operators(model: ModelConfig, *, per_cell: int, num_classes: int) -> Counter[Operator]:
    """Return how many operators of each kind the int8 file of a network has in its network part.

    BatchNorm and ReLU are parts of the convolutions before them. What follows the last convolutions
    is not in it.

    Args:
        model: sizes of the network; its wiring must be "own".
        per_cell: anchors of a cell.
        num_classes: K.
    """
    channels = model.fpn_channels
    backbone, taps = _backbone(model.backbone, model.backbone_width)
    pyramid = _pyramid(taps, channels, model.min_level, model.max_level)
    head = _head(channels, model.head_depth, per_cell, num_classes)
    found = _at_size(backbone, model.image_hw) + _at_size(pyramid, model.image_hw)
    for level in model.levels:
        found += _at_size(head, _sides(model.image_hw, 2 ** (level - _HEAD_LEVEL)))
    return found


def output_operators(model: ModelConfig, *, per_cell: int, num_classes: int) -> Counter[Operator]:
    """Return those of `network_operators` that are the last convolutions of the heads."""
    return Counter(
        Operator(CONV, *_sides(model.image_hw, 2**level), model.fpn_channels, per_cell * size)
        for level in model.levels
        for size in (num_classes, 4)
    )


@cache
def _at_size(operators: tuple[Operator, ...], image_hw: tuple[int, int]) -> Counter[Operator]:
    """Return what operators that were built at `_BUILT_PX` are at another input size."""
    return Counter(
        Operator(
            operator.kind,
            *_sides(image_hw, _BUILT_PX // operator.height),
            operator.channels,
            operator.filters,
            operator.kernel,
            operator.stride,
        )
        for operator in operators
    )


def _sides(image_hw: tuple[int, int], divisor: int) -> tuple[int, int]:
    height, width = (-(-side // divisor) for side in image_hw)
    return height, width


@cache
def _backbone(name: str, width: float) -> tuple[tuple[Operator, ...], tuple[int, ...]]:
    """Return the layers of a backbone, and the channels of its maps at levels 3, 4, 5."""
    image = keras.Input((_BUILT_PX, _BUILT_PX, 3))
    features = build_backbone(image, backbone=name, width=width)
    maps = [features[level] for level in sorted(features)]
    return _operators(keras.Model(image, maps)), tuple(x.shape[-1] for x in maps)


@cache
def _pyramid(
    taps: tuple[int, ...], channels: int, min_level: int, max_level: int
) -> tuple[Operator, ...]:
    features = {level: _map(level, count) for level, count in enumerate(taps, 3)}
    pyramid = build_fpn(
        features, channels=channels, min_level=min_level, max_level=max_level, wiring=WIRING
    )
    used = [features[level] for level in features if min_level <= level <= max_level]
    return _operators(keras.Model(used, list(pyramid.values())))


@cache
def _head(channels: int, depth: int, per_cell: int, num_classes: int) -> tuple[Operator, ...]:
    """Return the layers of both heads on one level; they are the same on all."""
    pyramid = {_HEAD_LEVEL: _map(_HEAD_LEVEL, channels)}
    outputs = [
        output
        for name, size in ((CLASS_HEAD, num_classes), (BOX_HEAD, 4))
        for output in build_head(
            pyramid,
            name=name,
            channels=channels,
            depth=depth,
            outputs_per_anchor=size,
            anchors_per_cell=per_cell,
        )
    ]
    return _operators(keras.Model(list(pyramid.values()), outputs))


def _map(level: int, channels: int) -> tf.Tensor:
    side = _BUILT_PX // 2**level
    return keras.Input((side, side, channels))


def _operators(model: keras.Model) -> tuple[Operator, ...]:
    return tuple(_lowered(layer_calls(model)))


def _lowered(calls: Iterable[LayerCall]) -> Iterator[Operator]:
    for call in calls:
        layer = call.layer
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            yield _convolution(DEPTHWISE, call)
        elif isinstance(layer, keras.layers.Conv2D):
            yield _convolution(CONV, call)
        elif isinstance(layer, keras.layers.Add):
            yield _plain(ADD, call)
        elif isinstance(layer, keras.layers.UpSampling2D):
            yield _plain(DOUBLE, call)


def _convolution(kind: str, call: LayerCall) -> Operator:
    layer = call.layer
    (kernel, _), (stride, _) = layer.kernel_size, layer.strides
    # From the output, because a padding may stand before a stride
    height, width = (side * stride for side in call.output.shape[1:3])
    channels, filters = call.inputs[0].shape[-1], call.output.shape[-1]
    return Operator(kind, height, width, channels, filters, kernel, stride)


def _plain(kind: str, call: LayerCall) -> Operator:
    _, height, width, channels = call.inputs[0].shape
    return Operator(kind, height, width, channels, channels)
