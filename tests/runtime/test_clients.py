"""Each thing that task libraries check, left out one at a time."""

from __future__ import annotations

import copy
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_retina.export.metadata import with_metadata
from edge_retina.runtime.clients import ClientVerdict, judge_clients
from edge_retina.runtime.graph import Graph, OperatorInfo, read_graph
from edge_retina.runtime.metadata import read_metadata

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"
Metadata = dict[str, Any]


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read_graph(GOLDEN)


@pytest.fixture(scope="module")
def content() -> bytes:
    return with_metadata(GOLDEN.read_bytes(), labels=["disc", "square"], name="tiny")


@pytest.fixture
def metadata(content: bytes) -> Metadata:
    found = read_metadata(content, where="test")
    assert found is not None
    return copy.deepcopy(found)


def verdicts(graph: Graph, metadata: Metadata | None, content: bytes) -> dict[str, ClientVerdict]:
    return {item.client.split()[0]: item for item in judge_clients(graph, metadata, content)}


def test_an_exported_detector_is_taken_by_all(
    graph: Graph, metadata: Metadata, content: bytes
) -> None:
    found = verdicts(graph, metadata, content)
    assert all(item.accepts and item.reasons == () for item in found.values())


def rename(metadata: Metadata) -> None:
    outputs(metadata)[0]["name"] = "boxes"


def forget_index(metadata: Metadata) -> None:
    del outputs(metadata)[0]["content"]["content_properties"]["BoundingBoxProperties"]["index"]


def forget_content(metadata: Metadata) -> None:
    del outputs(metadata)[0]["content"]


def forget_labels(metadata: Metadata) -> None:
    del outputs(metadata)[1]["associated_files"]


def axis_labels(metadata: Metadata) -> None:
    outputs(metadata)[1]["associated_files"][0]["type"] = "TENSOR_AXIS_LABELS"


def other_labels(metadata: Metadata) -> None:
    outputs(metadata)[1]["associated_files"][0]["name"] = "classes.txt"


def forget_group(metadata: Metadata) -> None:
    del metadata["subgraph_metadata"][0]["output_tensor_groups"]


def forget_normalisation(metadata: Metadata) -> None:
    del metadata["subgraph_metadata"][0]["input_tensor_metadata"][0]["process_units"]


def three_outputs(metadata: Metadata) -> None:
    del outputs(metadata)[3]


def outputs(metadata: Metadata) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    return found


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            rename,
            "outputs are named boxes, category, score, number of detections; needed: location",
        ),
        (forget_index, "x and y would be swapped"),
        (forget_content, "x and y would be swapped"),
        (forget_labels, "no associated file of type TENSOR_VALUE_LABELS"),
        (axis_labels, "no associated file of type TENSOR_VALUE_LABELS"),
        (other_labels, "classes.txt is not inside the file"),
        (forget_group, "no tensor group"),
        (forget_normalisation, "float32 input without normalisation"),
        (three_outputs, "metadata of 3 outputs; 4 are needed"),
    ],
)
def test_what_the_metadata_lacks(
    graph: Graph,
    metadata: Metadata,
    content: bytes,
    change: Callable[[Metadata], None],
    reason: str,
) -> None:
    change(metadata)
    found = verdicts(graph, metadata, content)
    for client in ("MediaPipe", "Task"):
        assert not found[client].accepts
        assert any(reason in text for text in found[client].reasons)
    assert found["LiteRT.js"].accepts  # reads tensors, not metadata


def test_mediapipe_wants_one_normalisation_for_all_channels(
    graph: Graph, metadata: Metadata, content: bytes
) -> None:
    unit = metadata["subgraph_metadata"][0]["input_tensor_metadata"][0]["process_units"][0]
    unit["options"]["NormalizationOptions"]["mean"] = [123.0, 116.0, 103.0]
    found = verdicts(graph, metadata, content)
    assert not found["MediaPipe"].accepts
    assert found["Task"].accepts


def test_compressed_labels(graph: Graph, metadata: Metadata) -> None:
    stream = io.BytesIO(GOLDEN.read_bytes())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "disc\nsquare\n")
    found = verdicts(graph, metadata, stream.getvalue())
    assert found["MediaPipe"].reasons == ("labels.txt is compressed; it must be stored",)


def test_no_labels_in_the_file(graph: Graph, metadata: Metadata) -> None:
    found = verdicts(graph, metadata, GOLDEN.read_bytes())
    assert found["MediaPipe"].reasons == ("labels.txt is not inside the file",)


def test_a_broken_archive(graph: Graph, metadata: Metadata, content: bytes) -> None:
    found = verdicts(graph, metadata, content.replace(b"PK\x01\x02", b"PK\x00\x00"))
    assert found["MediaPipe"].reasons == (
        "the archive at the end of the file is broken (Bad magic number for central directory)",
    )


def with_tensor(graph: Graph, index: int, **changes: Any) -> Graph:
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(graph, tensors=tuple(tensors))


def test_int8_input(graph: Graph, metadata: Metadata, content: bytes) -> None:
    changed = with_tensor(graph, graph.inputs[0], dtype="int8")
    assert verdicts(changed, metadata, content)["MediaPipe"].reasons == (
        "input is int8; uint8 or float32 is needed",
    )


def test_uint8_input_needs_no_normalisation(
    graph: Graph, metadata: Metadata, content: bytes
) -> None:
    changed = with_tensor(graph, graph.inputs[0], dtype="uint8")
    forget_normalisation(metadata)
    assert verdicts(changed, metadata, content)["MediaPipe"].accepts


def test_quantised_outputs(graph: Graph, metadata: Metadata, content: bytes) -> None:
    changed = with_tensor(graph, graph.outputs[1], dtype="int32")
    assert verdicts(changed, metadata, content)["Task"].reasons == (
        "outputs of int32; float32 is needed",
    )


def test_a_scalar_count(graph: Graph, metadata: Metadata, content: bytes) -> None:
    changed = with_tensor(graph, graph.outputs[3], shape=())
    found = verdicts(changed, metadata, content)
    assert found["LiteRT"].reasons == ("output PartitionedCall:2 is a scalar; give it shape [1]",)
    assert "count [1] are needed" in found["MediaPipe"].reasons[0]


def test_more_subgraphs(graph: Graph, metadata: Metadata, content: bytes) -> None:
    changed = replace(graph, subgraphs=3)
    assert verdicts(changed, metadata, content)["MediaPipe"].reasons == (
        "3 subgraphs; one is needed",
    )


def test_operators_that_a_runtime_lacks(graph: Graph, metadata: Metadata, content: bytes) -> None:
    known = OperatorInfo("TFLite_Detection_PostProcess", True, (), (), 0)
    found = verdicts(replace(graph, operators=(known,)), metadata, content)
    assert all(item.accepts for item in found.values())
    top = OperatorInfo("TOPK_V2", False, (), (), 0)
    found = verdicts(replace(graph, operators=(top,)), metadata, content)
    assert found["TensorFlow"].reasons == ("has no TOPK_V2",)
    assert found["MediaPipe"].accepts
