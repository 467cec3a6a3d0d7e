"""What a config chooses by name: one line each, as "module:object".

Most objects are TensorFlow code, the names are not: a config is checked against them in an instant,
on machines without TensorFlow too. To add one, write its file and its line here.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any

from edge_retina.errors import ConfigError, choices_hint

# Functions of the positive anchors' boxes: see model/box_losses.
BOX_LOSSES: dict[str, str] = {
    "huber": "edge_retina.model.box_losses.huber:huber_loss",
    "giou": "edge_retina.model.box_losses.giou:giou_loss",
    "ciou": "edge_retina.model.box_losses.ciou:ciou_loss",
}

# Functions of the class logits and their targets: see model/class_losses.
CLASS_LOSSES: dict[str, str] = {
    "focal": "edge_retina.model.class_losses.focal:focal_loss",
    "quality_focal": "edge_retina.model.class_losses.quality_focal:quality_focal_loss",
}

# Functions that build one from the `TrainConfig`: see training/optimizer.
OPTIMIZERS: dict[str, str] = {
    "adamw": "edge_retina.training.optimizer:adamw",
    "sgd": "edge_retina.training.optimizer:sgd",
}

# (anchors, gt_boxes, gt_classes, ignored_boxes, *, grid, settings) -> matched_gt (A,) of one image;
# the numpy reference in boxes/assigners explains. There is at least one object.
ASSIGNERS: dict[str, str] = {
    "max_iou": "edge_retina.input_pipeline.assigners.max_iou:assign",
    "atss": "edge_retina.input_pipeline.assigners.atss:assign",
    "dynamic_k": "edge_retina.input_pipeline.assigners.dynamic_k:assign",
}

# Functions that choose the anchors of a network: see boxes/sources.
ANCHOR_SOURCES: dict[str, str] = {
    "fitted": "edge_retina.boxes.sources:fitted",
    "square": "edge_retina.boxes.sources:square",
    "retinanet": "edge_retina.boxes.sources:retinanet",
}


def load_choice(table: Mapping[str, str], name: str) -> Any:
    """Return the object that `name` stands for in one of the tables above.

    Raises:
        ConfigError: the table has no such name.
    """
    if name not in table:
        raise ConfigError(f"{name!r} is unknown; {choices_hint(name, table)}")
    return pkgutil.resolve_name(table[name])
