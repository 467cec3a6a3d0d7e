"""Two raw outputs whose anchors are in the file's metadata: MediaPipe Model Maker, `--no-nms`.

Thresholds are those with which Model Maker evaluates its RetinaNet: score .05, IoU .5 within a
class, 100 detections. MediaPipe's own client suppresses across classes at IoU .3 instead.
"""

from __future__ import annotations

import numpy as np

from edge_retina.runtime.foreign_settings import STRETCH
from edge_retina.runtime.formats.box_codes import Limits, decode_codes, find_pair
from edge_retina.runtime.formats.output_format import (
    DecodeContext,
    Found,
    Match,
    ModelTensors,
    OutputFormat,
)

_LIMITS = Limits(score_threshold=0.05, iou_threshold=0.5)


def _match(model: ModelTensors) -> Match | None:
    pair = find_pair(model, list(range(len(model.outputs))))
    if pair is None:
        return None
    return Match(pair, (model.shapes[pair[1]][2],), STRETCH, "-1..1")


def _decode(outputs: list[np.ndarray], context: DecodeContext) -> Found:
    assert context.anchors is not None  # `needs_anchors` was checked when the file was opened
    return decode_codes(
        outputs[0][0],
        outputs[1][0],
        context.anchors,
        np.array(context.anchors.anchors, np.float32),
        num_labels=context.num_labels,
        limits=_LIMITS,
    )


FORMAT = OutputFormat(
    name="mediapipe",
    outputs="box codes [1,A,4], scores [1,A,K], anchors in the metadata",
    match=_match,
    decode=_decode,
    needs_anchors=True,
    automatic=lambda model: model.anchors_inside,
)
