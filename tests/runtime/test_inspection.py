from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.files import dump_json
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.inspection import OperatorCount, inspect_model
from tests.runtime.foreign_model import ForeignModel, conv_model

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CHANNELS = (0.1, 0.2, 0.3, 0.4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.tflite"


def test_a_foreign_float_model(path: Path) -> None:
    path.write_bytes(conv_model())
    found = inspect_model(path)
    # 8 x 8 places, 4 channels out, each of 3 x 3 x 3 products
    assert found.operators == (OperatorCount("CONV_2D", 1, 6912, 1.0, False),)
    assert found.macs == 8 * 8 * 4 * 27
    assert [tensor.name for tensor in found.inputs] == ["picture"]
    assert [tensor.shape for tensor in found.outputs] == [(1, 8, 8, 4)]
    assert found.metadata is None
    assert found.signatures == ()
    assert found.quantization.operators == {"float": 1}
    assert found.quantization.kernels["CONV_2D"] == {"per_channel": 0, "per_tensor": 0, "float": 1}
    assert found.xnnpack is not None
    assert (found.xnnpack.nodes_delegated, found.xnnpack.nodes_total) == (1, 1)
    assert all(item.whole for item in found.delegates if item.name in ("GPU", "NNAPI"))
    assert not any(
        item.operators for item in found.delegates if item.name in ("Edge TPU", "Hexagon")
    )


@pytest.mark.parametrize(
    "scales, per_channel",
    [(CHANNELS, 1), ((0.1,) * 4, 0), ((0.1,), 0)],  # equal scales are one scale in disguise
)
def test_an_int8_model(path: Path, scales: tuple[float, ...], per_channel: int) -> None:
    path.write_bytes(conv_model(scales=scales))
    found = inspect_model(path)
    assert found.quantization.operators == {"int8": 1}
    assert found.quantization.int8_macs_share == 1.0
    assert found.quantization.kernels["CONV_2D"] == {
        "per_channel": per_channel,
        "per_tensor": 1 - per_channel,
        "float": 0,
    }
    assert all(item.whole for item in found.delegates)
    assert found.inputs[0].scales == (0.5,)


def test_a_custom_operator_nobody_knows(path: Path) -> None:
    path.write_bytes(conv_model(custom="MyOp"))
    found = inspect_model(path)
    assert OperatorCount("MyOp", 1, 0, 0.0, True) in found.operators
    assert found.xnnpack is None
    assert "MyOp" in found.xnnpack_error
    verdict = found.clients[0]
    assert not verdict.accepts
    assert verdict.reasons == ("custom operator MyOp: the app must register it",)
    gpu = found.delegates[0]
    assert (gpu.operators, gpu.operators_total, gpu.left, gpu.whole) == (1, 2, ("MyOp",), False)


def test_operators_after_the_first_gap_are_lost_to_the_edge_tpu(path: Path) -> None:
    model = ForeignModel()
    tensors = [model.tensor(f"t{i}", (1, 4), dtype=np.int8, scales=(0.5,)) for i in range(4)]
    for name, source in (("RELU", 0), ("GELU", 1), ("RELU", 2)):
        model.operator(name, [tensors[source]], [tensors[source + 1]])
    path.write_bytes(model.content([tensors[0]], [tensors[3]]))
    by_name = {item.name: item for item in inspect_model(path).delegates}
    assert by_name["Edge TPU"].operators == 1
    assert by_name["Hexagon"].operators == 2


@pytest.mark.parametrize(
    "name, inputs, output, macs",
    [
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 4)], (1, 4, 4, 4), 4 * 4 * 4 * 9),
        ("FULLY_CONNECTED", [(2, 10), (5, 10)], (2, 5), 100),
        ("TRANSPOSE_CONV", [(4,), (4, 2, 2, 3), (1, 5, 5, 3)], (1, 10, 10, 4), 5 * 5 * 3 * 16),
        ("BATCH_MATMUL", [(2, 3, 7), (2, 7, 5)], (2, 3, 5), 2 * 3 * 7 * 5),
        ("ADD", [(1, 8), (1, 8)], (1, 8), 0),
    ],
)
def test_multiplications(
    path: Path, name: str, inputs: list[tuple[int, ...]], output: tuple[int, ...], macs: int
) -> None:
    model = ForeignModel()
    places = [model.tensor(f"in{i}", shape) for i, shape in enumerate(inputs)]
    out = model.tensor("out", output)
    model.operator(name, places, [out])
    path.write_bytes(model.content(places, [out]))
    assert [op.macs for op in read_graph(path).operators] == [macs]


@pytest.mark.parametrize("name", ["tiny_float32.tflite", "tiny_uint8.tflite"])
def test_our_own_without_metadata(name: str) -> None:
    found = inspect_model(GOLDEN / name)
    assert found.signatures == ("serving_default",)
    accepts = {verdict.client: verdict.accepts for verdict in found.clients}
    assert accepts == {
        "LiteRT Interpreter, tf.lite, tflite-runtime": True,
        "LiteRT CompiledModel": True,
        "LiteRT.js": True,
        "MediaPipe Tasks ObjectDetector": False,
        "Task Library ObjectDetector": False,
        "TensorFlow Lite Micro": True,
    }
    document = json.loads(dump_json(found.to_dict()))
    assert document["schema_version"] == 1
    assert document["outputs"][0]["shape"] == [1, 4, 4]


def test_every_cut_is_refused_in_one_line(path: Path) -> None:
    whole = conv_model()
    for length in range(0, len(whole) - 8, 16):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError) as caught:
            inspect_model(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_garbage_in_the_middle_raises_nothing_else(path: Path) -> None:
    whole = conv_model()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        broken = bytearray(whole)
        for place in rng.integers(8, len(broken), 4):
            broken[place] = rng.integers(256)
        path.write_bytes(bytes(broken))
        try:
            read_graph(path)
        except ModelError:
            refused += 1
    assert refused > 0


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        inspect_model(tmp_path / "none.tflite")
    with pytest.raises(ModelError, match="Is a directory"):
        inspect_model(tmp_path)
