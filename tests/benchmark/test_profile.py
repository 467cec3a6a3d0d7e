from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_retina.benchmark import piece_timing, profile
from edge_retina.benchmark.ceilings import CONVOLUTION_MACS, Copy, convolution_model, empty_model
from edge_retina.benchmark.piece_timing import (
    Kernels,
    TimedPiece,
    sample_tensors,
    time_interleaved,
)
from edge_retina.benchmark.profile import profile_model
from edge_retina.cli.inspect_profile import profile_blocks
from edge_retina.errors import BenchmarkError, ModelError
from edge_retina.files import dump_json
from edge_retina.report.plain_text import plain_text
from edge_retina.runtime.cutting import ModelCutter, Piece
from edge_retina.runtime.graph import parse_graph
from tests.runtime.foreign_model import ForeignModel, conv_model
from tests.runtime.formats.stand_in import with_postprocess

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def conv_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of one convolution, and of a custom operator behind it if one is named."""

    def write(**options: object) -> Path:
        path = tmp_path / "conv.tflite"
        path.write_bytes(conv_model(**options))  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture
def steady_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every time that is measured be one millisecond."""
    ticks = iter(range(0, 10**15, 10**6))
    monkeypatch.setattr(piece_timing.time, "perf_counter_ns", lambda: next(ticks))


def test_macs_and_bytes_of_a_convolution(conv_file: Callable[..., Path]) -> None:
    found = profile_model(conv_file(), rounds=1)
    (op,) = found.operators
    assert (op.name, op.part, op.dtype, op.shape) == ("CONV_2D", "network", "float32", (1, 8, 8, 4))
    assert op.work.macs == 8 * 8 * 4 * 27
    assert op.work.weight_bytes == 4 * (4 * 27 + 4)
    assert op.work.activation_bytes == 4 * 8 * 8 * (3 + 4)
    assert op.delegated
    assert found.partitions == 1
    assert found.outside is None
    assert [part.name for part in found.parts] == ["network"]


def test_int8_bytes_are_a_quarter(conv_file: Callable[..., Path]) -> None:
    (op,) = profile_model(conv_file(scales=(0.1,) * 4), rounds=1).operators
    assert op.dtype == "int8"
    assert op.work.activation_bytes == 8 * 8 * (3 + 4)
    assert op.work.weight_bytes == 4 * 27 + 4 * 4  # the bias is int32


def test_rates_follow_from_work_and_time(
    conv_file: Callable[..., Path], steady_clock: None
) -> None:
    found = profile_model(conv_file(), rounds=2)
    # Every run, also an empty call, takes a millisecond here, and what a call costs is taken off
    assert found.whole.ms == 1.0
    assert found.operators[0].work.ms == 0.0
    assert found.ceilings.gmacs_per_s == {"float32": CONVOLUTION_MACS / 1e6}
    assert found.whole.gmacs_per_s == 6912 / 1e6
    assert found.ceilings.call_ms == {"xnnpack": 1.0, "builtin": 1.0}
    assert found.operators[0].roof_ms == 2240 / (2 * found.ceilings.copy_bytes)
    assert found.operators[0].limit == "memory"


def test_builtin_kernels_have_no_delegate(conv_file: Callable[..., Path]) -> None:
    found = profile_model(conv_file(), backend="builtin", rounds=1)
    assert (found.partitions, found.delegated, found.outside_share) == (0, None, None)
    assert not found.operators[0].delegated


def test_the_json_document(conv_file: Callable[..., Path]) -> None:
    found = profile_model(conv_file(), rounds=1)
    tree = json.loads(dump_json(found.to_dict()))
    assert next(iter(tree)) == "schema_version"
    assert tree["operators"][0]["work"]["gmacs_per_s"] == found.operators[0].work.gmacs_per_s
    assert tree["explained"] == found.explained > 0


def test_parts_add_up(tmp_path: Path) -> None:
    found = profile_model(GOLDEN / "tiny_uint8.tflite", rounds=1)
    assert sum(part.operators for part in found.parts) == len(found.operators)
    assert sum(part.work.macs for part in found.parts) == found.whole.macs
    assert found.whole.activation_bytes == sum(op.work.activation_bytes for op in found.operators)
    names = [op.name for op in found.operators]
    graph = parse_graph((GOLDEN / "tiny_uint8.tflite").read_bytes(), where="tiny")
    assert names == [op.name for op in graph.operators]


def test_what_is_outside_the_delegate(tmp_path: Path) -> None:
    found = profile_model(GOLDEN / "tiny_uint8.tflite", rounds=1)
    outside = [op for op in found.operators if not op.delegated]
    assert [op.name for op in outside] == ["CAST"]  # uint8 to float32
    assert found.outside is not None
    assert found.outside.activation_bytes == 32 * 32 * 3 * (1 + 4)


def test_an_operator_nobody_knows(conv_file: Callable[..., Path]) -> None:
    with pytest.raises(
        BenchmarkError, match=r"conv.tflite: LiteRT can't run the model \(.*Unheard"
    ):
        profile_model(conv_file(custom="Unheard"))


def test_a_foreign_detector_with_an_operator_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "ssd.tflite"
    anchors = np.random.default_rng(0).uniform(0.1, 0.5, (20, 4)).astype(np.float32)
    order = (0, 1, 2, 3)
    path.write_bytes(with_postprocess(anchors, num_classes=3, input_hw=(32, 32), order=order))
    found = profile_model(path, rounds=1)
    last = found.operators[-1]
    assert (last.name, last.part, last.delegated) == ("TFLite_Detection_PostProcess", "NMS", False)
    assert last.why_untimed == ""
    assert last.work.ms is not None


def test_an_input_that_takes_no_numbers(tmp_path: Path) -> None:
    model = ForeignModel()
    given = model.tensor("given", (1,))
    model.operator("ABS", [given], [model.tensor("made", (1,))])
    model._graph.tensors[given].type = schema.TensorType.STRING
    path = tmp_path / "text.tflite"
    path.write_bytes(model.content([given], [1]))
    with pytest.raises(BenchmarkError, match="input given is of type string; only inputs of num"):
        profile_model(path, rounds=1)


def test_what_can_t_be_timed_alone_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(TimedPiece):
        def __init__(self, piece: Piece, *others: object) -> None:
            if piece.operators == (0,) and b"serving_default_image" in piece.content:
                raise RuntimeError("no such kernel\nand more")
            super().__init__(piece, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(profile, "TimedPiece", Refusing)
    found = profile_model(GOLDEN / "tiny_uint8.tflite", rounds=1)
    first, *others = found.operators
    assert (first.work.ms, first.why_untimed) == (None, "no such kernel")
    assert not any(op.why_untimed for op in others)
    text = plain_text(*profile_blocks(found))
    assert "operators; 1 could not be timed alone" in text


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        profile_model(tmp_path / "none.tflite")


def test_pieces_run_on_what_the_whole_hands_them() -> None:
    content = (GOLDEN / "tiny_float32.tflite").read_bytes()
    cutter = ModelCutter(content)
    image = np.full((1, 32, 32, 3), 0.5, np.float32)
    values = sample_tensors(content, [image], threads=1, where="tiny")
    by_name = {tensor.name: values.get(i) for i, tensor in enumerate(cutter.graph.tensors)}
    scores = cutter.graph.outputs[2]
    np.testing.assert_allclose(values[scores][0, :2], [0.25, 0.5 + 0.25 * 0.5])
    assert by_name["serving_default_image:0"] is not None
    for place in range(len(cutter.graph.operators)):
        piece = cutter.cut([place])
        timed = TimedPiece(piece, values, Kernels("builtin", 1))
        (detail, *_) = timed._interpreter.get_output_details()
        found = timed._interpreter.get_tensor(detail["index"])
        np.testing.assert_array_equal(found, values[piece.outputs[0]])


def test_a_side_that_the_file_leaves_open_has_the_size_of_the_run() -> None:
    model = ForeignModel()
    given = model.tensor("given", (1, 4))
    made = model.tensor("made", (1, 4))
    model.operator("ABS", [given], [made])
    piece = ModelCutter(model.content([given], [made])).cut([0])
    timed = TimedPiece(piece, {given: np.ones((3, 4), np.float32)}, Kernels("builtin", 1))
    (detail,) = timed._interpreter.get_output_details()
    assert timed._interpreter.get_tensor(detail["index"]).shape == (3, 4)


def test_every_piece_has_its_turn_in_each_round() -> None:
    calls: list[str] = []

    def piece(name: str, times: list[float]) -> Callable[[float], float]:
        series = iter(times)

        def measure(slice_ms: float) -> float:
            calls.append(f"{name}{slice_ms:g}")
            return next(series)

        return measure

    medians = time_interleaved(
        [piece("a", [1.0, 9.0, 2.0]), piece("b", [5.0, 4.0, 6.0])], rounds=3, slices_ms=[1, 2]
    )
    assert medians == [2.0, 5.0]
    assert calls == ["a1", "b2"] * 3


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_ceiling_s_convolution(dtype: str) -> None:
    graph = parse_graph(convolution_model(dtype), where="ceiling")
    assert [op.macs for op in graph.operators] == [CONVOLUTION_MACS]
    assert {tensor.dtype for tensor in (*graph.input_tensors, *graph.output_tensors)} == {dtype}
    interpreter = Kernels("xnnpack", 1).open(convolution_model(dtype))
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_a_copy_moves_what_it_says() -> None:
    copied = Copy(1000)
    assert copied.moved_bytes == 2000
    assert copied.median_ms(0.1) > 0
    assert (copied._target == 1).all()


def test_the_empty_model_adds() -> None:
    interpreter = Kernels("builtin", 1).open(empty_model())
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, np.ones(1, np.float32))
    interpreter.invoke()
    assert interpreter.get_tensor(1)[0] == 2.0
