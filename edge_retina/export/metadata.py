"""TFLite metadata written into a detector: with it, task libraries load the file as it is.

What MediaPipe Tasks and the Task Library check is in every value here: the output names, the order
of a box's corners, where the labels lie, the normalisation of a float input.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from edge_retina.errors import ExportError, ModelError
from edge_retina.export.metadata_buffer import pack
from edge_retina.export.raw_metadata import custom_metadata, raw_outputs
from edge_retina.runtime.image import MEAN, STD
from edge_retina.runtime.metadata import ENTRY_NAME, read_metadata
from edge_retina.runtime.model_file import LABELS_NAME, MODEL_IDENTIFIER
from edge_retina.runtime.tensor_contract import (
    CORNER_PLACES,
    DETECTIONS,
    RAW,
    is_image,
    level_outputs,
    shape_text,
)

# Of the schema: tensor groups are the newest thing used, custom metadata in a raw file
_PARSER_VERSION, _RAW_PARSER_VERSION = "1.2.0", "1.5.0"
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # zip's first day: the same model gives the same bytes


def with_metadata(
    content: bytes,
    *,
    labels: Sequence[str],
    name: str,
    description: str = "",
    version: str = "",
    author: str = "",
    license: str = "",
    raw_anchors_norm: np.ndarray | None = None,
    levels: Sequence[int] = (),
) -> bytes:
    """Return a detector's .tflite file with metadata and labels inside.

    Args:
        content: a .tflite file with the contract's outputs; metadata in it is replaced.
        labels: class names by index.
        name: of the model, for people.
        description: what it finds.
        version: of the model, as its makers count.
        author: who made it.
        license: under which it may be used.
        raw_anchors_norm: for a file without NMS: its anchors (A, 4), yxyx in fractions.
        levels: for a file with heads by level: of the pyramid, finest first.

    Raises:
        ExportError: not such a file, or a label that doesn't fit on a line of its own.
    """
    _check_labels(labels)
    if content[4:8] != MODEL_IDENTIFIER:
        raise ExportError(f"not a TFLite file (bytes 4..8 are {content[4:8]!r})")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    raw_sizes = None
    if raw_anchors_norm is not None:
        raw_sizes = {"A": len(raw_anchors_norm), "K": len(labels)}
    image_hw = _check_tensors(model, raw_sizes, levels)
    texts = {
        "name": name,
        "description": description or f"Object detector for {_count(labels)}",
        "version": version,
        "author": author,
        "license": license,
    }
    document = {
        **{field: text for field, text in texts.items() if text},
        "subgraph_metadata": [_input(image_hw) | _output(raw_anchors_norm, labels, levels)],
        "min_parser_version": _PARSER_VERSION if raw_anchors_norm is None else _RAW_PARSER_VERSION,
    }
    written = _with_labels(_with_buffer(model, pack(document)), labels)
    _read_back(written, document)
    return written


def _count(labels: Sequence[str]) -> str:
    return f"{len(labels)} class" if len(labels) == 1 else f"{len(labels)} classes"


def _input(image_hw: tuple[int, int]) -> dict[str, Any]:
    height, width = image_hw
    properties = {"color_space": "RGB", "default_size": {"width": width, "height": height}}
    image = {
        "name": "image",
        "description": "RGB picture, stretched to the input's size",
        "content": {"content_properties": {"ImageProperties": properties}},
        # One value for all channels, as MediaPipe wants it. Clients ignore it for uint8 input.
        "process_units": [{"options": {"NormalizationOptions": {"mean": [MEAN], "std": [STD]}}}],
        "stats": {"max": [(255 - MEAN) / STD], "min": [(0 - MEAN) / STD]},
    }
    return {"input_tensor_metadata": [image]}


def _output(
    raw_anchors_norm: np.ndarray | None, labels: Sequence[str], levels: Sequence[int]
) -> dict[str, Any]:
    if levels:
        return _heads(levels)
    if raw_anchors_norm is not None:
        return {
            "output_tensor_metadata": raw_outputs(labels_name=LABELS_NAME),
            "custom_metadata": custom_metadata(raw_anchors_norm, num_classes=len(labels)),
        }
    return {
        "output_tensor_metadata": _outputs(),
        "output_tensor_groups": [
            {"name": "detection_result", "tensor_names": list(DETECTIONS.metadata_names[:3])}
        ],
    }


def _heads(levels: Sequence[int]) -> dict[str, Any]:
    """Describe the heads of each level; how to decode them is in the manifest."""
    labels = {
        "name": LABELS_NAME,
        "description": "Class names by index, from 0",
        "type": "DESCRIPTIONS",
    }
    meanings = [
        f"{meaning} of each cell's anchors, stride {2**level}"
        for meaning in ("Class logits", "Box codes")
        for level in levels
    ]
    value: dict[str, Any] = {"FeatureProperties": {}}
    return {
        "output_tensor_metadata": [
            {"name": name, "description": meaning, "content": {"content_properties": value}}
            for name, meaning in zip(level_outputs(levels), meanings, strict=True)
        ],
        "associated_files": [labels],
    }


def _outputs() -> list[dict[str, Any]]:
    """Describe the four outputs in the subgraph's order."""
    corners = {
        "index": list(CORNER_PLACES),
        "type": "BOUNDARIES",
        "coordinate_type": "RATIO",
    }
    value: dict[str, Any] = {"FeatureProperties": {}}
    labels = {
        "name": LABELS_NAME,
        "description": "Class names by index, from 0",
        "type": DETECTIONS.labels_kind,
    }
    each_row = {"min": 2, "max": 2}
    more: tuple[dict[str, Any], ...] = (
        {
            "content": {
                "content_properties": {"BoundingBoxProperties": corners},
                "range": each_row,
            }
        },
        {
            "content": {"content_properties": value, "range": each_row},
            "associated_files": [labels],
        },
        {"content": {"content_properties": value, "range": each_row}},
        {"content": {"content_properties": value}},
    )
    return [
        {"name": output.metadata_name, "description": output.meaning, **described}
        for output, described in zip(DETECTIONS.outputs, more, strict=True)
    ]


def _check_labels(labels: Sequence[str]) -> None:
    if not labels:
        raise ExportError("a detector needs at least one label, got none")
    for index, label in enumerate(labels):
        # An empty line ends the list for some readers; splitlines also knows U+2028 and the like
        if label.splitlines() != [label]:
            raise ExportError(
                f"label {index} is {label!r}: must be one line of text that is not empty; "
                "rename the class"
            )


def _check_tensors(
    model: schema.ModelT, raw_sizes: dict[str, int] | None, levels: Sequence[int]
) -> tuple[int, int]:
    """Return the height and width of the input.

    Args:
        model: with the outputs of a contract.
        raw_sizes: of the outputs of a file without NMS; None for one with it.
        levels: of a file with heads by level, which has two outputs for each.
    """
    if len(model.subgraphs) != 1:
        raise ExportError(f"the model has {len(model.subgraphs)} subgraphs; clients take one only")
    graph = model.subgraphs[0]
    inputs = [_shape(graph, index) for index in graph.inputs]
    outputs = [_shape(graph, index) for index in graph.outputs]
    contract = DETECTIONS if raw_sizes is None else RAW
    sizes = contract.sizes_of(outputs)
    if levels:
        if len(outputs) != 2 * len(levels):
            raise ExportError(f"the model has {len(outputs)} outputs, expected {2 * len(levels)}")
    elif sizes is None or (raw_sizes is not None and sizes != raw_sizes):
        raise ExportError(
            f"the model's outputs are {' '.join(map(shape_text, outputs))}, expected "
            f"{contract.describe(**(raw_sizes or {}))} in this order"
        )
    if len(inputs) != 1 or not is_image(inputs[0]):
        found = " ".join(map(shape_text, inputs))
        raise ExportError(f"the model's inputs are {found}, expected one image [1,H,W,3]")
    return inputs[0][1], inputs[0][2]


def _shape(graph: schema.SubGraphT, tensor: int) -> tuple[int, ...]:
    return tuple(int(side) for side in graph.tensors[tensor].shape)


def _with_buffer(model: schema.ModelT, packed: bytes) -> bytes:
    """Return the model's flatbuffer with `packed` as its metadata."""
    entries = [entry for entry in model.metadata or () if entry.name != ENTRY_NAME.encode()]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(packed, np.uint8)
    entry.name, entry.buffer = ENTRY_NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*entries, entry]
    builder = Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _with_labels(content: bytes, labels: Sequence[str]) -> bytes:
    """Append labels.txt as a zip archive, stored: some clients map it and can't inflate.

    Its offsets count from the start of the model, as clients without a zip library expect.
    """
    stream = io.BytesIO(content)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        entry = zipfile.ZipInfo(LABELS_NAME, date_time=_ZIP_DATE)
        archive.writestr(entry, "".join(f"{label}\n" for label in labels))
    return stream.getvalue()


def _read_back(written: bytes, document: dict[str, Any]) -> None:
    try:
        found = read_metadata(written, where="the written file")
    except ModelError as error:
        raise ExportError(f"metadata can't be read back: {error}") from error
    if found != document:
        raise ExportError("metadata reads back differently; this is a bug, please report it")
