"""Pictures with objects and detections: by hand, or drawn with every kind of error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections

LABELS = ("a", "b", "c")
SIDE = 128  # a power of two: fractions of it are exact

Box = tuple[float, float, float, float]


def picture(
    *objects: tuple[str, Box],
    name: str = "p.png",
    crowd: Sequence[int] = (),
    difficult: Sequence[int] = (),
) -> Example:
    """Return a 128 × 128 picture; objects are label and box, yxyx in pixels."""
    numbers = np.arange(len(objects))
    return Example(
        image_id=name,
        path=Path(name),
        image_hw=(SIDE, SIDE),
        boxes_px=np.array([box for _, box in objects], np.float32).reshape(-1, 4),
        classes=np.array([LABELS.index(label) for label, _ in objects], np.int32),
        crowd=np.isin(numbers, crowd),
        difficult=np.isin(numbers, difficult),
    )


def found(*rows: tuple[str, Box, float]) -> Detections:
    """Return detections: label, box in pixels of a 128 × 128 picture, score."""
    boxes = np.array([box for _, box, _ in rows], np.float32).reshape(-1, 4)
    return Detections(
        boxes / np.float32(SIDE),
        np.array([LABELS.index(label) for label, _, _ in rows], np.int32),
        np.array([score for _, _, score in rows], np.float32),
    )


def draw_errors(
    pictures: int, seed: int, *, ties: bool = False, classes: int = 3, crowd: float = 0.0
) -> tuple[list[Example], list[Detections]]:
    """Return pictures with up to 7 objects, and detections with many errors of every kind.

    Args:
        pictures: how many.
        seed: of the draws.
        ties: scores of one digit, so that many are equal.
        classes: classes of the objects; detections are of all three.
        crowd: share of crowd regions among the objects.
    """
    rng = np.random.default_rng(seed)
    examples, detections = [], []
    for number in range(pictures):
        low = rng.uniform(0, 60, (rng.integers(0, 8), 2))
        boxes = np.concatenate([low, low + rng.uniform(8, 40, low.shape)], 1).astype(np.float32)
        labels = rng.integers(0, classes, len(boxes)).astype(np.int32)
        flags = rng.random(len(boxes)) < crowd
        examples.append(
            Example(f"{number}.png", Path(f"{number}.png"), (SIDE, SIDE), boxes, labels, flags)
        )
        seen = np.repeat(np.arange(len(boxes)), rng.integers(0, 4, len(boxes)))  # missed or often
        shift = rng.normal(0, 1, (len(seen), 4)) * rng.choice([1.0, 6.0], (len(seen), 1))
        made_up = rng.uniform(0, 60, (rng.integers(0, 4), 4))
        drawn = np.concatenate([boxes[seen] + shift, made_up]).clip(0, SIDE - 6)
        drawn[:, 2:] = np.maximum(drawn[:, 2:], drawn[:, :2] + 5)
        kept = np.concatenate([labels[seen], rng.integers(0, 3, len(made_up))])
        wrong = rng.random(len(kept)) < 0.2
        kept = np.where(wrong, rng.integers(0, 3, len(kept)), kept).astype(np.int32)
        scores = np.sort(rng.random(len(drawn)))[::-1]
        scores = np.round(scores, 1) if ties else scores
        detections.append(
            Detections((drawn / SIDE).astype(np.float32), kept, scores.astype(np.float32))
        )
    return examples, detections
