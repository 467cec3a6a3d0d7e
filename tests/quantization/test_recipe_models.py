"""What a recipe makes of the network, in the simulation and in the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_retina.errors import ConfigError
from edge_retina.evaluation.agreement import Agreement, compare_detections
from edge_retina.int8.recipe import LayerRule, Recipe, load_recipe
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.graph import OperatorInfo, TensorInfo, read_graph
from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
TAIL = re.compile(r"box_p\d_out_(dw|pw)")


def recipe_of(name: str) -> Recipe:
    return load_recipe(name)


@pytest.fixture(scope="module")
def float_tail(healthy: SimpleNamespace, calibrate: Callable[..., None]) -> Any:
    from edge_retina.quantization.wrapping import build_quantized_model

    quantized = build_quantized_model(healthy.deploy, recipe_of("float_box_tail"))
    calibrate(quantized, healthy.deploy)
    return quantized


@pytest.fixture(scope="module")
def mixed(healthy: SimpleNamespace) -> Any:
    """Depthwise kernels per tensor, and ReLUs in float: by their own name, by their convolution's.

    And a convolution with a rounded kernel and a float output.
    """
    from edge_retina.quantization.wrapping import build_quantized_model

    rules = (
        LayerRule("*_dw", weights="per-tensor"),
        LayerRule("p3_smooth_pw", activations="float"),
        LayerRule("cls_p3_conv0_relu", activations="float"),
        LayerRule("p5_lateral", activations="float"),
    )
    quantized = build_quantized_model(healthy.deploy, Recipe(layers=rules))
    quantized.set_activation_ranges(healthy.ranges)
    return quantized


def convolutions(path: Path) -> list[tuple[OperatorInfo, TensorInfo, list[str]]]:
    """Return the convolutions with their output and the types of image, kernel, bias, output."""
    graph = read_graph(path)
    found = []
    for operator in graph.operators:
        if operator.name in CONVOLUTIONS:
            tensors = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs)]
            found.append((operator, tensors[-1], [tensor.dtype for tensor in tensors]))
    return found


def agreement(path: Path, healthy: SimpleNamespace, pictures: np.ndarray) -> Agreement:
    """Compare what a file finds with what the float model finds."""
    from edge_retina.config import ExportConfig
    from edge_retina.model.predictor import KerasPredictor

    export = ExportConfig(max_detections=50, candidates=200)
    predictor = KerasPredictor(
        healthy.float_model, anchors=healthy.grid, labels=("a", "b", "c"), export=export
    )
    runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner()
    dtype = runner.get_input_details()["image"]["dtype"]
    total = Agreement()
    for picture in pictures:
        image = picture[None] if dtype == np.uint8 else normalize(picture[None])
        found = runner(image=image)
        count = int(found["count"][0])
        got = Detections(
            found["boxes"][0, :count],
            found["classes"][0, :count].astype(np.int32),
            found["scores"][0, :count],
        )
        total += compare_detections(predictor.predict(picture), got, min_iou=0.9)
    assert total.objects > 100
    return total


def test_weights_of_layers_in_float_are_copied_too(
    healthy: SimpleNamespace, float_tail: Any, mixed: Any
) -> None:
    for quantized in (float_tail, mixed):
        variables = quantized.variables()
        for layer in healthy.deploy.layers:
            for part, value in zip(("kernel", "bias"), layer.get_weights(), strict=False):
                found = variables[f"{layer.name}/{part}"].numpy()
                step = np.abs(value).max() / 10  # of a bias on its grid
                atol = step if part == "bias" and quantized is float_tail else 0
                np.testing.assert_allclose(found, value, atol=atol, err_msg=layer.name)


def test_a_float_tail_is_the_only_thing_in_float(healthy: SimpleNamespace, float_tail: Any) -> None:
    tail = {name for name in healthy.ranges if TAIL.fullmatch(name)}
    assert len(tail) == 6
    assert set(float_tail.activation_ranges()) == set(healthy.ranges) - tail
    kernels = {name.split("/")[0] for name in healthy.weights}
    assert set(float_tail.kernel_errors()) == kernels - tail


def test_a_float_tail_computes_as_in_float_on_the_same_input(
    healthy: SimpleNamespace, float_tail: Any
) -> None:
    layers = {layer.name: layer for layer in float_tail.model.layers}
    values = np.random.default_rng(0).uniform(0, 6, (1, 4, 4, 16)).astype(np.float32)
    for name in ("box_p3_out_dw", "box_p3_out_pw"):
        expected = healthy.deploy.get_layer(name)(values)
        np.testing.assert_array_equal(layers[name](values), expected)


def test_a_float_tail_is_float_in_the_file(
    healthy: SimpleNamespace,
    float_tail: Any,
    to_file: Callable[..., Path],
    blurred_pictures: Callable[[int, int], Any],
) -> None:
    path = to_file(float_tail)
    found = convolutions(path)
    in_float = [TAIL.search(output.name) for _, output, types in found if types == ["float32"] * 4]
    assert sorted(match.group() for match in in_float if match) == sorted(
        f"box_p{level}_out_{part}" for level in (3, 4, 5) for part in ("dw", "pw")
    )
    assert all(in_float)
    rest = [types for _, output, types in found if not TAIL.search(output.name)]
    assert len(rest) == len(found) - 6 > 70
    assert all(types == ["int8", "int8", "int32", "int8"] for types in rest)
    total = agreement(path, healthy, blurred_pictures(8, 9))
    assert total.classes > 0.8 * total.objects


@pytest.mark.parametrize(
    "name, shared",
    [("p3_smooth_dw", True), ("cls_p4_conv0_dw", True), ("block_3_depthwise", False)],
)
def test_one_scale_for_all_channels_of_a_kernel(
    healthy: SimpleNamespace, mixed: Any, name: str, shared: bool
) -> None:
    from edge_retina.quantization.fake_quant_layers import wrappers

    kernel = healthy.weights[f"{name}/kernel"]
    largest = np.abs(kernel).max(axis=(0, 1, 3))
    assert len(np.unique(largest)) > 1
    bound = np.full_like(largest, largest.max()) if shared else largest
    variables = wrappers(mixed.model)[name].kernel_variables
    np.testing.assert_allclose(variables["bound"], bound, rtol=1e-6)
    whole = (kernel + mixed.kernel_errors()[name]) / (bound[:, None] / 127)
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)


def test_a_rule_for_a_convolution_is_one_for_its_relu(healthy: SimpleNamespace, mixed: Any) -> None:
    gone = {"p3_smooth_relu", "cls_p3_conv0_relu", "p5_lateral"}
    assert set(mixed.activation_ranges()) == set(healthy.ranges) - gone
    assert {"p3_smooth_pw", "cls_p3_conv0_pw", "p5_lateral"} <= set(mixed.kernel_errors())


def test_biases_behind_float_are_not_rounded(healthy: SimpleNamespace, mixed: Any) -> None:
    """What goes into these layers has no steps that a bias could be a multiple of."""
    rng = np.random.default_rng(0)
    before = {
        name: rng.uniform(-1, 1, value.shape).astype(np.float32) if "bias" in name else value
        for name, value in healthy.weights.items()
    }
    mixed.set_weights(before)
    mixed.round_biases()
    after = mixed.weights()
    mixed.set_weights(healthy.weights)
    same = {name for name in before if np.array_equal(before[name], after[name])}
    kernels = {name for name in before if name.endswith("/kernel")}
    behind_float = ("cls_p3_conv0_dw", "box_p3_conv0_dw", "cls_p3_out_dw", "p5_smooth_dw")
    assert same - kernels == {f"{name}/bias" for name in behind_float}
    assert kernels <= same


def test_a_pattern_without_a_layer_is_refused(healthy: SimpleNamespace) -> None:
    from edge_retina.quantization.wrapping import build_quantized_model

    recipe = Recipe(layers=(LayerRule("box_p9_*", weights="float"),))
    with pytest.raises(ConfigError, match=r"matches none of the \d+ layers; the nearest"):
        build_quantized_model(healthy.deploy, recipe)


def test_reshapes_can_not_be_named(healthy: SimpleNamespace) -> None:
    from edge_retina.quantization.fusion import computing_layers

    names = computing_layers(healthy.deploy)
    assert {"Conv1", "Conv1_relu", "p4_merge", "block_2_add", "cls_p3_conv0_dw"} <= set(names)
    assert not [name for name in names if "reshape" in name or "_up_" in name]


def test_int16_activations_are_nearly_float(
    healthy: SimpleNamespace,
    calibrate: Callable[..., None],
    to_file: Callable[..., Path],
    blurred_pictures: Callable[[int, int], Any],
) -> None:
    from edge_retina.quantization.state import deploy_graph
    from edge_retina.quantization.wrapping import build_quantized_model

    recipe = recipe_of("int16x8")
    deploy = deploy_graph(healthy.float_model, recipe, relu="relu6")
    quantized = build_quantized_model(deploy, recipe)
    calibrate(quantized, deploy)
    pictures = blurred_pictures(8, 9)
    path = to_file(quantized)

    types = [types for _, _, types in convolutions(path)]
    assert all(found == ["int16", "int8", "int64", "int16"] for found in types)
    graph = read_graph(path)
    assert [tensor.dtype for tensor in graph.input_tensors] == ["uint8"]
    steps = {tensor.zero_points for tensor in graph.tensors if tensor.dtype == "int16"}
    assert steps == {(0,)}  # symmetric, as TFLite's kernels demand
    total = agreement(path, healthy, pictures)
    assert total.classes > 0.85 * total.objects


def test_dynamic_range_needs_no_ranges(
    healthy: SimpleNamespace,
    to_file: Callable[..., Path],
    blurred_pictures: Callable[[int, int], Any],
) -> None:
    from edge_retina.quantization.wrapping import build_quantized_model

    quantized = build_quantized_model(healthy.deploy, recipe_of("dynamic_range"))
    assert quantized.activation_ranges() == {}
    assert quantized.kernel_errors() == {}
    assert_nothing_to_compare(healthy, quantized, "dynamic")
    images = normalize(blurred_pictures(2, 9))
    expected, found = healthy.deploy(images), quantized.model(images)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4 * np.abs(a).max())

    path = to_file(quantized, uint8_input=False)
    graph = read_graph(path)
    assert [tensor.dtype for tensor in graph.input_tensors] == ["float32"]
    found = convolutions(path)
    int8 = [types for _, _, types in found if types == ["float32", "int8", "float32", "float32"]]
    in_float = [types for _, _, types in found if types == ["float32"] * 4]
    assert len(int8) + len(in_float) == len(found)
    assert len(int8) > 30  # the converter leaves kernels of under 1024 weights
    total = agreement(path, healthy, blurred_pictures(8, 9))
    assert total.classes > 0.9 * total.objects


def assert_nothing_to_compare(healthy: SimpleNamespace, quantized: Any, activations: str) -> None:
    from edge_retina.quantization.microscope import LayerComparison, compare_layers

    images = np.zeros((1, 64, 64, 3), np.uint8)
    seen = compare_layers(healthy.deploy, quantized, images, score_threshold=0.05)
    reason = f"no layer output is quantised (activations: {activations})"
    assert seen == LayerComparison(skipped=reason)


def test_float_activations_leave_nothing_to_compare(healthy: SimpleNamespace) -> None:
    """The kernels are quantised, but no output has a range."""
    from edge_retina.quantization.wrapping import build_quantized_model

    quantized = build_quantized_model(healthy.deploy, Recipe(activations="float"))
    assert "p3_lateral" in quantized.kernel_errors()
    assert_nothing_to_compare(healthy, quantized, "float")
