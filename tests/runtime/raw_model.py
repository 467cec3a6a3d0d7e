"""A .tflite file without NMS, its manifest beside it: 12 anchors, 4 classes, 2 x 8 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest, OutputSpec
from tests.runtime.foreign_model import ForeignModel

HEIGHT, WIDTH = 2, 8
GRID = AnchorGrid((HEIGHT, WIDTH), 1, (((1.0, 1.0), (2.0, 1.0), (1.0, 2.0)),))
LABELS = ("a", "b", "c", "d")
NAME = "tiny_raw_float32.tflite"


def raw_content(*, num_anchors: int = 12, num_scored: int = 12, num_classes: int = 4) -> bytes:
    """Return a file whose boxes and scores are both the pixels, in another shape."""
    model = ForeignModel()
    picture = model.tensor("picture", (1, HEIGHT, WIDTH, 3))
    shapes = {"boxes": (1, num_anchors, 4), "scores": (1, num_scored, num_classes)}
    outputs = [model.tensor(name, shape) for name, shape in shapes.items()]
    for output, shape in zip(outputs, shapes.values(), strict=True):
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        model.operator("RESHAPE", [picture], [output], options, version=1)
    return model.content([picture], outputs)


def raw_manifest(**changes: Any) -> Manifest:
    """Return the manifest of such a file."""
    fields: dict[str, Any] = {
        "edge_retina_version": "0.1.0",
        "input": InputSpec(HEIGHT, WIDTH, {NAME: "float32"}, 128.0, 128.0),
        "outputs": (OutputSpec("boxes", 0, (1, 12, 4)), OutputSpec("scores", 1, (1, 12, 4))),
        "labels": LABELS,
        "anchors": {"min_level": 1, "shapes": [[[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]]]},
        "thresholds": {
            "score_threshold": 0.05,
            "nms_iou": 0.5,
            "max_detections": 10,
            "candidates": 100,
            "class_agnostic": False,
        },
        "quantization": {"method": "none"},
        "metrics": {},
        "files": {NAME: FileEntry(1, "ab")},
        "config": {},
    }
    return Manifest(**{**fields, **changes})


def write_raw(directory: Path, content: bytes | None = None, **changes: Any) -> Path:
    """Write file and manifest; return the file's path."""
    path = directory / NAME
    path.write_bytes(raw_content() if content is None else content)
    raw_manifest(**{"files": {NAME: FileEntry.of(path)}, **changes}).save(directory)
    return path
