"""A .tflite file with int8 heads by level, its manifest beside it: two levels, 2 anchors a cell."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest
from edge_retina.runtime.raw_layout import CODES, LEVELS, LOGITS, RawLayout, RawTensor
from tests.runtime.foreign_model import ForeignModel
from tests.runtime.raw_model import raw_manifest

HEIGHT, WIDTH = 2, 8
GRID = AnchorGrid(
    (HEIGHT, WIDTH), 1, (((1.0, 1.0), (2.0, 1.0)), ((2.0, 4.0), (1.0, 3.0)))
)  # 1x4 and 1x2 cells
LABELS = ("a", "b", "c")
NAME = "tiny_npu_int8.tflite"
OUTPUTS = (
    RawTensor("cls_p1", 0, (1, 1, 4, 6), "int8", 0.03125, 10, LOGITS, 1),
    RawTensor("cls_p2", 1, (1, 1, 2, 6), "int8", 0.0625, -5, LOGITS, 2),
    RawTensor("box_p1", 2, (1, 1, 4, 8), "int8", 0.015625, 0, CODES, 1),
    RawTensor("box_p2", 3, (1, 1, 2, 8), "int8", 0.125, 3, CODES, 2),
)
LAYOUT = RawLayout(
    "npu", LEVELS, RawTensor("image", 0, (1, HEIGHT, WIDTH, 3), "int8", 1 / 128, 0), OUTPUTS
)


def levels_content(
    *, order: tuple[int, ...] = (0, 1, 2, 3), input_scale: float = 1 / 128, signature: bool = True
) -> bytes:
    """Return a file each of whose outputs is the first of the image's values.

    Args:
        order: of the outputs in the file, by their places in `OUTPUTS`.
        input_scale: of the image.
        signature: give the outputs their names.
    """
    model = ForeignModel()
    image = model.tensor("image", (1, HEIGHT, WIDTH, 3), dtype=np.int8, scales=(input_scale,))
    flat = model.tensor("flat", (HEIGHT * WIDTH * 3,), dtype=np.int8, scales=(input_scale,))
    start = model.tensor("start", (1,), values=np.array([0]), dtype=np.int32)
    model.operator("RESHAPE", [image], [flat], _reshape((HEIGHT * WIDTH * 3,)), version=1)
    made = []
    for output in OUTPUTS:
        scales, size = (output.scale,), math.prod(output.shape)
        options = {"dtype": np.int8, "scales": scales, "zero_point": output.zero_point}
        count = model.tensor("count", (1,), values=np.array([size]), dtype=np.int32)
        # Of the image's scale: XNNPACK refuses a SLICE that changes it, but not a RESHAPE
        part = model.tensor(f"{output.name}_part", (size,), dtype=np.int8, scales=(input_scale,))
        made.append(model.tensor(output.name, output.shape, **options))
        model.operator("SLICE", [flat, start, count], [part], schema.SliceOptionsT(), version=2)
        model.operator("RESHAPE", [part], [made[-1]], _reshape(output.shape), version=1)
    content = model.content([image], [made[place] for place in order])
    return _signed(content, image, made) if signature else content


def _reshape(shape: tuple[int, ...]) -> Any:
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    return options


def _signed(content: bytes, image: int, outputs: list[int]) -> bytes:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs = [_entry("image", image)]
    signature.outputs = [
        _entry(output.name, index) for output, index in zip(OUTPUTS, outputs, strict=True)
    ]
    model.signatureDefs = [signature]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _entry(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


def levels_manifest(**changes: Any) -> Manifest:
    """Return the manifest of such a file."""
    fields: dict[str, Any] = {
        "input": InputSpec(HEIGHT, WIDTH, {NAME: "int8"}, 128.0, 128.0),
        "outputs": (),
        "labels": LABELS,
        "anchors": {"min_level": 1, "shapes": [list(map(list, level)) for level in GRID.shapes]},
        "layouts": {NAME: LAYOUT},
    }
    return raw_manifest(**{**fields, **changes})


def write_levels(directory: Path, content: bytes | None = None, **changes: Any) -> Path:
    """Write file and manifest; return the file's path."""
    path = directory / NAME
    path.write_bytes(levels_content() if content is None else content)
    levels_manifest(**{"files": {NAME: FileEntry.of(path)}, **changes}).save(directory)
    return path
