"""Layer by layer: float, simulation and .tflite file on the same real pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import Builder

from edge_retina.int8.activation_ranges import logit_floor
from edge_retina.int8.layer_error import (
    INT8_STEPS,
    INT16_STEPS,
    LayerError,
    LayerSums,
    weight_snr_db,
)
from edge_retina.layer_names import layer_of_tensor
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import (
    QuantizeWrapperV2,
    call_of,
    layer_calls,
    wrappers,
)
from edge_retina.quantization.fusion import class_logit_layers, fused_convolution
from edge_retina.quantization.layer_configs import channel_axis
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.image import normalize
from edge_retina.runtime.model_file import MODEL_IDENTIFIER

_COMPUTING = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD")


@dataclass(frozen=True)
class LayerComparison:
    """What the microscope saw.

    Attributes:
        layers: in the order of computation.
        unmatched_layers: quantised outputs that no tensor of the file belongs to.
        unmatched_tensors: int8 tensors of the file that no quantised output belongs to.
    """

    layers: tuple[LayerError, ...]
    unmatched_layers: tuple[str, ...]
    unmatched_tensors: tuple[str, ...]


def compare_layers(
    deploy: keras.Model,
    quantized: QuantizedModel,
    images: Sequence[np.ndarray],
    *,
    score_threshold: float,
    file: Path | None = None,
    use_xnnpack: bool = True,
) -> LayerComparison:
    """Compare every quantised output on some pictures.

    Args:
        deploy: the float graph that was quantised.
        quantized: what was made of it.
        images: uint8 (H, W, 3) pictures of the network's size.
        score_threshold: of the exported detector.
        file: the .tflite file converted from `quantized`; None leaves its columns empty.
        use_xnnpack: False runs the file on TFLite's own kernels, whose fixed-point scaling rounds
            twice.
    """
    ranges = quantized.activation_ranges()
    names = list(ranges)
    probe = _probe(deploy, quantized, names)
    alone = _each_alone(deploy, wrappers(quantized.model), names)
    tensors = _FileTensors(file, use_xnnpack=use_xnnpack) if file else None
    sums = _sums(deploy, quantized, score_threshold)
    for image in images:
        batch = tf.constant(normalize(image[None]))
        exact, simulated = probe(batch)
        own = alone(batch, exact)
        inside = tensors.run(image) if tensors else {}
        replayed = alone(batch, inside) if tensors else {}
        for name in names:
            values = (given[name].numpy() for given in (exact, simulated, own))
            again = replayed[name].numpy() if name in replayed else None
            sums[name].add(*values, inside.get(name), again)
    weights = _weight_snr(deploy, quantized)
    layers = tuple(
        sums[name].result(weight_snr_db=weights.get(_kernel_name(deploy, name))) for name in names
    )
    known = tensors.names if tensors else set(names)
    return LayerComparison(
        layers,
        unmatched_layers=tuple(name for name in names if name not in known),
        unmatched_tensors=tuple(sorted(known - set(names))),
    )


def _probe(
    deploy: keras.Model, quantized: QuantizedModel, names: Sequence[str]
) -> Callable[[tf.Tensor], tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]:
    """Return a function from images to the outputs by name: all float, all simulated."""
    outputs = _outputs(quantized.model)
    exact = keras.Model(deploy.inputs, {name: deploy.get_layer(name).output for name in names})
    simulated = keras.Model(quantized.model.inputs, {name: outputs[name] for name in names})

    @tf.function
    def probe(images: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        return exact(images, training=False), simulated(images, training=False)

    return probe


def _each_alone(
    deploy: keras.Model, wrapped: dict[str, QuantizeWrapperV2], names: Sequence[str]
) -> Callable[[tf.Tensor, dict[str, Any]], dict[str, tf.Tensor]]:
    """Return a function that simulates each layer on what those before it are said to give.

    What is not said is simulated in its turn. Layers are called on plain tensors, which leaves no
    trace in the graphs they are part of: a call on a Keras tensor would give a layer one more user,
    and it would no longer count as fused.
    """

    @tf.function
    def alone(images: tf.Tensor, given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        def value(tensor: tf.Tensor) -> tf.Tensor:
            layer = call_of(tensor).layer
            if isinstance(layer, keras.layers.InputLayer):
                return images
            return given[layer.name] if layer.name in given else computed(layer)

        def computed(layer: keras.layers.Layer) -> tf.Tensor:
            sources = layer.input if isinstance(layer.input, list) else [layer.input]
            values = [value(source) for source in sources]
            quantised = wrapped.get(layer.name, layer)  # the recipe may leave it in float
            return quantised(values if len(values) > 1 else values[0])

        return {name: computed(deploy.get_layer(name)) for name in names}

    def run(images: tf.Tensor, given: dict[str, Any]) -> dict[str, tf.Tensor]:
        return alone(images, {name: tf.constant(x, tf.float32) for name, x in given.items()})

    return run


def _outputs(model: keras.Model) -> dict[str, tf.Tensor]:
    """Return the outputs of a quantised model's wrapped layers by the names of what they wrap.

    `layer.output` won't do: the layers were called before, when they were cloned.
    """
    return {
        call.layer.layer.name: call.output
        for call in layer_calls(model)
        if isinstance(call.layer, QuantizeWrapperV2)
    }


def _sums(
    deploy: keras.Model, quantized: QuantizedModel, score_threshold: float
) -> dict[str, LayerSums]:
    ranges = quantized.activation_ranges()
    logits, floor = class_logit_layers(deploy), logit_floor(score_threshold)
    steps = INT8_STEPS
    if quantized.recipe.activations == "int16":
        steps = INT16_STEPS
        bounds = {name: max(-low, high) for name, (low, high) in ranges.items()}
        ranges = {name: (-bound, bound) for name, bound in bounds.items()}
    return {
        name: LayerSums(
            name,
            kernel=_kernel_name(deploy, name),
            low=low,
            high=high,
            floor=max(low, floor) if name in logits else -np.inf,
            steps=steps,
        )
        for name, (low, high) in ranges.items()
    }


def _kernel_name(deploy: keras.Model, name: str) -> str:
    layer = deploy.get_layer(name)
    convolution = fused_convolution(layer)
    if convolution is not None:
        return convolution.name
    return name if channel_axis(layer) is not None else ""


def _weight_snr(deploy: keras.Model, quantized: QuantizedModel) -> dict[str, float]:
    kernels = {name: variable.numpy() for name, variable in quantized.variables().items()}
    return {
        name: weight_snr_db(
            kernels[f"{name}/kernel"], error, channel_axis=channel_axis(deploy.get_layer(name)) or 3
        )
        for name, error in quantized.kernel_errors().items()
    }


class _FileTensors:
    """The int8 tensors inside a .tflite file, by the layer that makes them.

    Attributes:
        names: of the layers.
    """

    def __init__(self, path: Path, *, use_xnnpack: bool) -> None:
        graph = read_graph(path)
        self._tensors = {}
        for operator in graph.operators:
            index = operator.outputs[0]
            tensor = graph.tensors[index]
            if operator.name in _COMPUTING and tensor.dtype in ("int8", "int16"):
                self._tensors[layer_of_tensor(tensor.name)] = (index, tensor)
        self.names = set(self._tensors)
        kernels = (
            OpResolverType.AUTO if use_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        self._interpreter = Interpreter(
            model_content=_with_outputs(path, [index for index, _ in self._tensors.values()]),
            experimental_op_resolver_type=kernels,
        )
        self._interpreter.allocate_tensors()

    def run(self, image: np.ndarray) -> dict[str, np.ndarray]:
        """Return the real values of every tensor for a uint8 picture (H, W, 3)."""
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], image[None])
        self._interpreter.invoke()
        return {
            name: (self._interpreter.get_tensor(index).astype(np.float64) - tensor.zero_points[0])
            * tensor.scales[0]
            for name, (index, tensor) in self._tensors.items()
        }


def _with_outputs(path: Path, outputs: Sequence[int]) -> bytes:
    """Return a .tflite file with other outputs: XNNPACK shows nothing else of what it computes."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    model.subgraphs[0].outputs = list(outputs)
    model.signatureDefs = []
    builder = Builder(path.stat().st_size)
    builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
    return bytes(builder.Output())
