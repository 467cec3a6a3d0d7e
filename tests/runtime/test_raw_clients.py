"""What MediaPipe needs of a file without NMS, left out one at a time; the others' verdicts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_retina.export.metadata import with_metadata
from edge_retina.files import dump_json
from edge_retina.runtime.clients import ClientVerdict, judge_clients
from edge_retina.runtime.graph import Graph, read_graph
from edge_retina.runtime.inspection import inspect_model
from edge_retina.runtime.metadata import read_metadata
from tests.runtime.raw_model import GRID, LABELS, raw_content, write_raw

Metadata = dict[str, Any]


@pytest.fixture(scope="module")
def content() -> bytes:
    anchors = GRID.boxes_norm()
    return with_metadata(raw_content(), labels=LABELS, name="x", raw_anchors_norm=anchors)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    return write_raw(tmp_path, content)


@pytest.fixture
def metadata(content: bytes) -> Metadata:
    found = read_metadata(content, where="test")
    assert found is not None
    return copy.deepcopy(found)


def verdicts(graph: Graph, metadata: Metadata | None, content: bytes) -> dict[str, ClientVerdict]:
    return {item.client.split()[0]: item for item in judge_clients(graph, metadata, content)}


def test_who_takes_it(path: Path, metadata: Metadata, content: bytes) -> None:
    found = verdicts(read_graph(path), metadata, content)
    assert {name for name, item in found.items() if not item.accepts} == {"Task"}
    assert "classes [1,N], scores [1,N], count [1] are needed" in found["Task"].reasons[0]
    (note,) = found["MediaPipe"].reasons
    assert note.startswith("runs its own NMS: across classes, IoU above 0.3")
    assert found["LiteRT"].reasons == ()


def rename(metadata: Metadata) -> None:
    outputs(metadata)[0]["name"] = "boxes"


def forget_content(metadata: Metadata) -> None:
    del outputs(metadata)[0]["content"]


def value_labels(metadata: Metadata) -> None:
    outputs(metadata)[1]["associated_files"][0]["type"] = "TENSOR_VALUE_LABELS"


def forget_anchors(metadata: Metadata) -> None:
    del metadata["subgraph_metadata"][0]["custom_metadata"]


def break_anchors(metadata: Metadata) -> None:
    metadata["subgraph_metadata"][0]["custom_metadata"][0]["data"] = b"garbage!"


def forget_normalisation(metadata: Metadata) -> None:
    del metadata["subgraph_metadata"][0]["input_tensor_metadata"][0]["process_units"]


def one_output(metadata: Metadata) -> None:
    del outputs(metadata)[1]


def outputs(metadata: Metadata) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = metadata["subgraph_metadata"][0]["output_tensor_metadata"]
    return found


@pytest.mark.parametrize(
    "change, reason",
    [
        (rename, "outputs are named boxes, score; needed: location, score"),
        (one_output, "outputs are named location; needed: location, score"),
        (forget_content, "boxes are not described as BOUNDARIES"),
        (value_labels, "no associated file of type TENSOR_AXIS_LABELS at the scores"),
        (forget_anchors, "no DETECTOR_METADATA with the anchors"),
        (break_anchors, "metadata: DETECTOR_METADATA is not TFLite metadata"),
        (forget_normalisation, "float32 input without normalisation"),
    ],
)
def test_what_the_metadata_lacks(
    path: Path,
    metadata: Metadata,
    content: bytes,
    change: Callable[[Metadata], None],
    reason: str,
) -> None:
    change(metadata)
    found = verdicts(read_graph(path), metadata, content)["MediaPipe"]
    assert not found.accepts
    assert [text for text in found.reasons if text.startswith(reason)]


def test_no_metadata(path: Path, content: bytes) -> None:
    found = verdicts(read_graph(path), None, content)["MediaPipe"]
    assert found.reasons == ("no metadata; export the model with 'edge-retina export'",)


def test_anchors_of_another_model(tmp_path: Path, metadata: Metadata, content: bytes) -> None:
    other = read_graph(write_raw(tmp_path, raw_content(num_anchors=6, num_scored=6)))
    found = verdicts(other, metadata, content)["MediaPipe"]
    assert found.reasons == ("12 anchors in the metadata, outputs of 6",)


def test_inspection_is_json_without_the_anchors(path: Path) -> None:
    found = inspect_model(path)
    assert found.metadata is not None
    (entry,) = found.metadata["subgraph_metadata"][0]["custom_metadata"]
    assert entry["name"] == "DETECTOR_METADATA"
    assert entry["data"].endswith(" bytes")
    assert '"DETECTOR_METADATA"' in dump_json(found.to_dict())
