"""Files without NMS inside: box codes and scores of every anchor, decoded here in numpy.

The anchors and the settings of the NMS are those of the manifest beside the file, so that such a
file finds what the one with NMS inside finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.nms import detect
from edge_retina.config import ExportConfig
from edge_retina.errors import ModelError
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.manifest import MANIFEST_NAME, Manifest, load_manifest

# A score is turned back into the logit that it came from; float32 has none nearer to 0 or 1 that
# would matter.
_SMALLEST = 1e-7


def decode_logits(
    cls_logits: np.ndarray, box_deltas: np.ndarray, anchors_norm: np.ndarray, export: ExportConfig
) -> Detections:
    """Decode one image's head outputs as the graph in the .tflite files does.

    Args:
        cls_logits: (A, K).
        box_deltas: (A, 4) codes.
        anchors_norm: (A, 4) yxyx as fractions of the image.
        export: thresholds and limits.
    """
    found = detect(
        cls_logits,
        box_deltas,
        anchors_norm,
        score_threshold=export.score_threshold,
        iou_threshold=export.nms_iou,
        max_detections=export.max_detections,
        candidates=export.candidates,
        class_agnostic=export.class_agnostic,
    )
    return Detections(*found)


@dataclass(frozen=True)
class RawDecoder:
    """Turns raw outputs into detections.

    Attributes:
        anchors_norm: (A, 4) yxyx as fractions of the image.
        settings: keyword arguments of `boxes.nms.detect`.
    """

    anchors_norm: np.ndarray
    settings: dict[str, Any]

    def decode(self, boxes: np.ndarray, scores: np.ndarray) -> Detections:
        """Return the detections of box codes (1, A, 4) and scores (1, A, K)."""
        probability = np.clip(scores[0].astype(np.float64), _SMALLEST, 1 - _SMALLEST)
        logits = np.log(probability) - np.log1p(-probability)
        return Detections(*detect(logits, boxes[0], self.anchors_norm, **self.settings))


def load_raw_decoder(path: Path, *, num_anchors: int) -> RawDecoder:
    """Return the decoder of a raw .tflite file from the manifest beside it.

    Args:
        path: the .tflite file.
        num_anchors: how many its outputs are of.

    Raises:
        ModelError: no manifest that lists the file, or one with other anchors.
    """
    where = path.parent / MANIFEST_NAME
    manifest = load_manifest(where) if where.is_file() else None
    if manifest is None or path.name not in manifest.files:
        found = "doesn't list it" if manifest else "is missing"
        raise ModelError(
            f"{path}: the model has no NMS inside and is decoded with the anchors in {where}, "
            f"which {found}; keep the file in its export directory, or export without --no-nms"
        )
    decoder = _decoder(manifest, where)
    if len(decoder.anchors_norm) != num_anchors:
        raise ModelError(
            f"{where}: its anchors are {len(decoder.anchors_norm)}, but {path.name} has outputs of "
            f"{num_anchors}; the manifest is another model's: export the model again"
        )
    return decoder


def _decoder(manifest: Manifest, where: Path) -> RawDecoder:
    anchors, thresholds = manifest.anchors, manifest.thresholds
    try:
        shapes = tuple(tuple((float(h), float(w)) for h, w in level) for level in anchors["shapes"])
        grid = AnchorGrid(
            (manifest.input.height, manifest.input.width),
            int(anchors["min_level"]),
            shapes,
            tuple(map(float, anchors.get("offsets", ()))),
        )
        if problem := grid.problem():
            raise ValueError(problem)
        return RawDecoder(
            anchors_norm=grid.boxes_norm(),
            settings={
                "score_threshold": float(thresholds["score_threshold"]),
                "iou_threshold": float(thresholds["nms_iou"]),
                "max_detections": int(thresholds["max_detections"]),
                "candidates": int(thresholds["candidates"]),
                "class_agnostic": bool(thresholds["class_agnostic"]),
            },
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(
            f"{where}: 'anchors' or 'thresholds' is not as exported ({error!r}); export the model "
            "again"
        ) from None
