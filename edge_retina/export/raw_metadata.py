"""Metadata of a file without NMS: MediaPipe Tasks decodes with the anchors in it.

Source: mediapipe/tasks/cc/components/processors/detection_postprocessing_graph.cc. The client takes
the codes as (y, x, h, w), the best class of each anchor, and then runs its own NMS.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_retina.boxes.codec import CODE_SCALES
from edge_retina.export.metadata_buffer import pack
from edge_retina.runtime.metadata_schema import DETECTOR_ENTRY, DETECTOR_ROOT
from edge_retina.runtime.tensor_contract import RAW

_OPTIONS_VERSION = "1.0.0"  # of the schema of the detector's options
_BOX_NUMBERS = 4


def raw_outputs(*, labels_name: str) -> list[dict[str, Any]]:
    """Describe boxes and scores, in the subgraph's order, as `runtime.metadata` reads it."""
    boxes, scores = (
        {"name": output.metadata_name, "description": output.meaning} for output in RAW.outputs
    )
    # MediaPipe insists on these properties, though codes have no corners.
    corners = {"type": "BOUNDARIES", "coordinate_type": "RATIO"}
    labels = {
        "name": labels_name,
        "description": "Class names by index, from 0",
        "type": RAW.labels_kind,
    }
    return [
        {
            **boxes,
            "content": {"content_properties": {"BoundingBoxProperties": corners}},
        },
        {
            **scores,
            "content": {"content_properties": {"FeatureProperties": {}}},
            "associated_files": [labels],
        },
    ]


def custom_metadata(anchors_norm: np.ndarray, *, num_classes: int) -> list[dict[str, Any]]:
    """Return the entry that holds the detector's options."""
    options = build_detector_options(anchors_norm, num_classes=num_classes)
    return [{"name": DETECTOR_ENTRY, "data": pack(options, root=DETECTOR_ROOT)}]


def build_detector_options(anchors_norm: np.ndarray, *, num_classes: int) -> dict[str, Any]:
    """Return anchors (A, 4), yxyx, and code scales as an ObjectDetectorOptions table."""
    low, high = anchors_norm[:, :2], anchors_norm[:, 2:]
    centres, sides = (low + high) / 2, high - low
    y_scale, x_scale, h_scale, w_scale = CODE_SCALES
    return {
        "min_parser_version": _OPTIONS_VERSION,
        "ssd_anchors_options": {
            "fixed_anchors_schema": {
                "anchors": [
                    {"x_center": x, "y_center": y, "width": w, "height": h}
                    for (y, x), (h, w) in zip(centres.tolist(), sides.tolist(), strict=True)
                ]
            }
        },
        "tensors_decoding_options": {
            "num_classes": num_classes,
            "num_boxes": len(anchors_norm),
            "num_coords": _BOX_NUMBERS,
            "keypoint_coord_offset": 0,
            "num_keypoints": 0,
            "num_values_per_keypoint": 2,  # MediaPipe refuses any other number, even for none
            "x_scale": x_scale,
            "y_scale": y_scale,
            "w_scale": w_scale,
            "h_scale": h_scale,
            "apply_exponential_on_box_size": True,
            "sigmoid_score": False,  # it is in the graph
        },
    }
