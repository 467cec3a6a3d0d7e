"""Checks of what was converted, on the written file itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.errors import ExportError
from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image, normalize, stretch

_FOLDING_TOLERANCE = 1e-4  # relative to the outputs' size
_SCORE = 0.3


@dataclass(frozen=True)
class _Tolerance:
    """What must be found again: this share of the objects, with at least this IoU."""

    share: float
    iou: float


# A float file differs from Keras by rounding alone; a float16 file by the rounding of its weights
# to 11 bits; an int8 file differs from its simulation by a step here and there, which may turn a
# pair of near-equal boxes around.
_TOLERANCES = {
    "float32": _Tolerance(share=0.95, iou=0.99),
    "float16": _Tolerance(share=0.95, iou=0.95),
    "int8": _Tolerance(share=0.9, iou=0.9),
}


def verify_deploy_graph(
    trained: keras.Model, deploy: keras.Model, pictures: Sequence[Path] = ()
) -> None:
    """Compare a deploy graph with the float model, on real pictures or else on noise.

    Raises:
        ExportError: an output differs by more than 1e-4 of its size.
    """
    image_hw = trained.input_shape[1:3]
    if pictures:
        images = normalize(np.stack([stretch(load_image(path), image_hw) for path in pictures]))
    else:
        noise = np.random.default_rng(0).uniform(-1, 1, (2, *image_hw, 3))
        images = noise.astype(np.float32)
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


def verify_file(
    path: Path, reference: Predictor, pictures: Sequence[Path], *, precision: str
) -> float:
    """Compare a written .tflite with the model it was made from.

    Args:
        path: the file; labels.txt must lie beside it, and the manifest if it has no NMS inside.
        reference: the same model in Keras, float or fake-quantised.
        pictures: real pictures.
        precision: of the file: what roundings are allowed for.

    Returns:
        The share of the reference's detections above 0.3 that the file finds too: same class, IoU
        of at least 0.99 for float32, 0.95 for float16, 0.9 for int8. 1 when there are none.

    Raises:
        ExportError: the share is too low.
    """
    detector, tolerance = TFLiteDetector(path), _TOLERANCES[precision]
    found = total = 0
    for picture in pictures:
        image = load_image(picture)
        expected = reference.predict(image).above(_SCORE)
        found += count_found(expected, detector.predict(image), min_iou=tolerance.iou)
        total += len(expected)
    share = found / total if total else 1.0
    if share < tolerance.share:
        raise ExportError(
            f"{path.name}: finds only {found} of the {total} objects that the model it was made "
            f"from finds on {len(pictures)} pictures, {tolerance.share:.0%} are needed; the "
            "conversion is wrong"
        )
    return share


def count_found(expected: Detections, got: Detections, *, min_iou: float) -> int:
    """Return how many of `expected` have one in `got` of the same class and enough overlap."""
    if not len(expected) or not len(got):
        return 0
    iou = pairwise_iou(expected.boxes_norm, got.boxes_norm)
    same = expected.classes[:, None] == got.classes[None, :]
    return int(((iou >= min_iou) & same).any(axis=1).sum())
