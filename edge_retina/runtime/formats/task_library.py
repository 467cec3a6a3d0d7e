"""Four outputs with NMS inside: the TensorFlow Object Detection API, Model Maker, Task Library.

They are those of the operator TFLite_Detection_PostProcess, in any order. Boxes and count are known
by their shapes; classes and scores have the same one, and are told apart by their names:

- the operator itself says which is which, if the outputs are its own;
- signature and metadata names such as "scores" or "category";
- TFLite_Detection_PostProcess:1 and :2 are classes and scores (TensorFlow 1);
- StatefulPartitionedCall:1 and :2, output_1 and output_2 are scores and classes (TensorFlow 2).

Without any such name the operator's own order is taken: boxes, classes, scores, count.
"""

from __future__ import annotations

import math

import numpy as np

from edge_retina.runtime.foreign_settings import STRETCH
from edge_retina.runtime.formats.output_format import (
    DecodeContext,
    Found,
    Match,
    ModelTensors,
    OutputFormat,
    check_scores,
    named,
)

_OUTPUTS = 4
_CLASS_NAMES = ("class", "categor", "postprocess:1", "partitionedcall:2", "output_2")
_SCORE_NAMES = ("score", "postprocess:2", "partitionedcall:1", "output_1")


def _match(model: ModelTensors) -> Match | None:
    shapes = model.shapes
    if len(shapes) != _OUTPUTS:
        return None
    boxes = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[2] == 4]
    counts = [i for i, shape in enumerate(shapes) if math.prod(shape) == 1 and len(shape) < 2]
    if len(boxes) != 1 or len(counts) != 1:
        return None
    pair = [i for i in range(_OUTPUTS) if i not in (boxes[0], counts[0])]
    rows = shapes[boxes[0]][1]
    if any(shapes[i] != (1, rows) for i in pair) or shapes[boxes[0]][0] != 1:
        return None
    classes, scores = pair if not _is_swapped(model, pair) else pair[::-1]
    return Match((boxes[0], classes, scores, counts[0]), (), STRETCH, "-1..1")


def _is_swapped(model: ModelTensors, pair: list[int]) -> bool:
    first, second = (model.output_names[i] for i in pair)
    is_class = (named(first, *_CLASS_NAMES), named(second, *_CLASS_NAMES))
    is_score = (named(first, *_SCORE_NAMES), named(second, *_SCORE_NAMES))
    if is_class[0] != is_class[1]:
        return is_class[1]
    return is_score[0] and not is_score[1]


def _decode(outputs: list[np.ndarray], context: DecodeContext) -> Found:
    boxes, classes, scores, count = outputs
    used = min(round(float(count.reshape(-1)[0])), boxes.shape[1])
    check_scores(scores[0, :used])
    return Found(boxes[0, :used], np.rint(classes[0, :used]).astype(np.int32), scores[0, :used])


FORMAT = OutputFormat(
    name="task_library",
    outputs="boxes [1,N,4], classes [1,N], scores [1,N], count [1]",
    match=_match,
    decode=_decode,
)
