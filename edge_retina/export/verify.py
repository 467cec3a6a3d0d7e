"""Checks of what was converted, on the written file itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.errors import ExportError
from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image

_FOLDING_TOLERANCE = 1e-4  # relative to the outputs' size
# What must be found again. A float file differs from Keras by rounding alone; an int8 file differs
# from its simulation by a step here and there, which may turn a pair of near-equal boxes around.
_FLOAT_AGREEMENT, _INT8_AGREEMENT = 0.95, 0.9
_SCORE = 0.3


def verify_deploy_graph(trained: keras.Model, deploy: keras.Model) -> None:
    """Compare a deploy graph with the float model on noise.

    Raises:
        ExportError: an output differs by more than 1e-4 of its size.
    """
    shape = (2, *trained.input_shape[1:])
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    expected = trained(images, training=False)
    for name, a, b in zip(
        ("cls_logits", "box_deltas"), expected, join_levels(deploy)(images), strict=True
    ):
        difference = float(np.abs(a - b).max())
        allowed = _FOLDING_TOLERANCE * max(float(np.abs(a).max()), 1.0)
        if difference > allowed:
            raise ExportError(
                f"folding BatchNorm changed {name} by {difference:.2g}, allowed {allowed:.2g}; "
                "this is a bug, please report it with the config"
            )


def verify_file(path: Path, reference: Predictor, pictures: Sequence[Path], *, int8: bool) -> float:
    """Compare a written .tflite with the model it was made from.

    Args:
        path: the file; labels.txt must lie beside it.
        reference: the same model in Keras, float or fake-quantised.
        pictures: real pictures.
        int8: allow for roundings that differ.

    Returns:
        The share of the reference's detections above 0.3 that the file finds too: same class, IoU
        of at least 0.9 for int8 and 0.99 for float. 1 when there are none.

    Raises:
        ExportError: the share is too low.
    """
    detector = TFLiteDetector(path)
    found = total = 0
    for picture in pictures:
        image = load_image(picture)
        expected = reference.predict(image).above(_SCORE)
        found += count_found(expected, detector.predict(image), min_iou=0.9 if int8 else 0.99)
        total += len(expected)
    share = found / total if total else 1.0
    needed = _INT8_AGREEMENT if int8 else _FLOAT_AGREEMENT
    if share < needed:
        raise ExportError(
            f"{path.name}: finds only {found} of the {total} objects that the model it was made "
            f"from finds on {len(pictures)} pictures, {needed:.0%} are needed; the conversion is "
            "wrong"
        )
    return share


def count_found(expected: Detections, got: Detections, *, min_iou: float) -> int:
    """Return how many of `expected` have one in `got` of the same class and enough overlap."""
    if not len(expected) or not len(got):
        return 0
    iou = pairwise_iou(expected.boxes_norm, got.boxes_norm)
    same = expected.classes[:, None] == got.classes[None, :]
    return int(((iou >= min_iou) & same).any(axis=1).sum())
