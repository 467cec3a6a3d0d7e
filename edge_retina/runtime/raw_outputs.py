"""Files without NMS inside: box codes and scores of every anchor, decoded here in numpy.

The anchors and the settings of the NMS are those of the manifest beside the file, so that such a
file finds what the one with NMS inside finds. So is the layout of a file with heads by level: what
each output holds, and the scale of its integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.nms import detect, detect_scored
from edge_retina.config import ExportConfig
from edge_retina.errors import ModelError
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.manifest import MANIFEST_NAME, Manifest, load_manifest
from edge_retina.runtime.raw_layout import CODES, LEVELS, LOGITS, RawLayout, RawTensor
from edge_retina.runtime.tensor_contract import shape_text
from edge_retina.runtime.tensor_values import Tensor, dequantize

_CODE_NUMBERS = 4  # of a box
_NOT_AS_EXPORTED = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


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


class Decoder(Protocol):
    """Turns the outputs of a file without NMS into detections."""

    def decode(self, *outputs: np.ndarray) -> Detections:
        """Return the detections of the outputs, in their order."""


@dataclass(frozen=True)
class RawDecoder:
    """Turns raw outputs of all levels in one into detections.

    Attributes:
        anchors_norm: (A, 4) yxyx as fractions of the image.
        settings: keyword arguments of `boxes.nms.detect_scored`.
    """

    anchors_norm: np.ndarray
    settings: dict[str, Any]

    def decode(self, *outputs: np.ndarray) -> Detections:
        """Return the detections of box codes (1, A, 4) and scores (1, A, K)."""
        boxes, scores = outputs
        return Detections(*detect_scored(scores[0], boxes[0], self.anchors_norm, **self.settings))


@dataclass(frozen=True)
class LevelsDecoder:
    """Turns the heads of each level into detections.

    Attributes:
        anchors_norm: (A, 4) yxyx as fractions of the image.
        settings: keyword arguments of `boxes.nms.detect`.
        outputs: what they hold, in their order.
        num_classes: K.
    """

    anchors_norm: np.ndarray
    settings: dict[str, Any]
    outputs: tuple[RawTensor, ...]
    num_classes: int

    def decode(self, *outputs: np.ndarray) -> Detections:
        """Return the detections of logits (1, h, w, a * K) and codes (1, h, w, a * 4) by level."""
        logits = self._join(outputs, LOGITS, self.num_classes)
        codes = self._join(outputs, CODES, _CODE_NUMBERS)
        return Detections(*detect(logits, codes, self.anchors_norm, **self.settings))

    def _join(self, outputs: tuple[np.ndarray, ...], content: str, numbers: int) -> np.ndarray:
        """Return the real values of all levels, (A, numbers), in the order of the anchors."""
        chosen = [
            (tensor.level or 0, _real(values, tensor).reshape(-1, numbers))
            for tensor, values in zip(self.outputs, outputs, strict=True)
            if tensor.content == content
        ]
        return np.concatenate([values for _, values in sorted(chosen, key=lambda item: item[0])])


def _real(values: np.ndarray, tensor: RawTensor) -> np.ndarray:
    form = Tensor(tensor.name, tensor.shape, tensor.dtype, tensor.scale, tensor.zero_point)
    return dequantize(values, form)


def load_raw_decoder(path: Path, *, num_anchors: int) -> RawDecoder:
    """Return the decoder of a raw .tflite file from the manifest beside it.

    Args:
        path: the .tflite file.
        num_anchors: how many its outputs are of.

    Raises:
        ModelError: no manifest that lists the file, or one with other anchors.
    """
    manifest, where = _manifest_of(path, remedy="export without --no-nms")
    anchors_norm, settings = _anchors_and_settings(manifest, where)
    _check_count(anchors_norm, num_anchors, path, where)
    return RawDecoder(anchors_norm, settings)


def load_levels_decoder(
    path: Path, outputs: Sequence[Tensor], *, labels: Sequence[str]
) -> LevelsDecoder:
    """Return the decoder of a .tflite file with heads by level from the manifest beside it.

    Args:
        path: the .tflite file.
        outputs: of the file, in the order of the layout.
        labels: class names by index.

    Raises:
        ModelError: no manifest that lists the file with its layout, or another model's.
    """
    manifest, where = _manifest_of(path, remedy="export with --target cpu")
    layout = manifest.layouts.get(path.name)
    if layout is None or layout.form != LEVELS:
        raise ModelError(
            f"{where}: has no layout of {path.name}, so its outputs can't be decoded; export the "
            "model again"
        )
    _check_layout(layout, outputs, path, where)
    anchors_norm, settings = _anchors_and_settings(manifest, where)
    _check_count(anchors_norm, _size(layout, CODES) // _CODE_NUMBERS, path, where)
    num_classes = _size(layout, LOGITS) // len(anchors_norm)
    check_label_count(path, labels, num_classes)
    return LevelsDecoder(anchors_norm, settings, layout.outputs, num_classes)


def check_label_count(path: Path, labels: Sequence[str], num_classes: int) -> None:
    """Refuse labels of another number than a file has classes.

    Raises:
        ModelError: names both numbers.
    """
    if len(labels) != num_classes:
        raise ModelError(
            f"{path}: the model scores {num_classes} classes, but has {len(labels)} labels "
            f"({', '.join(labels)}); the list is another model's: export the model again"
        )


def _size(layout: RawLayout, content: str) -> int:
    """Return how many numbers the outputs of one content have."""
    return sum(math.prod(tensor.shape) for tensor in layout.outputs if tensor.content == content)


def _manifest_of(path: Path, *, remedy: str) -> tuple[Manifest, Path]:
    where = path.parent / MANIFEST_NAME
    manifest = load_manifest(where) if where.is_file() else None
    if manifest is None or path.name not in manifest.files:
        found = "doesn't list it" if manifest else "is missing"
        raise ModelError(
            f"{path}: the model has no NMS inside and is decoded with the anchors in {where}, "
            f"which {found}; keep the file in its export directory, or {remedy}"
        )
    return manifest, where


def _check_count(anchors_norm: np.ndarray, num_anchors: int, path: Path, where: Path) -> None:
    if len(anchors_norm) != num_anchors:
        raise ModelError(
            f"{where}: its anchors are {len(anchors_norm)}, but {path.name} has outputs of "
            f"{num_anchors}; the manifest is another model's: export the model again"
        )


def _check_layout(layout: RawLayout, outputs: Sequence[Tensor], path: Path, where: Path) -> None:
    """Refuse a layout that describes other tensors than the file has."""
    another = "the manifest is another model's: export the model again"
    if len(layout.outputs) != len(outputs):
        raise ModelError(
            f"{where}: describes {len(layout.outputs)} outputs of {path.name}, but it has "
            f"{len(outputs)}; {another}"
        )
    for described, found in zip(layout.outputs, outputs, strict=True):
        stated = _text(described.shape, described.dtype, described.scale, described.zero_point)
        scale = found.scale if found.is_quantized else 1.0
        actual = _text(found.shape, found.dtype, scale, found.zero_point)
        if stated != actual:
            raise ModelError(
                f"{where}: describes output {described.name} of {path.name} as {stated}, but it is "
                f"{actual}; {another}"
            )


def _text(shape: tuple[int, ...], dtype: str, scale: float, zero_point: int) -> str:
    return f"{shape_text(shape)} {dtype} of scale {scale:.7g} and zero point {zero_point}"


def _anchors_and_settings(manifest: Manifest, where: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the anchors (A, 4) as fractions and the keyword arguments of `detect`."""
    return anchors_of(manifest, where).boxes_norm(), settings_of(manifest, where)


def anchors_of(manifest: Manifest, where: Path) -> AnchorGrid:
    """Return the anchors of the models that a manifest describes.

    Args:
        manifest: of an export directory.
        where: it was read from, for messages.

    Raises:
        ModelError: they are not as exported.
    """
    anchors = manifest.anchors
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
    except _NOT_AS_EXPORTED as error:
        raise _damaged(where, error) from None
    return grid


def settings_of(manifest: Manifest, where: Path) -> dict[str, Any]:
    """Return the keyword arguments of `boxes.nms.detect`.

    Args:
        manifest: of an export directory.
        where: it was read from, for messages.

    Raises:
        ModelError: the thresholds are not as exported.
    """
    thresholds = manifest.thresholds
    try:
        return {
            "score_threshold": float(thresholds["score_threshold"]),
            "iou_threshold": float(thresholds["nms_iou"]),
            "max_detections": int(thresholds["max_detections"]),
            "candidates": int(thresholds["candidates"]),
            "class_agnostic": bool(thresholds["class_agnostic"]),
        }
    except _NOT_AS_EXPORTED as error:
        raise _damaged(where, error) from None


def _damaged(where: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{where}: 'anchors' or 'thresholds' is not as exported ({error!r}); export the model again"
    )
