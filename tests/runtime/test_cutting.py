from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge_retina.errors import ModelError
from edge_retina.runtime.cutting import ModelCutter, Piece
from edge_retina.runtime.graph import parse_graph
from tests.runtime.foreign_model import ForeignModel, conv_options

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FILES = ("tiny_float32.tflite", "tiny_uint8.tflite")

Values = dict[int, np.ndarray]  # by tensor of the whole model


def run(content: bytes, inputs: list[np.ndarray], *, xnnpack: bool) -> list[np.ndarray]:
    """Return the outputs of a model, in its order."""
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    made.allocate_tensors()
    for detail, values in zip(made.get_input_details(), inputs, strict=True):
        made.set_tensor(detail["index"], values)
    made.invoke()
    return [made.get_tensor(detail["index"]).copy() for detail in made.get_output_details()]


def run_piece(piece: Piece, known: Values, *, xnnpack: bool) -> Values:
    """Return what is known after a piece has run."""
    found = run(piece.content, [known[index] for index in piece.inputs], xnnpack=xnnpack)
    return {**known, **dict(zip(piece.outputs, found, strict=True))}


def picture(cutter: ModelCutter, seed: int = 0) -> Values:
    """Return a random picture as the model's input."""
    (index,) = cutter.graph.inputs
    tensor = cutter.graph.tensors[index]
    rng = np.random.default_rng(seed)
    if tensor.dtype == "uint8":
        return {index: rng.integers(0, 256, tensor.shape).astype(np.uint8)}
    return {index: rng.uniform(-1, 1, tensor.shape).astype(np.float32)}


def check_chain(content: bytes, pieces: list[list[int]], *, xnnpack: bool) -> None:
    """Run a model whole and in pieces; their outputs must be equal to the bit."""
    cutter = ModelCutter(content)
    known = picture(cutter)
    expected = run(content, list(known.values()), xnnpack=xnnpack)
    for places in pieces:
        known = run_piece(cutter.cut(places), known, xnnpack=xnnpack)
    for index, values in zip(cutter.graph.outputs, expected, strict=True):
        np.testing.assert_array_equal(known[index], values)
    assert any(values.any() for values in expected)


def float16_model() -> bytes:
    """Return input -> CONV_2D -> CONV_2D -> output, whose kernels are stored as float16."""
    model = ForeignModel()
    rng = np.random.default_rng(0)
    image = model.tensor("image", (1, 4, 4, 2))
    last = image
    for number in range(2):
        kernel = rng.normal(size=(2, 1, 1, 2))
        stored = model.tensor(f"half{number}", (2, 1, 1, 2), values=kernel, dtype=np.float16)
        weights = model.tensor(f"weights{number}", (2, 1, 1, 2))
        model.operator("DEQUANTIZE", [stored], [weights])
        bias = model.tensor(f"bias{number}", (2,), values=np.ones(2))
        output = model.tensor(f"output{number}", (1, 4, 4, 2))
        model.operator("CONV_2D", [last, weights, bias], [output], conv_options())
        last = output
    return model.content(inputs=[image], outputs=[last])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("xnnpack", [True, False])
def test_two_halves_do_what_the_whole_does(name: str, xnnpack: bool) -> None:
    content = (GOLDEN / name).read_bytes()
    count = len(ModelCutter(content).graph.operators)
    for middle in {1, count // 3, count // 2, count - 1}:
        halves = [list(range(middle)), list(range(middle, count))]
        check_chain(content, halves, xnnpack=xnnpack)


@pytest.mark.parametrize("name", FILES)
def test_single_operators_do_what_the_whole_does(name: str) -> None:
    content = (GOLDEN / name).read_bytes()
    count = len(ModelCutter(content).graph.operators)
    check_chain(content, [[place] for place in range(count)], xnnpack=False)


@pytest.mark.tf
def test_halves_and_operators_of_an_exported_int8_file(int8_detector: SimpleNamespace) -> None:
    content = int8_detector.content
    count = len(ModelCutter(content).graph.operators)
    halves = [list(range(count // 2)), list(range(count // 2, count))]
    check_chain(content, halves, xnnpack=True)
    check_chain(content, [[place] for place in range(count)], xnnpack=False)


@pytest.mark.parametrize("name", FILES)
def test_a_piece_keeps_types_scales_constants_and_names(name: str) -> None:
    cutter = ModelCutter((GOLDEN / name).read_bytes())
    whole = cutter.graph
    for place, operator in enumerate(whole.operators):
        piece = cutter.cut([place])
        graph = parse_graph(piece.content, where="piece")
        (found,) = graph.operators
        assert (found.name, found.macs) == (operator.name, operator.macs)
        assert [graph.tensors[index] for index in found.inputs] == [
            whole.tensors[index] for index in operator.inputs
        ]
        assert graph.input_tensors == tuple(whole.tensors[index] for index in piece.inputs)
        assert graph.output_tensors == tuple(whole.tensors[index] for index in piece.outputs)


def test_a_piece_holds_nothing_but_its_own() -> None:
    content = (GOLDEN / FILES[0]).read_bytes()
    cutter = ModelCutter(content)
    graph = parse_graph(cutter.cut([0]).content, where="piece")
    operator = cutter.graph.operators[0]
    assert len(graph.tensors) == len(operator.inputs) + len(operator.outputs)
    assert len(cutter.cut([0]).content) < len(content) / 2


def test_what_computes_constants_goes_with_each_piece_that_needs_it() -> None:
    content = float16_model()
    cutter = ModelCutter(content)
    piece = cutter.cut([3])  # the second convolution: its kernel is made by operator 2
    assert piece.operators == (2, 3)
    assert [cutter.graph.tensors[index].name for index in piece.inputs] == ["output0"]
    assert [cutter.graph.tensors[index].name for index in piece.outputs] == ["output1"]
    check_chain(content, [[0, 1, 2], [3]], xnnpack=True)


def test_an_operator_of_constants_alone_shows_its_output() -> None:
    cutter = ModelCutter(float16_model())
    piece = cutter.cut([0])
    assert piece.inputs == ()
    assert [cutter.graph.tensors[index].name for index in piece.outputs] == ["weights0"]


def test_places_may_leave_the_middle_out() -> None:
    cutter = ModelCutter((GOLDEN / FILES[0]).read_bytes())
    known = picture(cutter)
    steps = [run_piece(cutter.cut([0]), known, xnnpack=False)]
    steps.append(run_piece(cutter.cut([1]), steps[-1], xnnpack=False))
    steps.append(run_piece(cutter.cut([2]), steps[-1], xnnpack=False))
    outer = cutter.cut([2, 0])
    found = run_piece(outer, steps[1], xnnpack=False)
    for index in outer.outputs:
        np.testing.assert_array_equal(found[index], steps[-1][index])


@pytest.mark.parametrize("places", [[], [-1], [10_000]])
def test_places_that_are_not_there(places: list[int]) -> None:
    with pytest.raises(ValueError, match="expected places in 0"):
        ModelCutter((GOLDEN / FILES[0]).read_bytes()).cut(places)


def test_a_file_that_is_cut_off() -> None:
    content = (GOLDEN / FILES[0]).read_bytes()
    with pytest.raises(ModelError, match=r"tiny: not a whole TFLite flatbuffer"):
        ModelCutter(content[: len(content) // 2], where="tiny")
