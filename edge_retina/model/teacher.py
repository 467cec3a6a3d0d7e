"""A trained detector whose outputs another one is to learn: those at the other one's anchors."""

from __future__ import annotations

import logging

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, size_text
from edge_retina.boxes.counterparts import find_counterparts
from edge_retina.errors import RunError
from edge_retina.model.box_codec import decode_boxes, encode_boxes
from edge_retina.model.keras import keras, tf
from edge_retina.model.predictor import load_float_model
from edge_retina.run_directory import RunDirectory

log = logging.getLogger(__name__)

# Anchors that overlap less are background to each other's objects (RetinaNet, section 4): what one
# of them finds says nothing about the other.
_ALIKE_IOU = 0.4


class Teacher:
    """Runs a detector in inference mode and gives its outputs for the anchors of another grid.

    As long as no gradient is taken through it, it costs the memory of its weights and of one
    inference on the batch: in a compiled step an activation is freed once the next layers have read
    it, where the model that is trained must keep its own.

    Attributes:
        input_hw: its own input size.
        knows: (A,) bool, the anchors of the other grid that it has a like one for.
    """

    def __init__(self, model: keras.Model, *, own: AnchorGrid, grid: AnchorGrid) -> None:
        """Find the anchor that stands for each anchor of `grid`.

        Args:
            model: outputs cls_logits (B, A', K) and box_deltas (B, A', 4).
            own: its A' anchors.
            grid: the A anchors that outputs are given for.
        """
        self._model = model
        self.input_hw = own.image_hw
        counterparts = find_counterparts(grid, own)
        self.knows: np.ndarray = counterparts.iou >= _ALIKE_IOU
        self._index = tf.constant(counterparts.index)
        # Codes are relative to the anchor, so they may be decoded in the other grid's pixels.
        own_px = own.boxes_norm() * np.array(grid.image_hw * 2, np.float32)
        self._own_anchors = tf.constant(own_px[counterparts.index])
        self._anchors = tf.constant(grid.boxes_px())

    def __call__(self, images: tf.Tensor, *, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Return cls_logits (B, A, K) and box_deltas (B, A, 4) for the anchors of the other grid.

        Args:
            images: (B, h, w, 3) normalised, of its own input size.
            training: must be False; there for the signature of a Keras model.
        """
        cls_logits, box_deltas = self._model(images, training=training)
        boxes_px = decode_boxes(tf.gather(box_deltas, self._index, axis=1), self._own_anchors)
        return tf.gather(cls_logits, self._index, axis=1), encode_boxes(boxes_px, self._anchors)


def load_teacher(run: RunDirectory, *, grid: AnchorGrid) -> Teacher:
    """Return the float model of a RUN as a teacher for the anchors of `grid`.

    Raises:
        RunError: not a trained RUN, or its weights don't fit the network of its config.
    """
    own = run.load_anchors()
    try:
        model = load_float_model(run)
    except RunError as error:
        raise RunError(f"train.teacher: {error}") from None
    teacher = Teacher(model, own=own, grid=grid)
    log.info(
        "teacher: %s, input size %s, has a like anchor for %.1f %% of the anchors",
        run.root,
        size_text(own.image_hw),
        100 * teacher.knows.mean(),
    )
    return teacher
