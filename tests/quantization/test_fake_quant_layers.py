"""Both engines, tfmot's wrapper and our own layers: same numbers, same gradients, same file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_retina.errors import ConfigError
from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf

ENGINES = ("tfmot", "own")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def by_engine(healthy: SimpleNamespace) -> dict[str, Any]:
    """The network of `healthy`, calibrated, by engine."""
    from edge_retina.quantization.wrapping import build_quantized_model

    made = {}
    for engine in ENGINES:
        quantized = build_quantized_model(healthy.deploy, engine=engine)
        quantized.set_weights(healthy.weights)
        quantized.set_activation_ranges(healthy.ranges)
        quantized.round_biases()
        made[engine] = quantized
    return made


def test_each_engine_wraps_by_its_own_layers(by_engine: dict[str, Any]) -> None:
    """Otherwise the other tests would compare something with itself."""
    import tensorflow_model_optimization as tfmot

    from edge_retina.quantization.fake_quant_layers import FakeQuantized, wrappers

    theirs, ours = (wrappers(by_engine[engine].model) for engine in ENGINES)
    wrapper = tfmot.quantization.keras.QuantizeWrapperV2
    assert theirs
    assert list(theirs) == list(ours)
    assert all(isinstance(layer, wrapper) for layer in theirs.values())
    assert all(type(layer) is FakeQuantized for layer in ours.values())


def test_the_file_is_the_same_byte_for_byte(
    by_engine: dict[str, Any], to_file: Callable[..., Any]
) -> None:
    theirs, ours = (to_file(by_engine[engine]).read_bytes() for engine in ENGINES)
    assert theirs == ours


def test_outputs_and_gradients_are_the_same(
    by_engine: dict[str, Any], blurred_pictures: Callable[..., Any]
) -> None:
    """In training, where ranges move and kernels get new bounds; and afterwards."""
    from edge_retina.model.keras import tf

    images = tf.constant(normalize(blurred_pictures(4, 3)))

    def step(quantized: Any) -> tuple[list[Any], dict[str, Any], list[Any]]:
        before = quantized.weights(), quantized.activation_ranges()
        variables = quantized.variables()
        quantized.range_rate.assign(0.3)
        with tf.GradientTape() as tape:
            outputs = quantized.model(images, training=True)
            loss = tf.add_n([tf.reduce_sum(tf.square(output)) for output in outputs])
        gradients = tape.gradient(loss, list(variables.values()))
        assert quantized.activation_ranges() != before[1]
        after = quantized.model(images, training=False)
        quantized.range_rate.assign(0.0)
        quantized.set_weights(before[0])
        quantized.set_activation_ranges(before[1])
        return outputs, dict(zip(variables, gradients, strict=True)), after

    (theirs, their_gradients, their_after), (ours, gradients, after) = (
        step(by_engine[engine]) for engine in ENGINES
    )
    for a, b in zip([*ours, *after], [*theirs, *their_after], strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(gradients) == set(their_gradients)
    assert any(np.abs(gradient).max() > 0 for gradient in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, their_gradients[name], rtol=1e-5, atol=1e-6)


def test_both_compute_with_the_same_operators(by_engine: dict[str, Any]) -> None:
    """In training too, so that neither takes longer."""
    from collections import Counter

    from edge_retina.model.keras import tf

    def operators(quantized: Any) -> Counter[str]:
        call = tf.function(lambda images: quantized.model(images, training=True))
        graph = call.get_concrete_function(tf.TensorSpec((2, 64, 64, 3), tf.float32)).graph
        return Counter(operation.type for operation in graph.get_operations())

    theirs, ours = (operators(by_engine[engine]) for engine in ENGINES)
    assert theirs == ours
    assert ours["FakeQuantWithMinMaxVarsPerChannel"] > 5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrapped_layer_keeps_its_float_kernel(by_engine: dict[str, Any], engine: str) -> None:
    """Also if the layer fails: the fake kernel is there for one call only."""
    from edge_retina.model.keras import tf
    from edge_retina.quantization.fake_quant_layers import wrappers

    wrapper = wrappers(by_engine[engine].model)["block_1_depthwise"]
    kernel = wrapper.layer.depthwise_kernel
    assert isinstance(kernel, tf.Variable)
    with pytest.raises(tf.errors.InvalidArgumentError, match="block_1_depthwise"):
        wrapper(tf.zeros((1, 8, 8, 3)))
    assert wrapper.layer.depthwise_kernel is kernel
    assert any(kernel is weight for weight in wrapper.trainable_weights)


def test_without_tfmot_the_remedies_are_named(
    healthy: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.quantization.wrapping import build_quantized_model

    monkeypatch.delitem(sys.modules, "edge_retina.quantization.tfmot_layers", raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow_model_optimization", None)
    with pytest.raises(ConfigError) as caught:
        build_quantized_model(healthy.deploy)
    line = str(caught.value)
    assert 'quantize.engine = "tfmot" needs tensorflow-model-optimization' in line
    assert 'pip install "edge-retina[train]"' in line
    assert 'set quantize.engine = "own"' in line
    assert build_quantized_model(healthy.deploy, engine="own").engine == "own"


def test_an_unknown_engine_is_refused(healthy: SimpleNamespace) -> None:
    from edge_retina.quantization.wrapping import build_quantized_model

    with pytest.raises(ConfigError, match=r"quantize\.engine: .*'tfmo'; did you mean 'tfmot'\?"):
        build_quantized_model(healthy.deploy, engine="tfmo")


def test_only_the_engine_tfmot_loads_tfmot() -> None:
    code = (
        "import sys\n"
        "from edge_retina.quantization import quantize\n"
        "from edge_retina.quantization.engines import wrap_of\n"
        "wrap_of('own')\n"
        "assert 'tensorflow_model_optimization' not in sys.modules\n"
        "wrap_of('tfmot')\n"
        "assert 'tensorflow_model_optimization' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
