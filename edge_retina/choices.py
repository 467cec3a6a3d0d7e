"""What a config chooses by name: one line each, as "module:object".

The objects are TensorFlow code, the names are not: a config is checked against them in an instant,
on machines without TensorFlow too. To add one, write its file and its line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

# (target_boxes, boxes) -> loss, each (N, 4) yxyx -> (N,); or codes, see model/box_losses.
BOX_LOSSES: dict[str, str] = {
    "huber": "edge_retina.model.losses:huber_loss",
    "giou": "edge_retina.model.losses:iou_loss",
    "ciou": "edge_retina.model.losses:iou_loss",
}

# (anchors, gt_boxes, gt_classes, ignored_boxes, *, grid, settings) -> matched_gt (A,) of one image;
# the numpy reference in boxes/assigners explains. There is at least one object.
ASSIGNERS: dict[str, str] = {
    "max_iou": "edge_retina.input_pipeline.assigners.max_iou:assign",
    "atss": "edge_retina.input_pipeline.assigners.atss:assign",
}


def load_choice(table: Mapping[str, str], name: str) -> Any:
    """Return the object that `name` stands for in one of the tables above."""
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
