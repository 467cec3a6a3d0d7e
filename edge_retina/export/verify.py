"""Checks of what was converted, on the written file itself."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_retina.errors import ExportError
from edge_retina.evaluation.agreement import Agreement, compare_detections
from edge_retina.layer_names import BOX_DELTAS, CLASS_LOGITS
from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image, normalize, stretch
from edge_retina.runtime.tensor_contract import DETECTIONS

log = logging.getLogger(__name__)

_STRUCTURALLY_WRONG = 0.5  # share of the objects below which it isn't roundings that differ
_FOLDING_TOLERANCE = 1e-4  # relative to the outputs' size
_SCORE = 0.3


@dataclass(frozen=True)
class _Tolerance:
    """What must be found again: this share of the objects, with this IoU and score."""

    share: float
    iou: float
    score: float


# A float file differs from Keras by rounding alone; a float16 file by the rounding of its weights
# to 11 bits; an int8 file differs from its simulation by a step here and there, which may turn a
# pair of near-equal boxes around.
_TOLERANCES = {
    "float32": _Tolerance(share=0.95, iou=0.99, score=0.01),
    "float16": _Tolerance(share=0.95, iou=0.95, score=0.02),
    "int8": _Tolerance(share=0.9, iou=0.9, score=0.1),
}
_KERNELS = {"xnnpack": True, "builtin": False}
_OUTPUTS = DETECTIONS.names[:3]  # all but the count


class Remembering:
    """A predictor that computes each image once: files of several targets have one reference."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._found: dict[bytes, Detections] = {}

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._predictor.labels

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an upright (H, W, 3) uint8 RGB image."""
        key = hashlib.sha256(repr(image_rgb.shape).encode() + image_rgb.tobytes()).digest()
        if key not in self._found:
            self._found[key] = self._predictor.predict(image_rgb)
        return self._found[key]


def verify_deploy_graph(
    trained: keras.Model, deploy: keras.Model, pictures: Sequence[Path] = ()
) -> None:
    """Compare a deploy graph with the float model, on real images or else on noise.

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
        (CLASS_LOGITS, BOX_DELTAS), expected, join_levels(deploy)(images), strict=True
    ):
        difference = float(np.abs(a - b).max())
        allowed = _FOLDING_TOLERANCE * max(float(np.abs(a).max()), 1.0)
        if not difference <= allowed:  # also where it is NaN
            raise ExportError(
                f"folding BatchNorm changed {name} by {difference:.2g}, allowed {allowed:.2g}; "
                "this is a bug, please report it with the config"
            )


def verify_file(
    path: Path, reference: Predictor, pictures: Sequence[Path], *, precision: str
) -> dict[str, dict[str, float]]:
    """Compare a written .tflite with the model it was made from, with and without XNNPACK.

    Args:
        path: the file; labels.txt must lie beside it, and the manifest if it has no NMS inside.
        reference: the same model in Keras, float or fake-quantised.
        pictures: real images.
        precision: of the file: what roundings are allowed for.

    Returns:
        By kernels ("xnnpack", "builtin") and output ("boxes", "classes", "scores") the share of the
        reference's detections above 0.3 that the file finds too: with an IoU of at least 0.99 for
        float32, 0.95 for float16, 0.9 for int8; of the same class; with a score that differs by at
        most 0.01, 0.02, 0.1. 1 when there are none.

    A file whose kernels differ is right: that is a warning. So is an int8 file of a weak model,
    most of whose objects are near a decision. What is structurally wrong, such as the order of
    outputs, a scale or a class, loses most objects.

    Raises:
        ExportError: less than half of the objects are found by some kernels; or, but for int8, less
            than the tolerance allows by any; names the output.
    """
    tolerance = _TOLERANCES[precision]
    images = [load_image(picture) for picture in pictures]
    expected = [reference.predict(image).above(_SCORE) for image in images]
    found = {}
    for kernels, use_xnnpack in _KERNELS.items():
        detector = TFLiteDetector(path, use_xnnpack=use_xnnpack)
        agreement = sum(
            (
                compare_detections(
                    objects,
                    detector.predict(image),
                    min_iou=tolerance.iou,
                    score_tolerance=tolerance.score,
                )
                for objects, image in zip(expected, images, strict=True)
            ),
            start=Agreement(),
        )
        found[kernels] = agreement
    _judge(path, found, needed=tolerance.share, is_exact=precision != "int8")
    return {
        kernels: {output: agreement.share(output) for output in _OUTPUTS}
        for kernels, agreement in found.items()
    }


def _judge(path: Path, found: Mapping[str, Agreement], *, needed: float, is_exact: bool) -> None:
    """Refuse a file that is wrong; warn of kernels that find other objects."""
    missed = {
        kernels: [output for output in _OUTPUTS if agreement.share(output) < needed]
        for kernels, agreement in found.items()
    }
    allowed = needed if is_exact and all(missed.values()) else _STRUCTURALLY_WRONG
    for kernels, agreement in found.items():
        for output in missed[kernels]:
            if agreement.share(output) < allowed:
                text = _difference(path, kernels, output, agreement)
                raise ExportError(f"{text}; {allowed:.0%} are needed; the conversion is wrong")
        for output in missed[kernels][:1]:  # what is wrong in one is wrong in those after it
            text = _difference(path, kernels, output, agreement)
            log.warning("%s; %.0f %% are usual; compare its mAP with evaluate", text, 100 * needed)


def _difference(path: Path, kernels: str, output: str, agreement: Agreement) -> str:
    return (
        f"{path.name}: its output '{output}' ({kernels} kernels) is right for only "
        f"{getattr(agreement, output)} of the {agreement.objects} objects that the model it was "
        "made from finds"
    )
