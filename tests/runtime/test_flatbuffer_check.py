"""What is wrong in a file is told by name, before LiteRT sees it."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_retina.errors import ModelError
from edge_retina.runtime.flatbuffer_check import MOST_TENSOR_BYTES, check_flatbuffer
from tests.runtime.foreign_model import ForeignModel, conv_model

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def edited(change: Callable[[Any], object], content: bytes | None = None) -> bytes:
    """A model of one convolution (or another file) after a change of its tree."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content or conv_model()))
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def put(path: str, value: object) -> Callable[[Any], object]:
    """A change that sets what `path` names, such as `subgraphs.0.inputs`."""

    def change(model: Any) -> None:
        *places, last = path.split(".")
        for place in places:
            model = model[int(place)] if place.isdigit() else getattr(model, place)
        if last.isdigit():
            model[int(last)] = value
        else:
            setattr(model, last, value)

    return change


def refusal(content: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        check_flatbuffer(content, where="a.tflite")
    text = str(caught.value)
    assert text.startswith("a.tflite: cut off or damaged: ")
    assert text.endswith("; copy it again, or export it again")
    return text


@pytest.mark.parametrize("name", ["tiny_float32.tflite", "tiny_uint8.tflite"])
def test_whole_files_pass(name: str) -> None:
    check_flatbuffer((GOLDEN / name).read_bytes(), where=name)


@pytest.mark.parametrize("scales", [(), (0.5,), (0.1, 0.2, 0.3, 0.4)])
def test_files_that_others_write_pass(scales: tuple[float, ...]) -> None:
    check_flatbuffer(conv_model(scales=scales), where="a")
    check_flatbuffer(conv_model(scales=scales, custom="Theirs"), where="a")


def test_no_cut_passes() -> None:
    content = (GOLDEN / "tiny_float32.tflite").read_bytes()
    for length in range(len(content)):
        with pytest.raises(ModelError):
            check_flatbuffer(content[:length], where="a")


# Tensors of `conv_model`: 0 picture 8x8x3, 1 kernel 4x3x3x3, 2 bias, 3 found 8x8x4
@pytest.mark.parametrize(
    "path, value, expected",
    [
        ("subgraphs.0.inputs", [4], "an input is tensor 4, but there are 4"),
        ("subgraphs.0.outputs", [-1], "an output is tensor -1"),
        ("subgraphs.0.operators.0.inputs", [0, 9], "operator 0 (CONV_2D) reads tensor 9"),
        ("subgraphs.0.operators.0.outputs", [7], "operator 0 (CONV_2D) makes tensor 7"),
        ("subgraphs.0.operators.0.opcodeIndex", 1, "operator 0 names code 1, but there are 1"),
        ("subgraphs.0.operators.0.builtinOptions.strideH", 0, "has a stride of 0"),
        ("subgraphs.0.operators.0.builtinOptions.dilationWFactor", -3, "a dilation of -3"),
        ("subgraphs.0.operators.0.builtinOptions", None, "(CONV_2D) has no Conv2DOptions"),
        ("subgraphs.0.tensors.1.buffer", 99, "tensor 1 'kernel' names buffer 99"),
        ("subgraphs.0.tensors.1.shape", [4, 3, 3, 2], "takes 288 bytes, but 432 are stored"),
        ("subgraphs.0.tensors.1.type", 9, "[4, 3, 3, 3] of int8 takes 108 bytes, but 432"),
        ("subgraphs.0.tensors.0.type", 77, "tensor 0 'picture' is of the unknown type 77"),
        ("subgraphs.0.tensors.0.shape", [1, -8, 8, 3], "has a negative side: [1, -8, 8, 3]"),
        ("subgraphs.0.tensors.0.shape", [1, 60_000, 60_000, 3], "takes 43200000000 bytes, more"),
        ("subgraphs", [], "it has no subgraph"),
    ],
)
def test_what_does_not_fit_is_named(path: str, value: object, expected: str) -> None:
    assert expected in refusal(edited(put(path, value)))


def test_scales_must_fit() -> None:
    content = conv_model(scales=(0.1, 0.2, 0.3, 0.4))
    quantization = "subgraphs.0.tensors.1.quantization"
    text = refusal(edited(put(f"{quantization}.zeroPoint", [0, 0, 0]), content))
    assert "tensor 1 'kernel' has 4 scales and 3 zero points" in text
    text = refusal(edited(put(f"{quantization}.quantizedDimension", 4), content))
    assert "tensor 1 'kernel' has scales along axis 4, but there are 4" in text


def test_signatures_and_metadata_must_name_what_is_there() -> None:
    content = (GOLDEN / "tiny_float32.tflite").read_bytes()
    text = refusal(edited(put("signatureDefs.0.inputs.0.tensorIndex", 500), content))
    assert "a signature names tensor 500" in text
    assert "a signature names subgraph 2" in refusal(
        edited(put("signatureDefs.0.subgraphIndex", 2), content)
    )
    assert "a metadata entry names buffer 900" in refusal(
        edited(put("metadata.0.buffer", 900), content)
    )


def test_a_name_that_is_not_text() -> None:
    content = conv_model().replace(b"picture", b"pict\xffre")
    assert "is not UTF-8" in refusal(content)


def test_memory_is_added_up_over_what_is_held_at_once() -> None:
    """Three tensors of 2/5 of the limit pass one after the other, but not all at once."""
    side = MOST_TENSOR_BYTES * 2 // 5 // 4

    def chain(skip: bool) -> bytes:
        model = ForeignModel()
        names = [model.tensor(name, (1, side)) for name in ("a", "b", "c", "d")]
        for before, after in itertools.pairwise(names):
            model.operator("RELU", [before], [after], version=1)
        if skip:  # the first is still needed at the end
            model.operator("ADD", [names[0], names[3]], [names[2]], version=1)
        return model.content([names[0]], [names[3]])

    check_flatbuffer(chain(skip=False), where="a")
    assert "it needs 1228 MiB for tensors at operator 1, more than 1024" in refusal(chain(True))


@pytest.mark.parametrize(
    "values, fits",
    [
        (struct.pack("<4i", 2, 16, 17, 19) + b"abc", True),
        (struct.pack("<4i", 2**30, 16, 17, 19) + b"abc", False),
        (struct.pack("<4i", 2, 17, 16, 19) + b"abc", False),
        (struct.pack("<4i", 2, 16, 17, 99) + b"abc", False),
    ],
)
def test_strings_lie_inside_their_tensor(values: bytes, fits: bool) -> None:
    def change(model: Any) -> None:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = "words", [2], schema.TensorType.STRING
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values, np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1
        model.subgraphs[0].tensors.append(tensor)

    content = edited(change)
    if fits:
        check_flatbuffer(content, where="a")
    else:
        assert "tensor 4 'words'" in refusal(content)


def test_shared_tables_are_not_read_for_ever() -> None:
    """Twenty thousand tensors that are all the same one, whose shape has a thousand sides."""
    count, sides = 20_000, 1000
    model = ForeignModel()
    picture = model.tensor("picture", (1,) * sides)
    content = bytearray(model.content([picture], [picture]))
    graph = schema.Model.GetRootAs(content).Subgraphs(0)
    # Offsets only lead forward: the vector of tensors, then a copy of the table and its shape
    start = len(content)
    table = start + 4 + 4 * count
    shape = table + 8
    content += struct.pack("<I", count)
    content += b"".join(struct.pack("<I", table - start - 4 - 4 * n) for n in range(count))
    content += (
        struct.pack("<iI", 4 - sides * 4 - 16, 4) + struct.pack("<I", sides) + bytes(sides * 4)
    )
    vtable = table - (4 - sides * 4 - 16)
    content += bytes(vtable - len(content)) + struct.pack("<HHH", 6, 8, 4)
    at = graph._tab.Pos + graph._tab.Offset(4)
    struct.pack_into("<I", content, at, start - at)
    assert shape + 4 + 4 * sides <= len(content)
    assert "its tables share more than any model's do" in refusal(bytes(content))
