"""The deploy graph: the float model with every BatchNorm folded and every level on its own.

QAT and PTQ start here. It is what tfmot accepts (it refuses shared convolutions and conv + BN pairs
that it can't see through) and what the converter sees, so that simulation and TFLite agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_retina.errors import ExportError
from edge_retina.layer_names import BOX_DELTAS, CLASS_LOGITS, parse_head_layer
from edge_retina.model.keras import keras, tf

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class _Step:
    """One call of a layer in the float model, by the ids of its keras tensors."""

    layer: keras.layers.Layer
    call: int  # the how-manieth call of that layer
    inputs: tuple[int, ...]
    output: int


def build_deploy_graph(
    model: keras.Model, *, relu6: bool = True, resize: bool = False
) -> keras.Model:
    """Turn a float RetinaNet into a flat graph of conv, depthwise, ReLU6, add, concat and reshape.

    Every BatchNorm is folded into the convolution before it; a zero padding before a stride-2
    convolution becomes "same" padding; each level gets its own copy of the shared heads, named
    `cls_p3_conv0_dw` after `cls_conv0_dw` of level 3.

    Args:
        model: from `build_retinanet`.
        relu6: keep ReLU6; False puts ReLU in its place, which cross-layer equalisation needs. The
            outputs are then those of `model` only where no activation is above 6.
        resize: double maps by RESIZE_NEAREST_NEIGHBOR instead of concatenations, which int16 has
            no kernels for.

    Returns:
        A model from (B, H, W, 3) to a list: class logits (B, A_l, K) of every level, finest first,
        then box codes (B, A_l, 4) of every level. Concatenated they equal the outputs of `model`.

    Raises:
        ExportError: a layer or a pattern that can't be folded.
    """
    steps = _steps(model)
    builder = _Builder(steps, levels=_levels(model), relu6=relu6, resize=resize)
    for step in steps:
        builder.add(step)
    outputs = [x for output in model.outputs for x in builder.by_level[id(output)]]
    return keras.Model(builder.tensors[id(model.inputs[0])], outputs, name="deploy")


def join_levels(deploy: keras.Model) -> keras.Model:
    """Return a model with the float model's outputs: cls_logits (B, A, K), box_deltas (B, A, 4).

    Args:
        deploy: a deploy graph, float or fake-quantised; its layers are shared, not copied.
    """
    half = len(deploy.outputs) // 2
    parts = (deploy.outputs[:half], deploy.outputs[half:])
    joined = [
        levels[0] if len(levels) == 1 else keras.layers.Concatenate(axis=1)(levels)
        for levels in parts
    ]
    return keras.Model(deploy.inputs, joined)


def _steps(model: keras.Model) -> list[_Step]:
    """List the layer calls of a functional model, inputs before users."""
    return [
        _Step(
            layer=node.layer,
            call=node.layer._inbound_nodes.index(node),
            inputs=tuple(id(tensor) for tensor in node.keras_inputs),
            output=id(node.outputs),
        )
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]


def _levels(model: keras.Model) -> tuple[int, ...]:
    found = (parse_head_layer(layer.name) for layer in model.layers)
    return tuple(sorted({layer.level for layer in found if layer and layer.is_reshape}))


class _Builder:
    """Rebuilds the graph call by call.

    Attributes:
        tensors: new tensors by the id of the old one.
        by_level: new tensors of each level by the id of the output that joined them.
    """

    def __init__(
        self, steps: list[_Step], *, levels: tuple[int, ...], relu6: bool, resize: bool
    ) -> None:
        self.tensors: dict[int, tf.Tensor] = {}
        self.by_level: dict[int, list[tf.Tensor]] = {}
        self._levels = levels
        self._relu6, self._resize = relu6, resize
        self._users: dict[int, list[_Step]] = {}
        self._makers = {step.output: step for step in steps}
        for step in steps:
            for tensor in step.inputs:
                self._users.setdefault(tensor, []).append(step)

    def add(self, step: _Step) -> None:
        """Add one call of the float model."""
        layer = step.layer
        if isinstance(layer, keras.layers.InputLayer):
            self.tensors[step.output] = keras.Input(layer.input_shape[0][1:], name=layer.name)
        elif isinstance(layer, _CONVOLUTIONS):
            self._add_convolution(step)
        elif isinstance(layer, keras.layers.BatchNormalization):
            self._pass_folded(step)
        elif isinstance(layer, keras.layers.ZeroPadding2D):
            self._pass_padding(step)
        elif layer.name in (CLASS_LOGITS, BOX_DELTAS):
            self.by_level[step.output] = [self.tensors[i] for i in step.inputs]
        elif isinstance(layer, keras.layers.UpSampling2D):
            x = self.tensors[step.inputs[0]]
            copied = type(layer).from_config(layer.get_config())
            self.tensors[step.output] = copied(x) if self._resize else _double(x, name=layer.name)
        elif isinstance(layer, (keras.layers.ReLU, keras.layers.Add, keras.layers.Reshape)):
            inputs = [self.tensors[i] for i in step.inputs]
            self.tensors[step.output] = self._copy(layer)(inputs if len(inputs) > 1 else inputs[0])
        else:
            raise ExportError(
                f"layer {layer.name} ({type(layer).__name__}) has no place in the deploy graph"
            )

    def _copy(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, keras.layers.ReLU) and not self._relu6:
            settings = settings | {"max_value": None}
        return type(layer).from_config(settings)

    def _add_convolution(self, step: _Step) -> None:
        layer = step.layer
        norm = self._norm_after(step)
        if layer.use_bias and norm is not None:
            raise ExportError(f"layer {layer.name} has both a bias and a BatchNorm; can't fold")
        kernel, bias = _folded_weights(layer, norm)
        settings = layer.get_config() | {
            "name": self._name(step),
            "use_bias": True,
            "padding": "same",
        }
        copy = type(layer).from_config(settings)
        self.tensors[step.output] = copy(self.tensors[step.inputs[0]])
        copy.set_weights([kernel, bias])

    def _norm_after(self, step: _Step) -> keras.layers.Layer | None:
        users = self._users.get(step.output, [])
        if len(users) == 1 and isinstance(users[0].layer, keras.layers.BatchNormalization):
            return users[0].layer
        return None

    def _pass_folded(self, step: _Step) -> None:
        maker = self._makers[step.inputs[0]]
        if not isinstance(maker.layer, _CONVOLUTIONS) or self._norm_after(maker) is not step.layer:
            raise ExportError(
                f"BatchNorm {step.layer.name} does not follow a convolution of its own"
            )
        self.tensors[step.output] = self.tensors[step.inputs[0]]

    def _pass_padding(self, step: _Step) -> None:
        """Leave out a padding that equals TensorFlow's "same" of the convolution after it."""
        (user,) = self._users[step.output]
        size = step.layer.input_shape[1:3]
        kernel, strides = user.layer.kernel_size, user.layer.strides
        same = tuple(_same_padding(*sizes) for sizes in zip(size, kernel, strides, strict=True))
        if step.layer.padding != same or user.layer.padding != "valid":
            raise ExportError(
                f"padding {step.layer.name} {step.layer.padding} is not 'same' {same}"
            )
        self.tensors[step.output] = self.tensors[step.inputs[0]]

    def _name(self, step: _Step) -> str:
        layer = parse_head_layer(step.layer.name)
        return step.layer.name if layer is None else layer.at(self._levels[step.call]).name


def _double(x: tf.Tensor, *, name: str) -> tf.Tensor:
    """Double height and width of (B, H, W, C) by repetition, out of concatenations and reshapes.

    XNNPACK does not take RESIZE_NEAREST_NEIGHBOR: each one would split the network into one more
    delegate partition. These four operations move the same bytes, in int8 without re-quantising.
    """
    height, width, channels = x.shape[1:]
    columns = keras.layers.Concatenate(axis=3, name=f"{name}_columns")([x, x])
    row = (height, 1, 2 * width * channels)
    rows = keras.layers.Reshape(row, name=f"{name}_as_rows")(columns)
    doubled = keras.layers.Concatenate(axis=2, name=f"{name}_rows")([rows, rows])
    shape = (2 * height, 2 * width, channels)
    return keras.layers.Reshape(shape, name=f"{name}_reshape")(doubled)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _folded_weights(
    layer: keras.layers.Layer, norm: keras.layers.Layer | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel and bias of a convolution with its BatchNorm folded in."""
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    weights = [w.astype(np.float64) for w in layer.get_weights()]
    kernel = weights[0]
    channels = kernel.shape[2] if depthwise else kernel.shape[3]
    bias = weights[1] if layer.use_bias else np.zeros(channels)
    if norm is not None:
        gamma, beta, mean, variance = (
            np.asarray(w, np.float64)
            for w in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        )
        scale = gamma / np.sqrt(variance + norm.epsilon)
        kernel = kernel * (scale[:, None] if depthwise else scale)
        bias = beta - mean * scale
    return kernel.astype(np.float32), bias.astype(np.float32)
