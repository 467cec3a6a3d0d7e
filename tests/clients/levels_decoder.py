"""Decodes a file with heads by level from the manifest beside it, as an app would: numpy alone.

Written a second time on purpose: nothing here comes from edge_retina, with whose `predict` the
result is compared.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


class LevelsDecoder:
    """The manifest's description of one file."""

    def __init__(self, model: Path) -> None:
        manifest = json.loads((model.parent / "manifest.json").read_text())
        self.outputs = manifest["layouts"][model.name]["outputs"]
        self.labels = manifest["labels"]
        self.settings = manifest["thresholds"]
        self.code = manifest["anchors"]["box_code"]
        self.anchors = _anchors(manifest)

    def decode(self, outputs: list) -> list:
        """Return [boxes (N, 4) as fractions, classes (N,), scores (N,), count], best first."""
        scores = 1 / (1 + np.exp(-self._joined(outputs, "logits", len(self.labels))))
        order = np.argsort(-scores.ravel(), kind="stable")[: self.settings["candidates"]]
        order = order[scores.ravel()[order] >= self.settings["score_threshold"]]
        anchor, label = np.divmod(order, len(self.labels))
        boxes = np.clip(self._boxes(self._joined(outputs, "codes", 4)[anchor], anchor), 0, 1)
        kept: list = []
        for place in range(len(order)):
            if len(kept) == self.settings["max_detections"]:
                break
            rivals = [
                k for k in kept if self.settings["class_agnostic"] or label[k] == label[place]
            ]
            side = boxes[place, 2:] - boxes[place, :2]
            free = all(_iou(boxes[place], boxes[k]) <= self.settings["nms_iou"] for k in rivals)
            if side.min() > 1e-5 and free:
                kept.append(place)
        return [boxes[kept], label[kept], scores.ravel()[order][kept], len(kept)]

    def _joined(self, outputs: list, content: str, numbers: int) -> np.ndarray:
        """Return the real values of all levels, finest first, (A, numbers)."""
        parts = [
            (tensor["level"], tensor["scale"] * (value.astype(np.float64) - tensor["zero_point"]))
            for tensor, value in zip(self.outputs, outputs)  # noqa: B905 (an old Python)
            if tensor["content"] == content
        ]
        return np.concatenate(
            [v.reshape(-1, numbers) for _, v in sorted(parts, key=lambda x: x[0])]
        )

    def _boxes(self, codes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        anchors = self.anchors[chosen]
        centre, size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
        plain = codes / np.array(self.code["scales"])
        middle = centre + plain[:, :2] * size
        half = np.exp(np.minimum(plain[:, 2:], self.code["max_log_size"])) * size / 2
        return np.concatenate([middle - half, middle + half], axis=1)


def _anchors(manifest: dict) -> np.ndarray:
    """Return all anchors (A, 4) as fractions: by level, row, column and shape."""
    height, width = manifest["input"]["height"], manifest["input"]["width"]
    boxes = []
    for number, shapes in enumerate(manifest["anchors"]["shapes"]):
        stride = 2 ** (manifest["anchors"]["min_level"] + number)
        for row in range(-(-height // stride)):
            for column in range(-(-width // stride)):
                y, x = (row + 0.5) * stride, (column + 0.5) * stride
                for h, w in shapes:
                    boxes.append([y - h / 2, x - w / 2, y + h / 2, x + w / 2])
    return np.array(boxes) / [height, width, height, width]


def _iou(one: np.ndarray, two: np.ndarray) -> float:
    shared = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    both = np.prod(np.maximum(shared, 0))
    areas = np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2])
    return float(both / (areas - both))
