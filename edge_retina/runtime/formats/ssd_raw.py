"""An SSD without NMS inside: box codes, scores, and its anchors as a third output or in a file.

Scores are those that export_tflite_ssd_graph.py of the TensorFlow Object Detection API writes with
add_postprocessing_op=false: after the sigmoid, a background column first or none. Thresholds are
those of its SSD configs: score 1e-8, IoU .6 within a class, 100 detections.
"""

from __future__ import annotations

import numpy as np

from edge_retina.runtime.anchor_file import AnchorSet
from edge_retina.runtime.foreign_settings import STRETCH
from edge_retina.runtime.formats.box_codes import Limits, decode_codes, find_pair
from edge_retina.runtime.formats.output_format import (
    DecodeContext,
    Found,
    Match,
    ModelTensors,
    OutputFormat,
    named,
)

_LIMITS = Limits(score_threshold=1e-8, iou_threshold=0.6)
_WITH_ANCHORS = 3


def _match(model: ModelTensors) -> Match | None:
    shapes = model.shapes
    anchors = _anchor_output(model) if len(shapes) == _WITH_ANCHORS else None
    if len(shapes) == _WITH_ANCHORS and anchors is None:
        return None
    pair = find_pair(model, [i for i in range(len(shapes)) if i != anchors])
    if pair is None or (anchors is not None and shapes[anchors][-2] != shapes[pair[0]][1]):
        return None
    columns = shapes[pair[1]][2]
    order = pair if anchors is None else (*pair, anchors)
    return Match(order, (columns - 1, columns) if columns > 1 else (1,), STRETCH, "-1..1")


def _anchor_output(model: ModelTensors) -> int | None:
    """Return the place of the anchors, [A,4] or [1,A,4]; of several outputs the one named so."""
    shapes = model.shapes
    wide = [i for i, shape in enumerate(shapes) if len(shape) in (2, 3) and shape[-1] == 4]
    flat = [i for i in wide if len(shapes[i]) == 2]
    by_name = [i for i in wide if named(model.output_names[i], "anchor", "prior")]
    found = by_name or flat
    return found[0] if len(found) == 1 else None


def _decode(outputs: list[np.ndarray], context: DecodeContext) -> Found:
    coding = context.anchors or AnchorSet()
    if len(outputs) == _WITH_ANCHORS:
        rows = outputs[2].reshape(-1, 4)
    else:
        rows = np.array(coding.anchors, np.float32)
    return decode_codes(
        outputs[0][0],
        outputs[1][0],
        coding,
        rows,
        num_labels=context.num_labels,
        limits=_LIMITS,
    )


FORMAT = OutputFormat(
    name="ssd_raw",
    outputs="box codes [1,A,4], scores [1,A,K] or [1,A,K+1], anchors [A,4] or --anchors",
    match=_match,
    decode=_decode,
    needs_anchors=True,
)
