from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from flatbuffers import Builder

from edge_retina.export.pixel_step import pass_pixels_through_float
from edge_retina.runtime.graph import parse_graph
from edge_retina.runtime.ops import delegate_partitions
from tests.runtime.foreign_model import ForeignModel

PIXELS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def pixel_model(*, scale: float = 1 / 128, dtype: type = np.uint8, target_zero: int = 0) -> bytes:
    """Return a model of one QUANTIZE, from pixels to int8 of the same scale."""
    model = ForeignModel()
    image = model.tensor("image", PIXELS.shape, dtype=dtype, scales=(scale,), zero_point=128)
    values = model.tensor(
        "values", PIXELS.shape, dtype=np.int8, scales=(scale,), zero_point=target_zero
    )
    model.operator("QUANTIZE", [image], [values], version=2)
    return model.content([image], [values])


def changed(content: bytes) -> tuple[bytes, int]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    count = pass_pixels_through_float(model)
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output()), count


def opened(content: bytes, *, xnnpack: bool) -> Interpreter:
    resolver = OpResolverType.AUTO if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    made.allocate_tensors()
    return made


def run(content: bytes, *, xnnpack: bool) -> np.ndarray:
    made = opened(content, xnnpack=xnnpack)
    made.set_tensor(made.get_input_details()[0]["index"], PIXELS)
    made.invoke()
    return made.get_tensor(made.get_output_details()[0]["index"])


@pytest.mark.parametrize("xnnpack", [True, False])
@pytest.mark.parametrize("scale", [1 / 128, 1 / 255, 0.0174, 3.1e-5])
@pytest.mark.parametrize("target_zero", [0, -3])
def test_all_pixel_values_are_the_same(xnnpack: bool, scale: float, target_zero: int) -> None:
    content = pixel_model(scale=scale, target_zero=target_zero)
    expected = np.clip(PIXELS.astype(int) - 128 + target_zero, -128, 127)
    np.testing.assert_array_equal(run(content, xnnpack=xnnpack), expected)
    faster, count = changed(content)
    assert count == 1
    np.testing.assert_array_equal(run(faster, xnnpack=xnnpack), expected)


def test_xnnpack_takes_both_steps_and_took_none_before() -> None:
    content = pixel_model()
    assert delegate_partitions(opened(content, xnnpack=True)) == ()
    faster, _ = changed(content)
    assert delegate_partitions(opened(faster, xnnpack=True)) == ({0, 1},)


def test_inputs_and_outputs_stay_as_they_are() -> None:
    content = pixel_model()
    before = parse_graph(content, where="before")
    after = parse_graph(changed(content)[0], where="after")
    assert (after.input_tensors, after.output_tensors) == (
        before.input_tensors,
        before.output_tensors,
    )
    assert [op.name for op in after.operators] == ["DEQUANTIZE", "QUANTIZE"]


def test_other_quantise_operators_stay() -> None:
    model = ForeignModel()
    image = model.tensor("image", (1, 4))
    values = model.tensor("values", (1, 4), dtype=np.uint8, scales=(0.5,))
    last = model.tensor("last", (1, 4), dtype=np.int8, scales=(0.5,))
    model.operator("QUANTIZE", [image], [values])
    model.operator("QUANTIZE", [values], [last], version=2)  # uint8 to int8, but of no input
    content, count = changed(model.content([image], [last]))
    assert count == 0
    assert [op.name for op in parse_graph(content, where="model").operators] == ["QUANTIZE"] * 2


def with_signature(content: bytes) -> bytes:
    """Give a model's output the names of a file without NMS, as the converter would."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    signature = schema.SignatureDefT()
    signature.inputs, signature.outputs = [], []
    for name in ("boxes", "scores"):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, int(model.subgraphs[0].outputs[0])
        signature.outputs.append(entry)
    model.signatureDefs = [signature]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.mark.tf
@pytest.mark.parametrize(
    "integer_pixels, names", [(False, ["DEQUANTIZE", "QUANTIZE"]), (True, ["QUANTIZE"])]
)
def test_an_export_can_stay_in_integers(integer_pixels: bool, names: list[str]) -> None:
    from edge_retina.export.convert import finish

    content = finish(with_signature(pixel_model()), integer_pixels=integer_pixels)
    assert [op.name for op in parse_graph(content, where="file").operators] == names
