"""Detectors that need no NMS: YOLO26 and YOLOv10, RT-DETR, DETR.

- One output [1,N,6]: x1, y1, x2, y2, score, class (YOLO26, YOLOv10), letterboxed.
- One output [1,N,4+K] of N queries: centre, sides, scores after the sigmoid (Ultralytics' RT-DETR).
- Two outputs, logits [1,N,K] and boxes [1,N,4]. With one column more than there are classes the
  last one is "no object" and scores are a softmax (DETR), else a sigmoid (RT-DETR).

Boxes are fractions of the input, or pixels, which are recognised by their size.
"""

from __future__ import annotations

import numpy as np

from edge_retina.errors import ModelError
from edge_retina.runtime.foreign_settings import LETTERBOX, STRETCH
from edge_retina.runtime.formats.output_format import (
    DecodeContext,
    Found,
    Match,
    ModelTensors,
    OutputFormat,
    check_scores,
    named,
)
from edge_retina.runtime.formats.yolov8 import (
    SCORE_THRESHOLD,
    cell_counts,
    dense_layout,
    to_corners,
)

_ROW = 6
_FEWEST_QUERIES, _MOST_QUERIES = 10, 1000
_BOX_COLUMNS = 4
_COARSE = 0.02  # a step of scores that leaves nothing to rank
_LARGEST_FRACTION = 2.0
_LOGIT_NAMES = ("logit", "pred_")


def _match(model: ModelTensors) -> Match | None:
    shapes = model.shapes
    if not shapes or any(len(shape) != 3 or shape[0] != 1 for shape in shapes):
        return None
    if len(shapes) == 1 and shapes[0][2] == _ROW:
        _refuse_coarse_scores(model)
        return Match((0,), (), LETTERBOX, "0..1")
    are_queries = _FEWEST_QUERIES <= shapes[0][1] <= _MOST_QUERIES
    if len(shapes) == 1 and shapes[0][2] > _ROW and are_queries:
        return Match((0,), (shapes[0][2] - _BOX_COLUMNS,), STRETCH, "0..1")
    if len(shapes) == 2 and shapes[0][1] == shapes[1][1] and are_queries:
        return _match_logits(model)
    return None


def _refuse_coarse_scores(model: ModelTensors) -> None:
    """An 8-bit output that holds class numbers has no step fine enough for scores."""
    output = model.outputs[0]
    if output.is_quantized and output.scale > _COARSE and _is_known(model):
        raise ModelError(
            f"its output {output} has steps of {output.scale:.3g}, too coarse for scores: class "
            "numbers and scores share one 8-bit tensor; export it with a float32 output"
        )


def _match_logits(model: ModelTensors) -> Match | None:
    wide = [i for i, shape in enumerate(model.shapes) if shape[2] == _BOX_COLUMNS]
    if not wide:
        return None
    boxes = next((i for i in wide if named(model.output_names[i], "box")), wide[-1])
    columns = model.shapes[1 - boxes][2]
    # RT-DETR takes 0..1, DETR ImageNet's rule; the numbers of classes and columns tell
    with_sigmoid = model.num_labels == columns
    counts = (columns - 1, columns, columns - 2)
    return Match((1 - boxes, boxes), counts, STRETCH, "0..1" if with_sigmoid else "imagenet")


def _is_known(model: ModelTensors) -> bool:
    """Whether this form is the likelier one, where others fit too."""
    if len(model.outputs) == 2:
        return any(named(names, *_LOGIT_NAMES) for names in model.output_names)
    layout = dense_layout(model)
    cells = cell_counts(model.input_hw)
    return layout is None or not ({model.shapes[0][1], model.shapes[0][2]} & set(cells))


def _decode(outputs: list[np.ndarray], context: DecodeContext) -> Found:
    if len(outputs) == 2:
        return _decode_logits(outputs[0][0], outputs[1][0], context)
    rows = outputs[0][0]
    if rows.shape[1] != _ROW:
        check_scores(rows[:, _BOX_COLUMNS:])
        return _best_pairs(rows[:, _BOX_COLUMNS:], rows[:, :_BOX_COLUMNS], context)
    check_scores(rows[:, 4])
    rows = rows[rows[:, 4] > SCORE_THRESHOLD]
    boxes = rows[:, (1, 0, 3, 2)]
    if len(rows) and np.abs(boxes).max() > _LARGEST_FRACTION:
        boxes = boxes / np.array(context.input_hw * 2, np.float32)
    return Found(boxes, np.rint(rows[:, 5]).astype(np.int32), rows[:, 4])


def _decode_logits(logits: np.ndarray, boxes: np.ndarray, context: DecodeContext) -> Found:
    if logits.shape[1] == context.num_labels:
        return _best_pairs(1 / (1 + np.exp(-np.clip(logits, -80, 80))), boxes, context)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    # Without "no object", the last column; and without a class 0 that has no name
    last = logits.shape[1] - 1
    scores = (powers / powers.sum(axis=1, keepdims=True))[:, last - context.num_labels : last]
    classes = scores.argmax(axis=1)
    corners = to_corners(boxes, context.input_hw)
    return Found(corners, classes.astype(np.int32), scores.max(axis=1))


def _best_pairs(scores: np.ndarray, boxes: np.ndarray, context: DecodeContext) -> Found:
    """Take as many (query, class) pairs as there are queries, the best ones.

    Source: RTDETRPostProcessor, with num_top_queries.
    """
    best = np.argsort(-scores.reshape(-1), kind="stable")[: len(scores)]
    query, label = np.divmod(best, scores.shape[1])
    corners = to_corners(boxes, context.input_hw)[query]
    return Found(corners, label.astype(np.int32), scores[query, label])


FORMAT = OutputFormat(
    name="end_to_end",
    outputs="[1,N,6], [1,N,4+K] of at most 1000 queries, or logits [1,N,K] and boxes [1,N,4]",
    match=_match,
    decode=_decode,
    automatic=_is_known,
)
