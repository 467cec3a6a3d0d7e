"""Everything this package uses of Keras and tfmot that is not their public interface.

Keras 2 keeps the graph of a functional model in private attributes, and tfmot exports neither its
wrappers nor what they keep. Written for tf_keras 2.21 and tensorflow-model-optimization 0.8; when
either moves, this is the file to check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tensorflow_model_optimization.python.core.quantization.keras.quantize_layer import (
    QuantizeLayer,
)
from tensorflow_model_optimization.python.core.quantization.keras.quantize_wrapper import (
    QuantizeWrapperV2,
)

from edge_retina.model.keras import keras, tf

__all__ = [
    "LayerCall",
    "QuantizeLayer",
    "QuantizeWrapperV2",
    "call_count",
    "call_of",
    "layer_calls",
    "output_range",
    "quantized_kernels",
    "rename_layer",
    "users",
    "wrappers",
]


@dataclass(frozen=True)
class LayerCall:
    """One call of a layer with a single output.

    Attributes:
        layer: what is called.
        number: of this call among the layer's calls, from 0.
        inputs: keras tensors.
        output: keras tensor.
    """

    layer: keras.layers.Layer
    number: int
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor


def layer_calls(model: keras.Model) -> list[LayerCall]:
    """Return the layer calls of a functional model, inputs before their users."""
    return [
        _call(node)
        for depth in sorted(model._nodes_by_depth, reverse=True)
        for node in model._nodes_by_depth[depth]
    ]


def call_of(tensor: tf.Tensor) -> LayerCall:
    """Return the call that a keras tensor comes from."""
    history = tensor._keras_history
    return _call(history.layer._inbound_nodes[history.node_index])


def call_count(layer: keras.layers.Layer) -> int:
    """Return how many times a layer was called on keras tensors."""
    return len(layer._inbound_nodes)


def users(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return the layers that take the outputs of a layer's calls, one for each use."""
    return [node.layer for node in layer._outbound_nodes]


def rename_layer(layer: keras.layers.Layer, name: str) -> None:
    """Rename a layer; only before the model that uses it is made."""
    layer._name = name


def quantized_kernels(
    wrapper: QuantizeWrapperV2,
) -> list[tuple[tf.Variable, Any, dict[str, tf.Variable]]]:
    """Return each kernel a wrapper quantises: its float variable, its quantiser, that's variables.

    The wrapped layer's own attribute holds the fake-quantised kernel.
    """
    return list(wrapper._weight_vars)


def wrappers(model: keras.Model) -> dict[str, QuantizeWrapperV2]:
    """Return the wrappers of a quantised model by the name of the layer inside."""
    return {
        layer.layer.name: layer for layer in model.layers if isinstance(layer, QuantizeWrapperV2)
    }


def output_range(wrapper: QuantizeWrapperV2) -> dict[str, tf.Variable] | None:
    """Return the variables of a wrapper's output quantiser; None without one."""
    return getattr(wrapper, "_output_quantizer_vars", None)


def _call(node: Any) -> LayerCall:
    return LayerCall(
        layer=node.layer,
        number=node.layer._inbound_nodes.index(node),
        inputs=tuple(node.keras_inputs),
        output=node.outputs,
    )
