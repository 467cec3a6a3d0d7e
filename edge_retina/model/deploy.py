"""The deploy graph: the float model with every BatchNorm folded and every level on its own.

QAT and PTQ start here. It is what the converter sees, so that simulation and TFLite agree, and
what tfmot accepts: no shared convolutions, no BatchNorm.
"""

from __future__ import annotations

import numpy as np

from edge_retina.errors import ExportError
from edge_retina.layer_names import BOX_DELTAS, CLASS_LOGITS, DEPLOY_MODEL, parse_head_layer
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import LayerCall, layer_calls

_CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
_COPIED = (
    keras.layers.ReLU,
    keras.layers.Add,
    keras.layers.Reshape,
    keras.layers.UpSampling2D,
)


def build_deploy_graph(
    model: keras.Model, *, relu6: bool = True, resize: bool = False
) -> keras.Model:
    """Turn a float RetinaNet into a flat graph of conv, depthwise, ReLU, add, concat and reshape.

    Every BatchNorm is folded into the convolution before it; a zero padding before a stride-2
    convolution becomes "same" padding; each level gets its own copy of the shared heads, named
    `cls_p3_conv0_dw` after `cls_conv0_dw` of level 3.

    Args:
        model: from `build_retinanet`.
        relu6: keep ReLU6; False replaces it by ReLU, which cross-layer equalisation needs. The
            outputs then equal those of `model` only where no activation is above 6.
        resize: upsample by RESIZE_NEAREST_NEIGHBOR instead of concatenations, for which there are
            no int16 kernels.

    Returns:
        A model from (B, H, W, 3) to a list: class logits (B, A_l, K) of every level, finest first,
        then box codes (B, A_l, 4) of every level. Concatenated they equal the outputs of `model`.

    Raises:
        ExportError: a layer or a pattern that can't be folded.
    """
    calls = layer_calls(model)
    builder = _Builder(calls, levels=_levels(model), relu6=relu6, resize=resize)
    for call in calls:
        builder.add(call)
    outputs = [x for output in model.outputs for x in builder.by_level[id(output)]]
    return keras.Model(builder.tensors[id(model.inputs[0])], outputs, name=DEPLOY_MODEL)


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


def _levels(model: keras.Model) -> tuple[int, ...]:
    found = (parse_head_layer(layer.name) for layer in model.layers)
    levels = {layer.level for layer in found if layer and layer.is_reshape}
    return tuple(sorted(level for level in levels if level is not None))


class _Builder:
    """Rebuilds the graph call by call.

    Attributes:
        tensors: new tensors by the id of the old one.
        by_level: new tensors of each level by the id of the output that joined them.
    """

    def __init__(
        self, calls: list[LayerCall], *, levels: tuple[int, ...], relu6: bool, resize: bool
    ) -> None:
        self.tensors: dict[int, tf.Tensor] = {}
        self.by_level: dict[int, list[tf.Tensor]] = {}
        self._levels = levels
        self._relu6, self._resize = relu6, resize
        self._users: dict[int, list[LayerCall]] = {}
        self._makers = {id(call.output): call for call in calls}
        for call in calls:
            for tensor in call.inputs:
                self._users.setdefault(id(tensor), []).append(call)

    def add(self, call: LayerCall) -> None:
        """Add one call of the float model."""
        if call.layer.name in (CLASS_LOGITS, BOX_DELTAS):
            self.by_level[id(call.output)] = self._inputs(call)
        else:
            self.tensors[id(call.output)] = self._rebuild(call)

    def _inputs(self, call: LayerCall) -> list[tf.Tensor]:
        return [self.tensors[id(tensor)] for tensor in call.inputs]

    def _rebuild(self, call: LayerCall) -> tf.Tensor:
        layer = call.layer
        if isinstance(layer, keras.layers.InputLayer):
            return keras.Input(layer.input_shape[0][1:], name=layer.name)
        if isinstance(layer, _CONVOLUTIONS):
            return self._fold_convolution(call)
        if isinstance(layer, keras.layers.BatchNormalization):
            self._check_folded(call)
            return self._inputs(call)[0]
        if isinstance(layer, keras.layers.ZeroPadding2D):
            self._check_padding(call)
            return self._inputs(call)[0]
        if isinstance(layer, keras.layers.UpSampling2D) and not self._resize:
            return _double(self._inputs(call)[0], name=layer.name)
        if isinstance(layer, _COPIED):
            inputs = self._inputs(call)
            return self._copy(layer)(inputs if len(inputs) > 1 else inputs[0])
        raise ExportError(
            f"layer {layer.name} ({type(layer).__name__}) has no place in the deploy graph"
        )

    def _copy(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, keras.layers.ReLU) and not self._relu6:
            settings = settings | {"max_value": None}
        return type(layer).from_config(settings)

    def _fold_convolution(self, call: LayerCall) -> tf.Tensor:
        layer = call.layer
        norm = self._norm_after(call)
        self._check_convolution(call, norm)
        kernel, bias = _folded_weights(layer, norm)
        settings = layer.get_config() | {
            "name": self._name(call),
            "use_bias": True,
            "padding": "same",
        }
        copy = type(layer).from_config(settings)
        output = copy(self._inputs(call)[0])
        copy.set_weights([kernel, bias])
        return output

    def _check_convolution(self, call: LayerCall, norm: keras.layers.Layer | None) -> None:
        layer = call.layer
        if layer.use_bias and norm is not None:
            raise ExportError(f"layer {layer.name} has both a bias and a BatchNorm; can't fold")
        if layer.activation is not keras.activations.linear:
            raise ExportError(
                f"layer {layer.name} has an activation inside; it must be a ReLU layer of its own"
            )
        padded = isinstance(self._makers[id(call.inputs[0])].layer, keras.layers.ZeroPadding2D)
        if layer.padding == "valid" and max(layer.kernel_size) > 1 and not padded:
            raise ExportError(f"layer {layer.name} has padding 'valid'; 'same' is needed")

    def _norm_after(self, call: LayerCall) -> keras.layers.Layer | None:
        users = self._users.get(id(call.output), [])
        if len(users) == 1 and isinstance(users[0].layer, keras.layers.BatchNormalization):
            return users[0].layer
        return None

    def _check_folded(self, call: LayerCall) -> None:
        """Make sure that a BatchNorm was folded into the convolution before it."""
        maker = self._makers[id(call.inputs[0])]
        if not isinstance(maker.layer, _CONVOLUTIONS) or self._norm_after(maker) is not call.layer:
            raise ExportError(
                f"BatchNorm {call.layer.name} does not follow a convolution of its own"
            )

    def _check_padding(self, call: LayerCall) -> None:
        """Make sure that a padding equals TensorFlow's "same" of the convolution after it."""
        users = self._users[id(call.output)]
        if len(users) != 1 or not isinstance(users[0].layer, _CONVOLUTIONS):
            raise ExportError(f"padding {call.layer.name} is not followed by one convolution")
        convolution = users[0].layer
        same = tuple(
            _same_padding(size, kernel, stride)
            for size, kernel, stride in zip(
                call.layer.input_shape[1:3],
                convolution.kernel_size,
                convolution.strides,
                strict=True,
            )
        )
        if call.layer.padding != same or convolution.padding != "valid":
            raise ExportError(
                f"padding {call.layer.name} {call.layer.padding} is not 'same' {same}"
            )

    def _name(self, call: LayerCall) -> str:
        layer = parse_head_layer(call.layer.name)
        return call.layer.name if layer is None else layer.at(self._levels[call.number]).name


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
