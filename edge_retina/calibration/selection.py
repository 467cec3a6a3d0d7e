"""A representative set of training pictures: every class, every object size, dark and bright."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.datasets.schema import Example


@dataclass(frozen=True)
class CalibrationSet:
    """Which pictures calibrate, so that a result can be repeated.

    Attributes:
        image_ids: in the order chosen.
        seed: of the choice.
        sha256: of the ids, one a line.
    """

    image_ids: tuple[str, ...]
    seed: int
    sha256: str


def select_calibration(
    examples: Sequence[Example], count: int, *, num_classes: int, seed: int
) -> CalibrationSet:
    """Choose up to `count` pictures.

    Takes pictures in a random order, each time the next one that holds the (class, size) stratum
    seen least so far; pictures without objects are a stratum of their own. Sizes are octaves of the
    square root of a box's share of the picture.
    """
    order = [examples[i] for i in np.random.default_rng(seed).permutation(len(examples))]
    strata = [_strata(example, num_classes) for example in order]
    seen: dict[tuple[int, int], int] = {}
    left = list(range(len(order)))
    chosen: list[str] = []
    while left and len(chosen) < count:
        best = min(left, key=lambda i: min(seen.get(s, 0) for s in strata[i]))
        left.remove(best)
        chosen.append(order[best].image_id)
        for stratum in strata[best]:
            seen[stratum] = seen.get(stratum, 0) + 1
    ids = tuple(chosen)
    text = "".join(f"{image_id}\n" for image_id in ids)
    return CalibrationSet(ids, seed, hashlib.sha256(text.encode()).hexdigest())


def _strata(example: Example, num_classes: int) -> set[tuple[int, int]]:
    if not len(example.classes):
        return {(num_classes, 0)}
    boxes = example.boxes_norm
    share = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    octave = np.floor(np.log2(np.maximum(share, 1e-3))).astype(int)
    return {(int(c), int(o)) for c, o in zip(example.classes, octave, strict=True)}
