"""Head outputs as a trained detector gives them: high scores at anchors around some objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.boxes.codec import encode
from edge_retina.boxes.iou import pairwise_iou

_OBJECTS = (5, 25)
_SIDES = (0.08, 0.4)  # of the image; what smaller anchors fit
# A focal-loss detector is sure of its background: sigmoid(-7) = .001
_BACKGROUND, _BACKGROUND_SPREAD = -7.0, 1.0
# At an object the logit rises with the anchor's IoU: .5 -> score .12, 1 -> .97; other classes have
# less. With four anchors a cell this gives 300 to 700 candidates above .05, between the pictures of
# runs/chess (median 254) and of runs/bccd (median 1,800): nms_designs.py --run counts them.
_AT_OBJECT, _RISE, _OTHER_CLASS = -7.5, 11.0, 6.0
_NEAR_IOU = 0.3
_CODE_NOISE = 0.5  # a twentieth of an anchor's side


@dataclass(frozen=True)
class HeadOutputs:
    """What the heads say of one picture.

    Attributes:
        logits: (A, K) float32.
        codes: (A, 4) float32, see `boxes.codec`.
    """

    logits: np.ndarray
    codes: np.ndarray

    def count_above(self, score: float) -> int:
        """Return how many (anchor, class) pairs are candidates."""
        return int((self.logits > np.log(score / (1 - score))).sum())


def anchors_norm(per_cell: int, image_size: int) -> np.ndarray:
    """Return the anchors (A, 4) of levels 3 to 7 as fractions of the image.

    Args:
        per_cell: up to 9, of RetinaNet's shapes.
        image_size: in pixels.
    """
    shapes = tuple(level[:per_cell] for level in default_shapes((3, 4, 5, 6, 7)))
    return AnchorGrid((image_size, image_size), 3, shapes).boxes_norm()


def head_outputs(anchors: np.ndarray, num_classes: int, seed: int) -> HeadOutputs:
    """Return the outputs for a made-up scene of 5 to 24 objects."""
    rng = np.random.default_rng(seed)
    boxes = _scene(rng)
    labels = rng.integers(0, num_classes, len(boxes))
    iou = pairwise_iou(anchors, boxes)
    owner = iou.argmax(axis=1)
    overlap = iou.max(axis=1)
    logits = rng.normal(_BACKGROUND, _BACKGROUND_SPREAD, (len(anchors), num_classes))
    near = np.flatnonzero(overlap > _NEAR_IOU)
    level = _AT_OBJECT + _RISE * overlap[near] + rng.normal(0, 1, len(near))
    logits[near] = level[:, None] - _OTHER_CLASS + rng.normal(0, 1, (len(near), num_classes))
    logits[near, labels[owner[near]]] = level
    codes = rng.normal(0, 1, (len(anchors), 4))
    codes[near] = encode(boxes[owner[near]], anchors[near]) + rng.normal(
        0, _CODE_NOISE, (len(near), 4)
    )
    return HeadOutputs(logits.astype(np.float32), codes.astype(np.float32))


def _scene(rng: np.random.Generator) -> np.ndarray:
    """Return objects (G, 4) yxyx inside the image; they may overlap."""
    count = int(rng.integers(*_OBJECTS))
    smallest, largest = np.log(_SIDES)
    sides = np.exp(rng.uniform(smallest, largest, (count, 2)))
    low = rng.random(sides.shape) * (1 - sides)
    return np.concatenate([low, low + sides], axis=1).astype(np.float32)
