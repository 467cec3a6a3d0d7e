"""Labelled pictures and detections drawn at random, good and bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections

LABELS = ("a", "b", "c")
_SIDE = 100


def draw_split(pictures: int, seed: int) -> tuple[list[Example], list[Detections]]:
    """Return pictures with up to 5 objects of three classes, some of them crowds.

    Detections are jittered objects, some missed, some of the wrong class, and false alarms; no two
    have the same score.
    """
    rng = np.random.default_rng(seed)
    examples, detections = [], []
    for number in range(pictures):
        low = rng.uniform(0, 60, (rng.integers(0, 6), 2))
        boxes = np.concatenate([low, low + rng.uniform(8, 40, low.shape)], 1).astype(np.float32)
        classes = rng.integers(0, 3, len(boxes)).astype(np.int32)
        crowd = rng.random(len(boxes)) < 0.1
        examples.append(
            Example(f"{number}.png", Path(f"{number}.png"), (_SIDE, _SIDE), boxes, classes, crowd)
        )
        seen = boxes[rng.random(len(boxes)) < 0.8]
        found = np.concatenate([seen + rng.normal(0, 2, seen.shape), rng.uniform(0, 50, (3, 4))])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 5)
        kept = np.concatenate([classes[: len(seen)], rng.integers(0, 3, 3)]).astype(np.int32)
        scores = np.sort(rng.random(len(found)))[::-1].astype(np.float32)
        detections.append(Detections((found / _SIDE).astype(np.float32), kept, scores))
    return examples, detections
