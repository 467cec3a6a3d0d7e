"""The anchors in the metadata of a file without NMS, as MediaPipe's raw mode reads them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.codec import CODE_SCALES
from edge_retina.errors import ExportError, ModelError
from edge_retina.export.metadata import with_metadata
from edge_retina.export.metadata_buffer import pack
from edge_retina.export.raw_metadata import build_detector_options as make_options
from edge_retina.runtime.metadata import read_detector_options, read_metadata, unpack
from edge_retina.runtime.metadata_schema import DETECTOR_ROOT
from edge_retina.runtime.model_file import read_labels
from tests.runtime.raw_model import GRID, LABELS, raw_content

ANCHORS = GRID.boxes_norm()


@pytest.fixture(scope="module")
def written() -> bytes:
    return with_metadata(raw_content(), labels=LABELS, name="x", raw_anchors_norm=ANCHORS)


def test_anchors_are_read_back(written: bytes) -> None:
    metadata = read_metadata(written, where="test")
    assert metadata is not None
    options = read_detector_options(metadata, where="test")
    assert options is not None
    rows = options["ssd_anchors_options"]["fixed_anchors_schema"]["anchors"]
    found = np.array(
        [[row[k] for k in ("y_center", "x_center", "height", "width")] for row in rows]
    )
    half = found[:, 2:] / 2
    corners = np.concatenate([found[:, :2] - half, found[:, :2] + half], axis=1)
    np.testing.assert_allclose(corners, ANCHORS, atol=1e-7)
    assert found[1].tolist() == [0.5, 0.125, 1.0, 0.125]  # 2 px of 2 high, 1 px of 8 wide


def test_decoding_options_are_those_of_the_codes(written: bytes) -> None:
    metadata = read_metadata(written, where="test")
    assert metadata is not None
    options = read_detector_options(metadata, where="test")
    assert options is not None
    decoding = options["tensors_decoding_options"]
    scales = [decoding[f"{side}_scale"] for side in "yxhw"]
    assert tuple(scales) == CODE_SCALES
    assert (decoding["num_boxes"], decoding["num_classes"], decoding["num_coords"]) == (12, 4, 4)
    assert (decoding["num_keypoints"], decoding["num_values_per_keypoint"]) == (0, 2)
    assert decoding["apply_exponential_on_box_size"] is True
    assert decoding["sigmoid_score"] is False


def test_outputs_are_described(written: bytes, tmp_path: Path) -> None:
    metadata = read_metadata(written, where="test")
    assert metadata is not None
    assert metadata["min_parser_version"] == "1.5.0"
    (graph,) = metadata["subgraph_metadata"]
    boxes, scores = graph["output_tensor_metadata"]
    assert (boxes["name"], scores["name"]) == ("location", "score")
    box = boxes["content"]["content_properties"]["BoundingBoxProperties"]
    assert (box["type"], box["coordinate_type"]) == ("BOUNDARIES", "RATIO")
    (labels,) = scores["associated_files"]
    assert (labels["name"], labels["type"]) == ("labels.txt", "TENSOR_AXIS_LABELS")
    assert "output_tensor_groups" not in graph
    path = tmp_path / "x.tflite"
    path.write_bytes(written)
    assert read_labels(path) == LABELS


def test_the_options_lie_where_a_c_program_may_read_them() -> None:
    """force_align: 16 of CustomMetadata.data, counted from the start of the metadata."""
    options = pack(make_options(ANCHORS, num_classes=4), root=DETECTOR_ROOT)
    for length in range(4):
        document = {
            "name": "n" * length,
            "subgraph_metadata": [{"custom_metadata": [{"name": "m", "data": options}]}],
        }
        packed = pack(document)
        assert packed.index(options) % 16 == 0
        assert unpack(packed, where="test") == document


def test_slots_are_those_of_the_published_schema() -> None:
    """An oracle of its own: vtables read by hand. custom_metadata is field 9 of 10."""
    packed = pack({"subgraph_metadata": [{"name": "n", "custom_metadata": []}]})
    (root,) = struct.unpack_from("<I", packed)
    (back,) = struct.unpack_from("<i", packed, root)
    place = root + struct.unpack_from("<H", packed, root - back + 4 + 2 * 3)[0]
    place += struct.unpack_from("<I", packed, place)[0]  # the vector of subgraphs
    table = place + 4 + struct.unpack_from("<I", packed, place + 4)[0]
    (back,) = struct.unpack_from("<i", packed, table)
    size, _, *offsets = struct.unpack_from("<12H", packed, table - back)
    assert size == 2 * (2 + 10)
    assert [index for index, offset in enumerate(offsets) if offset] == [0, 9]


@pytest.mark.parametrize(
    "anchors, labels, message",
    [
        (ANCHORS[:6], LABELS, r"expected boxes \[1,6,4\], scores \[1,6,4\] in this order"),
        (ANCHORS, LABELS[:3], r"expected boxes \[1,12,4\], scores \[1,12,3\]"),
    ],
)
def test_anchors_or_labels_of_another_model(
    anchors: np.ndarray, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        with_metadata(raw_content(), labels=labels, name="x", raw_anchors_norm=anchors)


def test_a_detector_with_nms_has_no_such_options() -> None:
    assert read_detector_options({"subgraph_metadata": [{"name": "n"}]}, where="test") is None
    assert read_detector_options({}, where="test") is None


def test_other_custom_metadata_are_left_alone() -> None:
    other = {"name": "SEGMENTER_METADATA", "data": b"\x01\x02\x03"}
    document = {"subgraph_metadata": [{"custom_metadata": [other]}]}
    found = unpack(pack(document), where="test")
    assert found == document
    assert read_detector_options(found, where="test") is None


def test_broken_options_are_refused() -> None:
    options = pack(make_options(ANCHORS, num_classes=4), root=DETECTOR_ROOT)
    for data, message in (
        (b"", "is not TFLite metadata"),
        (options[: len(options) // 3], "is broken"),
    ):
        entry = {"name": "DETECTOR_METADATA", "data": data}
        with pytest.raises(ModelError, match=f"test: DETECTOR_METADATA {message}"):
            read_detector_options(
                {"subgraph_metadata": [{"custom_metadata": [entry]}]}, where="test"
            )
