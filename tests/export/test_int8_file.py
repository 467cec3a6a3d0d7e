"""The int8 file as it is: its operators, its scales, its outputs beside the simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.backbones.table import BACKBONES
from edge_retina.config import ModelConfig
from edge_retina.runtime.image import normalize

pytestmark = pytest.mark.tf

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def interpreter(content: bytes, *, xnnpack: bool, keep_tensors: bool = False) -> Interpreter:
    """Make an interpreter; with `keep_tensors` those between operators can be read after a run."""
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=resolver,
        experimental_preserve_all_tensors=keep_tensors,
    )
    made.allocate_tensors()
    return made


@pytest.fixture(scope="module", params=list(BACKBONES))
def int8_detector(
    request: pytest.FixtureRequest,
    int8_detector: SimpleNamespace,
    make_int8_detector: Callable[..., SimpleNamespace],
) -> SimpleNamespace:
    """A detector with each backbone; all but the default one take images that are not square."""
    if request.param == ModelConfig().backbone:
        return int8_detector
    return make_int8_detector(backbone=request.param, image_hw=(64, 96))


@pytest.fixture(scope="module")
def plain(int8_detector: SimpleNamespace) -> Interpreter:
    return interpreter(int8_detector.content, xnnpack=False, keep_tensors=True)


def ops_of(made: Interpreter) -> list[dict[str, Any]]:
    return [op for op in made._get_ops_details() if op["op_name"] != "DELEGATE"]


def tensors_of(made: Interpreter) -> dict[int, dict[str, Any]]:
    return {tensor["index"]: tensor for tensor in made.get_tensor_details()}


def test_every_convolution_is_int8_with_a_scale_for_each_channel(
    int8_detector: SimpleNamespace, plain: Interpreter
):
    tensors = tensors_of(plain)
    seen = dict.fromkeys(CONVOLUTIONS, 0)
    for op in ops_of(plain):
        if op["op_name"] not in CONVOLUTIONS:
            continue
        seen[op["op_name"]] += 1
        image, kernel, bias = (tensors[int(index)] for index in op["inputs"])
        (output,) = (tensors[int(index)] for index in op["outputs"])
        assert [t["dtype"] for t in (image, kernel, output)] == [np.int8] * 3
        assert bias["dtype"] == np.int32
        depthwise = op["op_name"] == "DEPTHWISE_CONV_2D"
        axis = 3 if depthwise else 0
        scales = kernel["quantization_parameters"]["scales"]
        assert kernel["quantization_parameters"]["quantized_dimension"] == axis
        assert len(scales) == kernel["shape"][axis] > 1
        assert len(np.unique(scales)) > 1
        assert (kernel["quantization_parameters"]["zero_points"] == 0).all()
    layers = Counter(type(layer).__name__ for layer in int8_detector.deploy.layers)
    assert seen == {
        "CONV_2D": layers["Conv2D"],
        "DEPTHWISE_CONV_2D": layers["DepthwiseConv2D"],
    }
    assert min(seen.values()) > 15


def reachable(ops: list[dict[str, Any]], start: int) -> Iterator[dict[str, Any]]:
    """Walk the operators from a tensor on, up to each DEQUANTIZE."""
    pending, done = [start], set()
    while pending:
        tensor = pending.pop()
        for op in ops:
            if tensor in op["inputs"] and op["index"] not in done:
                done.add(op["index"])
                yield op
                if op["op_name"] != "DEQUANTIZE":
                    pending.extend(int(index) for index in op["outputs"])


def test_nothing_is_float_before_the_dequantise(plain: Interpreter):
    tensors, ops = tensors_of(plain), ops_of(plain)
    (image,) = plain.get_input_details()
    assert image["dtype"] == np.uint8
    # Pixels pass through float, see export/pixel_step.py; the network begins behind that
    (first,) = (op for op in ops if image["index"] in op["inputs"])
    assert first["op_name"] == "DEQUANTIZE"
    walked = list(reachable(ops, int(first["outputs"][0])))
    for op in walked:
        kinds = {tensors[int(index)]["dtype"] for index in op["outputs"]}
        assert kinds == ({np.float32} if op["op_name"] == "DEQUANTIZE" else {np.int8}), op
    names = [op["op_name"] for op in walked]
    assert names.count("QUANTIZE") == 1  # of the image; no change of scale within
    assert names.count("DEQUANTIZE") == 6  # classes and boxes of three levels
    assert sum(name in CONVOLUTIONS for name in names) == sum(
        op["op_name"] in CONVOLUTIONS for op in ops
    )


def test_the_image_is_its_own_quantised_value(plain: Interpreter):
    scale, zero_point = plain.get_input_details()[0]["quantization"]
    assert (scale, zero_point) == (1 / 128, 128)


def test_no_resize_and_no_stray_relu(plain: Interpreter):
    ops, tensors = ops_of(plain), tensors_of(plain)
    assert "RESIZE_NEAREST_NEIGHBOR" not in {op["op_name"] for op in ops}  # not XNNPACK's
    in_int8 = {op["op_name"] for op in ops if tensors[int(op["outputs"][0])]["dtype"] == np.int8}
    assert in_int8 == {*CONVOLUTIONS, "ADD", "CONCATENATION", "QUANTIZE", "RESHAPE"}  # ReLU: fused


def delegates(made: Interpreter) -> list[dict[str, Any]]:
    return [op for op in made._get_ops_details() if op["op_name"] == "DELEGATE"]


def test_xnnpack_takes_the_network_as_one_piece(int8_detector: SimpleNamespace):
    made = interpreter(int8_detector.content, xnnpack=True)
    ops, tensors = ops_of(made), tensors_of(made)
    maker = {int(index): op for op in ops for index in op["outputs"]}

    def convolutions_behind(delegate: dict[str, Any]) -> set[int]:
        border = {int(index) for index in delegate["inputs"]}
        pending, found, seen = [int(i) for i in delegate["outputs"]], set(), set()
        while pending:
            tensor = pending.pop()
            if tensor in border or tensor in seen or tensor not in maker:
                continue
            seen.add(tensor)
            op = maker[tensor]
            if op["op_name"] in CONVOLUTIONS:
                found.add(op["index"])
            pending.extend(int(index) for index in op["inputs"])
        return found

    holding = [(d, convolutions_behind(d)) for d in delegates(made)]
    holding = [(delegate, found) for delegate, found in holding if found]
    ((network, inside),) = holding
    assert inside == {op["index"] for op in ops if op["op_name"] in CONVOLUTIONS}
    anchors = len(int8_detector.grid.boxes_px())
    shapes = {tuple(tensors[int(index)]["shape"]) for index in network["outputs"]}
    assert shapes == {(anchors, 4), (anchors, 3)}


def run(made: Interpreter, picture: np.ndarray) -> None:
    made.set_tensor(made.get_input_details()[0]["index"], picture[None])
    made.invoke()


def real_values(made: Interpreter, tensor: dict[str, Any]) -> np.ndarray:
    """Return the numbers that an int8 tensor stands for."""
    scale, zero_point = tensor["quantization"]
    return ((made.get_tensor(tensor["index"]).astype(float) - zero_point) * scale).astype("f")


def simulated_operators(quantized: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every layer with a range of its own, with the convolution that it is fused with."""
    from edge_retina.model.keras_internals import call_of, layer_calls
    from edge_retina.quantization.fake_quant_layers import is_fake_quantized

    for call in layer_calls(quantized.model):
        wrapper = call.layer
        if not is_fake_quantized(wrapper) or wrapper.output_quantizer is None:
            continue
        before = call_of(call.inputs[0]).layer
        fused = type(wrapper.layer).__name__ == "ReLU"
        yield (
            wrapper.layer.name,
            (lambda x, relu=wrapper, first=before: relu(first(x))) if fused else wrapper,
        )


def test_every_operator_computes_what_was_simulated(
    int8_detector: SimpleNamespace,
    plain: Interpreter,
    blurred_pictures: Callable[..., Any],
):
    """One operator at a time, on what the file itself feeds it.

    A whole network of random weights makes a lot of the one rounding in a thousand that differs.
    """
    (picture,) = blurred_pictures(1, 7, int8_detector.grid.image_hw)
    run(plain, picture)
    tensors = tensors_of(plain)
    ops = [op for op in ops_of(plain) if op["op_name"] in (*CONVOLUTIONS, "ADD")]
    ops = [op for op in ops if tensors[int(op["outputs"][0])]["dtype"] == np.int8]
    by_scale = {}
    for op in ops:
        scale = tensors[int(op["outputs"][0])]["quantization"][0]
        by_scale.setdefault(f"{scale:.5g}", []).append(op)
    ranges = int8_detector.quantized.activation_ranges()
    differing = []
    for name, operator in simulated_operators(int8_detector.quantized):
        low, high = ranges[name]
        (op,) = by_scale.pop(f"{np.float32(high - low) / 255:.5g}")  # no two ranges are the same
        sources = [tensors[int(i)] for i in op["inputs"]][: 2 if op["op_name"] == "ADD" else 1]
        inputs = [real_values(plain, tensor) for tensor in sources]
        expected = operator(inputs if len(inputs) > 1 else inputs[0]).numpy()
        output = tensors[int(op["outputs"][0])]
        off = np.abs(real_values(plain, output) - expected) / output["quantization"][0]
        assert off.max() < 1.01, name
        differing.append((off > 0.01).mean())
    assert not by_scale  # every operator of the file was simulated
    assert np.mean(differing) < 0.005


@pytest.mark.parametrize("xnnpack", [False, True], ids=["builtin", "xnnpack"])
def test_the_outputs_are_near_the_simulation(
    int8_detector: SimpleNamespace, blurred_pictures: Callable[..., Any], xnnpack: bool
):
    from edge_retina.boxes.codec import CODE_SCALES
    from edge_retina.model.deploy import join_levels

    anchors = len(int8_detector.grid.boxes_px())
    made = interpreter(int8_detector.content, xnnpack=xnnpack, keep_tensors=True)
    # Where decoding starts: how far logits are above the threshold's, and codes over their scales.
    joins = [int(op["outputs"][0]) for op in ops_of(made) if op["op_name"] == "CONCATENATION"]
    shapes = {tuple(tensors_of(made)[index]["shape"]): index for index in joins}
    pictures = blurred_pictures(16, 7, int8_detector.grid.image_hw)
    found = []
    for picture in pictures:
        run(made, picture)
        found.append([made.get_tensor(shapes[anchors, width]) for width in (3, 4)])
    margins, codes = (np.stack(arrays) for arrays in zip(*found, strict=True))
    threshold = np.log(0.05 / 0.95)
    logits, deltas = join_levels(int8_detector.quantized.model)(normalize(pictures))
    for array, expected in (
        (margins + threshold, np.maximum(logits, threshold)),
        (codes * CODE_SCALES, deltas.numpy()),
    ):
        assert np.abs(array - expected).mean() < 0.05 * expected.std()


def test_detections_are_those_of_the_simulation(
    int8_detector: SimpleNamespace, blurred_pictures: Callable[..., Any]
):
    from edge_retina.evaluation.agreement import compare_detections
    from edge_retina.model.deploy import join_levels
    from edge_retina.model.predictor import KerasPredictor
    from edge_retina.runtime.detections import Detections

    predictor = KerasPredictor(
        join_levels(int8_detector.quantized.model),
        anchors=int8_detector.grid,
        labels=("a", "b", "c"),
        export=int8_detector.export,
    )
    runners = [
        Interpreter(model_content=int8_detector.content, num_threads=n).get_signature_runner()
        for n in (1, 2, 3, 4, 8)
    ]
    found = total = 0
    for picture in blurred_pictures(8, 9, int8_detector.grid.image_hw):
        first, *others = (runner(image=picture[None]) for runner in runners)
        for other in others:
            for name, array in first.items():
                np.testing.assert_array_equal(other[name], array)
        count = int(first["count"][0])
        got = Detections(
            first["boxes"][0, :count],
            first["classes"][0, :count].astype(np.int32),
            first["scores"][0, :count],
        )
        expected = predictor.predict(picture)
        total += len(expected)
        found += compare_detections(expected, got, min_iou=0.9).classes
    assert total > 50
    assert found >= 0.8 * total
