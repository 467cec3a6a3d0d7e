"""YOLOv8, YOLO11 and their like: one output with centre, sides and class scores of every cell.

Ultralytics exports [1,4+K,N]; some converters transpose it. Scores are after the sigmoid. Boxes are
fractions of the input in Ultralytics' own TFLite exports, since an 8-bit output couldn't hold
pixels beside scores (ultralytics pull requests 1695 and 3837), and pixels in other converters'.
Centres cover the whole input, so pixels are recognised by their size.

Settings are those of `yolo val`, so that the mAP can be compared with published ones: scores above
.001, every class of a cell counts, IoU .7 within a class, the best 30,000 pairs and 300 detections.
"""

from __future__ import annotations

import math

import numpy as np

from edge_retina.boxes.nms import select_boxes
from edge_retina.runtime.foreign_settings import LETTERBOX
from edge_retina.runtime.formats.output_format import (
    DecodeContext,
    Found,
    Match,
    ModelTensors,
    OutputFormat,
    check_scores,
)

SCORE_THRESHOLD = 0.001
_BOX_COLUMNS = 4
_FEWEST_COLUMNS = 5
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
_LARGEST_FRACTION = 2.0  # a centre can't be so far outside the picture


def cell_counts(input_hw: tuple[int, int]) -> list[int]:
    """Return how many cells networks of the usual strides have."""
    return [
        sum(math.prod(math.ceil(side / stride) for side in input_hw) for stride in strides)
        for strides in _STRIDES
    ]


def dense_layout(model: ModelTensors) -> tuple[bool, int] | None:
    """Return (columns first, number of columns) of a single output [1,C,N] or [1,N,C].

    The side that is a number of cells is N; where that says nothing, the longer one.
    """
    if len(model.outputs) != 1 or len(model.shapes[0]) != 3 or model.shapes[0][0] != 1:
        return None
    _, first, second = model.shapes[0]
    cells = cell_counts(model.input_hw)
    if second in cells:
        columns_first = True
    elif first in cells:
        columns_first = False
    else:
        columns_first = first <= second
    columns = first if columns_first else second
    return (columns_first, columns) if columns >= _FEWEST_COLUMNS else None


def to_corners(boxes: np.ndarray, input_hw: tuple[int, int]) -> np.ndarray:
    """Return boxes (N, 4) as centre x, y, width, height as yxyx in fractions of the input."""
    if len(boxes) and np.abs(boxes[:, :2]).max() > _LARGEST_FRACTION:
        height, width = input_hw
        boxes = boxes / np.array([width, height, width, height], np.float32)
    centre, half = boxes[:, 1::-1], boxes[:, 3:1:-1] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _match(model: ModelTensors) -> Match | None:
    layout = dense_layout(model)
    if layout is None:
        return None
    return Match((0,), (layout[1] - _BOX_COLUMNS,), LETTERBOX, "0..1")


def _decode(outputs: list[np.ndarray], context: DecodeContext) -> Found:
    table = outputs[0][0]
    # A square table is read as exported: columns first
    rows = table.T if table.shape[0] == _BOX_COLUMNS + context.num_labels else table
    scores = rows[:, _BOX_COLUMNS:]
    check_scores(scores)
    found = select_boxes(
        to_corners(rows[:, :_BOX_COLUMNS], context.input_hw),
        scores,
        score_threshold=SCORE_THRESHOLD,
        iou_threshold=0.7,
        max_detections=300,
        candidates=30_000,
    )
    return Found(*found)


FORMAT = OutputFormat(
    name="yolov8",
    outputs="[1,4+K,N] or [1,N,4+K]",
    match=_match,
    decode=_decode,
)
