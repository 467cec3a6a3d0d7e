"""Layer by layer: float model, simulation and .tflite file on the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.int8.activation_ranges import logit_floor
from edge_retina.int8.layer_error import (
    INT8_STEPS,
    INT16_STEPS,
    LayerError,
    LayerSums,
    weight_snr_db,
)
from edge_retina.model.keras import keras, tf
from edge_retina.model.keras_internals import call_of, layer_calls
from edge_retina.quantization.fake_quant_layers import FakeQuantizing, is_fake_quantized, wrappers
from edge_retina.quantization.file_tensors import FileTensors
from edge_retina.quantization.fusion import class_logit_layers, fused_convolution
from edge_retina.quantization.kernels import channel_axis
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.runtime.image import normalize


@dataclass(frozen=True)
class LayerComparison:
    """What quantisation does to each layer's output.

    Attributes:
        layers: in the order of computation.
        unmatched_layers: quantised outputs without a tensor in the file.
        unmatched_tensors: quantised tensors of the file without a quantised output.
        skipped: why there was nothing to compare; "" if there was.
    """

    layers: tuple[LayerError, ...] = ()
    unmatched_layers: tuple[str, ...] = ()
    unmatched_tensors: tuple[str, ...] = ()
    skipped: str = ""


def nothing_to_compare(quantized: QuantizedModel) -> str:
    """Return why a model has no layer outputs to compare; "" if it has some.

    With a recipe whose activations are "float" or "dynamic", layer outputs are float in simulation
    and file alike.
    """
    if quantized.activation_ranges():
        return ""
    return f"no layer output is quantised (activations: {quantized.recipe.activations})"


def compare_layers(
    deploy: keras.Model,
    quantized: QuantizedModel,
    images: Sequence[np.ndarray],
    *,
    score_threshold: float,
    file: Path | None = None,
    use_xnnpack: bool = True,
) -> LayerComparison:
    """Compare every quantised output on some images.

    A model without any is no error: the result is empty and says so in `skipped`.

    Args:
        deploy: the float graph that was quantised.
        quantized: what was made of it.
        images: uint8 (H, W, 3) of the network's size.
        score_threshold: of the exported detector.
        file: the .tflite file converted from `quantized`; None leaves its columns empty.
        use_xnnpack: False runs the file on TFLite's own kernels, whose fixed-point scaling rounds
            twice.
    """
    skipped = nothing_to_compare(quantized)
    if skipped:
        return LayerComparison(skipped=skipped)
    names = list(quantized.activation_ranges())
    probe = _probe(deploy, quantized, names)
    alone = _each_alone(deploy, wrappers(quantized.model), names)
    tensors = FileTensors(file, use_xnnpack=use_xnnpack) if file else None
    sums = _sums(deploy, quantized, score_threshold)
    for image in images:
        batch = tf.constant(normalize(image[None]))
        exact, simulated = probe(batch)
        own = alone(batch, exact)
        inside = tensors.run(image) if tensors else {}
        replayed = alone(batch, inside) if tensors else {}
        for name in names:
            again = replayed[name].numpy() if name in replayed else None
            sums[name].add(
                exact[name].numpy(),
                simulated[name].numpy(),
                own[name].numpy(),
                inside.get(name),
                again,
            )
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
    deploy: keras.Model, wrapped: dict[str, FakeQuantizing], names: Sequence[str]
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
    """Return the outputs of a quantised model's wrapped layers by the names of what they wrap."""
    return {
        call.layer.layer.name: call.output
        for call in layer_calls(model)
        if is_fake_quantized(call.layer)
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
