"""Anchors of a detector whose outputs are box codes, and the code itself.

They come from the file's own metadata (MediaPipe), from one of its outputs, or from a JSON file
that the user gives:

    {"anchors": [[y_centre, x_centre, height, width], ...],   fractions of the picture
     "scales": [10, 10, 5, 5],       of the codes, in the same order; these are the default
     "order": "yxhw",                of the codes: "yxhw" (default) or "xywh"
     "exponential": true,            whether sides are exp(code / scale) times the anchor's
     "sigmoid": false}               whether the scores are logits
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.errors import ModelError, choices_hint
from edge_retina.files import load_json

_ORDERS = {"yxhw": (0, 1, 2, 3), "xywh": (1, 0, 3, 2)}
_FIELDS = ("anchors", "scales", "order", "exponential", "sigmoid")


@dataclass(frozen=True)
class AnchorSet:
    """Anchors and how boxes are coded relative to them.

    Attributes:
        anchors: rows of y centre, x centre, height, width; () if an output holds them.
        scales: of the codes, in the order y, x, h, w.
        order: of the codes, a key of `_ORDERS`.
        exponential: sides are exp(code / scale) times the anchor's, else code / scale times.
        sigmoid: the scores are logits.
    """

    anchors: tuple[tuple[float, ...], ...] = ()
    scales: tuple[float, ...] = CODE_SCALES
    order: str = "yxhw"
    exponential: bool = True
    sigmoid: bool = False

    def decode(self, codes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
        """Return boxes (A, 4) yxyx of codes (A, 4 or more) and anchors (A, 4), rows as above.

        Source: box_coders/faster_rcnn_box_coder.py of the TensorFlow Object Detection API.
        """
        plain = codes[:, _ORDERS[self.order]] / np.array(self.scales, np.float32)
        centre = plain[:, :2] * anchors[:, 2:] + anchors[:, :2]
        growth = (
            np.exp(np.minimum(plain[:, 2:], MAX_LOG_SIZE)) if self.exponential else plain[:, 2:]
        )
        half = growth * anchors[:, 2:] / 2
        return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> AnchorSet:
        """Return the set whose fields came through JSON."""
        rows = tuple(tuple(map(float, row)) for row in tree["anchors"])
        return cls(**{**tree, "anchors": rows, "scales": tuple(map(float, tree["scales"]))})


def described_anchors(options: Mapping[str, Any]) -> AnchorSet | None:
    """Return the anchors in the detector's options of MediaPipe metadata; None without any.

    Source: object_detector_metadata_schema.fbs; see `runtime.metadata.read_detector_options`.
    """
    schema = (options.get("ssd_anchors_options") or {}).get("fixed_anchors_schema") or {}
    rows = tuple(
        (item["y_center"], item["x_center"], item["height"], item["width"])
        for item in schema.get("anchors", [])
    )
    if not rows:
        return None
    decoding = options.get("tensors_decoding_options") or {}
    scales = tuple(float(decoding.get(f"{side}_scale") or 1) for side in "yxhw")
    return AnchorSet(
        anchors=rows,
        scales=scales,
        exponential=bool(decoding.get("apply_exponential_on_box_size")),
        sigmoid=bool(decoding.get("sigmoid_score")),
    )


def load_anchors(path: Path) -> AnchorSet:
    """Read the file of `--anchors`.

    Raises:
        ModelError: missing, not JSON, or not of this form.
    """
    try:
        tree = load_json(path)
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"--anchors {path}: can't be read ({reason}); expected JSON") from None
    except ValueError as error:
        raise ModelError(f"--anchors {path}: not valid JSON ({error})") from None
    if not isinstance(tree, dict) or "anchors" not in tree:
        raise ModelError(
            f'--anchors {path}: expected {{"anchors": [[y_centre, x_centre, height, width], ...]}} '
            "as fractions of the picture"
        )
    for name in tree:
        if name not in _FIELDS:
            raise ModelError(
                f"--anchors {path}: unknown field '{name}'; {choices_hint(name, _FIELDS)}"
            )
    if tree.get("order", "yxhw") not in tuple(_ORDERS):  # a tuple: it may be a list or an object
        raise ModelError(f"--anchors {path}: 'order' must be one of {', '.join(_ORDERS)}")
    try:
        found = AnchorSet.from_dict({"scales": CODE_SCALES, **tree})
    except (TypeError, ValueError, OverflowError) as error:
        raise ModelError(f"--anchors {path}: not numbers ({error})") from None
    rows = (*found.anchors, found.scales)
    if not found.anchors or any(len(row) != len(CODE_SCALES) for row in rows):
        raise ModelError(f"--anchors {path}: each anchor, and 'scales', must be 4 numbers")
    if not np.isfinite(rows).all():
        raise ModelError(f"--anchors {path}: each anchor, and 'scales', must be finite numbers")
    if not all(found.scales) or any(min(row[2:]) <= 0 for row in found.anchors):
        raise ModelError(f"--anchors {path}: scales, heights and widths must be above 0")
    return found
