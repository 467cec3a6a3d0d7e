"""The metadata of a detector: what is written is what is read, and the model stays as it was."""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from edge_retina.config import MetadataConfig
from edge_retina.errors import ExportError, ModelError
from edge_retina.export.metadata import with_metadata
from edge_retina.export.metadata_buffer import pack
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.metadata import read_metadata, unpack
from edge_retina.runtime.model_file import read_labels

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
FLOAT = GOLDEN / "tiny_float32.tflite"


def packed_model(model: schema.ModelT) -> bytes:
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(params=["tiny_float32.tflite", "tiny_uint8.tflite"])
def plain(request: pytest.FixtureRequest) -> bytes:
    return (GOLDEN / request.param).read_bytes()


@pytest.fixture
def float_model() -> bytes:
    return FLOAT.read_bytes()


def test_every_text_and_property_is_read_back(plain: bytes) -> None:
    written = with_metadata(
        plain,
        labels=["disc", "square"],
        name="shapes",
        description="Finds shapes.",
        version="2.1",
        author="Zoë",
        license="CC0-1.0",
    )
    found = read_metadata(written, where="test")
    assert found is not None
    (graph,) = found.pop("subgraph_metadata")
    assert found == {
        "name": "shapes",
        "description": "Finds shapes.",
        "version": "2.1",
        "author": "Zoë",
        "license": "CC0-1.0",
        "min_parser_version": "1.2.0",
    }
    (image,) = graph["input_tensor_metadata"]
    assert image["content"]["content_properties"] == {
        "ImageProperties": {"color_space": "RGB", "default_size": {"width": 32, "height": 32}}
    }
    assert image["process_units"] == [
        {"options": {"NormalizationOptions": {"mean": [128.0], "std": [128.0]}}}
    ]
    assert graph["output_tensor_groups"] == [
        {"name": "detection_result", "tensor_names": ["location", "category", "score"]}
    ]


def test_outputs_are_described_in_the_order_of_the_graph(float_model: bytes) -> None:
    written = with_metadata(float_model, labels=["a", "b"], name="x")
    found = read_metadata(written, where="test")
    assert found is not None
    outputs = found["subgraph_metadata"][0]["output_tensor_metadata"]
    assert [output["name"] for output in outputs] == [
        "location",
        "category",
        "score",
        "number of detections",
    ]
    assert outputs[0]["content"] == {
        "content_properties": {
            "BoundingBoxProperties": {
                "index": [1, 0, 3, 2],
                "type": "BOUNDARIES",
                "coordinate_type": "RATIO",
            }
        },
        "range": {"min": 2, "max": 2},
    }
    assert [file["type"] for file in outputs[1]["associated_files"]] == ["TENSOR_VALUE_LABELS"]
    assert [file["name"] for file in outputs[1]["associated_files"]] == ["labels.txt"]
    assert not any("associated_files" in outputs[i] for i in (0, 2, 3))
    model = schema.Model.GetRootAs(written, 0).Subgraphs(0)
    shapes = [model.Tensors(i).ShapeAsNumpy().tolist() for i in model.OutputsAsNumpy()]
    assert shapes == [[1, 4, 4], [1, 4], [1, 4], [1]]


def test_labels_lie_inside_as_they_are(tmp_path: Path, float_model: bytes) -> None:
    labels = ("Grünfink", "traffic light", "猫", "100 %")
    path = tmp_path / "m.tflite"
    path.write_bytes(with_metadata(float_model, labels=labels, name="x"))
    assert read_labels(path) == labels
    with zipfile.ZipFile(path) as archive:
        (entry,) = archive.infolist()
        assert entry.compress_type == zipfile.ZIP_STORED
        # Clients that map the file take offsets from its very start
        data = path.read_bytes()
        assert data[entry.header_offset : entry.header_offset + 4] == b"PK\x03\x04"
        assert "".join(f"{label}\n" for label in labels).encode() in data


def test_detections_are_the_same_before_and_after(tmp_path: Path, plain: bytes) -> None:
    before, after = tmp_path / "before.tflite", tmp_path / "after.tflite"
    (tmp_path / "labels.txt").write_text("disc\nsquare\n")
    before.write_bytes(plain)
    after.write_bytes(with_metadata(plain, labels=["disc", "square"], name="x"))
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    one, other = (TFLiteDetector(path).predict(picture) for path in (before, after))
    assert len(one) == 2
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_metadata_is_replaced_and_the_bytes_are_reproducible(float_model: bytes) -> None:
    once = with_metadata(float_model, labels=["a", "b"], name="x")
    assert with_metadata(float_model, labels=["a", "b"], name="x") == once
    again = with_metadata(once, labels=["c", "d"], name="y")
    found = read_metadata(again, where="test")
    assert found is not None
    assert found["name"] == "y"
    model = schema.Model.GetRootAs(again, 0)
    names = [model.Metadata(i).Name() for i in range(model.MetadataLength())]
    assert names.count(b"TFLITE_METADATA") == 1
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        assert archive.read("labels.txt") == b"c\nd\n"


def test_empty_texts_are_left_out(float_model: bytes) -> None:
    found = read_metadata(with_metadata(float_model, labels=["a"], name="x"), where="test")
    assert found is not None
    assert found["description"] == "Object detector for 1 class"
    assert not {"version", "author", "license"} & set(found)


def test_every_text_of_the_config_is_taken(float_model: bytes) -> None:
    texts = {field.name: f"my {field.name}" for field in dataclasses.fields(MetadataConfig)}
    written = with_metadata(float_model, labels=["a"], name="x", **texts)
    found = read_metadata(written, where="test")
    assert found is not None
    assert {key: found[key] for key in texts} == texts


@pytest.mark.parametrize(
    "labels, message",
    [
        ([], "a detector needs at least one label, got none"),
        (["a", ""], "label 1 is '': must be one line of text that is not empty"),
        (["a\nb"], r"label 0 is 'a\\nb'"),
        (["a\u2028b"], "label 0 is"),  # a line end for str.splitlines, none for C++
    ],
)
def test_labels_that_a_client_would_read_otherwise(
    float_model: bytes, labels: list[str], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        with_metadata(float_model, labels=labels, name="x")


def changed(content: bytes, change: str) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    graph = model.subgraphs[0]
    if change == "order":
        graph.outputs = graph.outputs[::-1]
    elif change == "three outputs":
        graph.outputs = graph.outputs[:3]
    elif change == "two inputs":
        graph.inputs = [*graph.inputs, *graph.inputs]
    elif change == "two subgraphs":
        model.subgraphs = [graph, graph]
    return packed_model(model)


@pytest.mark.parametrize(
    "change, message",
    [
        ("order", r"outputs are \[1\] \[1,4\] \[1,4\] \[1,4,4\], expected boxes"),
        ("three outputs", "expected boxes"),
        ("two inputs", "expected one image"),
        ("two subgraphs", "has 2 subgraphs; clients take one only"),
    ],
)
def test_a_model_without_the_contract(float_model: bytes, change: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        with_metadata(changed(float_model, change), labels=["a"], name="x")


def test_what_is_no_model() -> None:
    with pytest.raises(ExportError, match="not a TFLite file"):
        with_metadata(b"PK\x03\x04 a zip archive", labels=["a"], name="x")


def test_no_metadata() -> None:
    assert read_metadata(FLOAT.read_bytes(), where="test") is None


def test_scalars_have_their_defaults_and_unknown_members_are_empty() -> None:
    document = {
        "name": "x",
        "subgraph_metadata": [
            {
                "input_process_units": [{"options": {"BertTokenizerOptions": {}}}],
                "output_tensor_metadata": [{"content": {"range": {"max": -1}}, "stats": {}}],
            }
        ],
    }
    found = unpack(pack(document), where="test")
    (graph,) = found["subgraph_metadata"]
    assert graph["input_process_units"] == [{"options": {"BertTokenizerOptions": {}}}]
    assert graph["output_tensor_metadata"] == [
        {"content": {"range": {"min": 0, "max": -1}}, "stats": {}}
    ]


def test_slots_are_those_of_the_published_schema() -> None:
    """An oracle of its own: the vtable of ModelMetadata, read by hand.

    `min_parser_version` is field 7, `name` field 0; nothing else is set.
    """
    packed = pack({"name": "n", "min_parser_version": "1.2.0"})
    (root,) = struct.unpack_from("<I", packed)
    (back,) = struct.unpack_from("<i", packed, root)
    size, _, *offsets = struct.unpack_from("<10H", packed, root - back)
    assert size == 20
    assert [index for index, offset in enumerate(offsets) if offset] == [0, 7]
    place = root + offsets[7]
    place += struct.unpack_from("<I", packed, place)[0]
    assert packed[place : place + 9] == struct.pack("<I", 5) + b"1.2.0"


def refusal(packed: bytes) -> str:
    """The message of the error that these bytes are refused with; empty if they can be read."""
    try:
        unpack(packed, where="test")
    except ModelError as error:
        return str(error)
    return ""


def test_cut_off_metadata_is_refused(float_model: bytes) -> None:
    packed = pack({"name": "x", "subgraph_metadata": [{"name": "y"}], "author": "z"})
    assert refusal(packed) == ""
    for length in range(0, 8):
        assert "is not TFLite metadata" in refusal(packed[:length])
    for length in range(8, len(packed) // 2):
        assert refusal(packed[:length]).startswith("test: TFLITE_METADATA is broken (")


def test_garbage_raises_nothing_else() -> None:
    packed = pack({"name": "x", "subgraph_metadata": [{"name": "y"}], "author": "z"})
    rng = np.random.default_rng(0)
    messages = set()
    for _ in range(500):
        broken = bytearray(packed)
        for place in rng.integers(8, len(broken), 3):
            broken[place] = rng.integers(256)
        messages.add(refusal(bytes(broken)))
    assert len(messages) > 1
    assert all(text == "" or text.startswith("test: TFLITE_METADATA ") for text in messages)
