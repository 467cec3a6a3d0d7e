"""Single operators as files: what is timed in them is what a network has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edge_retina.benchmark.backends import BUILTIN, XNNPACK
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.operator import (
    ADD,
    CONV,
    DEPTHWISE,
    DOUBLE,
    Operator,
    operator_model,
)
from edge_retina.benchmark.operator_timing import time_operators
from edge_retina.benchmark.ssh import SshRunner
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.ops import count_delegate_partitions

OPERATORS = {
    "stem": Operator(CONV, 32, 48, 3, 16, kernel=3, stride=2),
    "pointwise": Operator(CONV, 5, 7, 24, 144),
    "depthwise": Operator(DEPTHWISE, 9, 9, 16, 16, kernel=3, stride=2),
    "add": Operator(ADD, 4, 6, 8, 8),
    "double": Operator(DOUBLE, 4, 6, 8, 8),
}


def opened(operator: Operator) -> Interpreter:
    interpreter = Interpreter(model_content=operator_model(operator), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


@pytest.mark.parametrize("name", OPERATORS)
def test_the_file_has_the_shapes_and_macs_of_the_operator(name: str, tmp_path: Path) -> None:
    operator = OPERATORS[name]
    path = tmp_path / "operator.tflite"
    path.write_bytes(operator_model(operator))
    graph = read_graph(path)
    shape = (1, operator.height, operator.width, operator.channels)
    assert {tensor.shape for tensor in graph.input_tensors} == {shape}
    assert [tensor.shape for tensor in graph.output_tensors] == [operator.output_shape]
    assert sum(item.macs for item in graph.operators) == operator.macs
    assert {tensor.dtype for tensor in graph.tensors} <= {"int8", "int32"}


# The interpreter is asked, because it derives the shape from stride and padding by itself
@pytest.mark.parametrize(
    "name, output_shape",
    [
        ("stem", (1, 16, 24, 16)),
        ("pointwise", (1, 5, 7, 144)),
        ("depthwise", (1, 5, 5, 16)),
        ("add", (1, 4, 6, 8)),
        ("double", (1, 8, 12, 8)),
    ],
)
def test_xnnpack_runs_all_of_it(name: str, output_shape: tuple[int, ...]) -> None:
    interpreter = opened(OPERATORS[name])
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    assert tuple(output["shape"]) == output_shape == OPERATORS[name].output_shape
    found = count_delegate_partitions(interpreter)
    assert (found.partitions, found.nodes_delegated) == (1, found.nodes_total)


def test_macs_by_hand() -> None:
    assert OPERATORS["stem"].macs == 16 * 24 * 16 * 9 * 3
    assert OPERATORS["depthwise"].macs == 5 * 5 * 16 * 9
    assert OPERATORS["add"].macs == OPERATORS["double"].macs == 0


def test_doubling_repeats_rows_and_columns() -> None:
    interpreter = opened(OPERATORS["double"])
    (details,) = interpreter.get_input_details()
    values = np.random.default_rng(0).integers(-128, 128, details["shape"], dtype=np.int8)
    interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    expected = values.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(interpreter.get_tensor(output["index"]), expected)


SMALL, LARGE = Operator(CONV, 4, 4, 8, 8), Operator(CONV, 64, 64, 96, 96, kernel=3)


@pytest.mark.parametrize("backend", [XNNPACK, BUILTIN])
def test_times_belong_to_their_operators(backend: str, image: Path, tmp_path: Path) -> None:
    for asked in ([SMALL, LARGE], [LARGE, SMALL]):
        times_ms = time_operators(
            asked,
            runner=LocalRunner(),
            backend=backend,
            threads=1,
            image=image,
            scratch=tmp_path,
        )
        assert list(times_ms) == asked
        assert times_ms[LARGE] > 20 * times_ms[SMALL] >= 0  # 300 million MACs against a thousand


def test_a_device_behind_ssh_times_them_too(device: SshRunner, image: Path, tmp_path: Path) -> None:
    times_ms = time_operators(
        [LARGE], runner=device, backend=XNNPACK, threads=1, image=image, scratch=tmp_path
    )
    assert times_ms[LARGE] > 0
