"""A representative set of training pictures: every class, every object size, dark and bright."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.runtime.image import load_image

STRATEGIES = ("stratified", "random", "first")
_LOOKED_AT = 1024  # pictures that are opened at most, for their brightness
_PIXEL_STRIDE = 8  # enough for a mean and a deviation
_THIRDS = (1 / 3, 2 / 3)

_Stratum = tuple[str, int, int]


@dataclass(frozen=True)
class CalibrationSet:
    """Which pictures calibrate, so that a result can be repeated.

    Attributes:
        image_ids: in the order chosen.
        seed: of the choice.
        sha256: of the ids, one a line.
        strategy: how they were chosen.
    """

    image_ids: tuple[str, ...]
    seed: int
    sha256: str
    strategy: str = "stratified"


def calibration_set(image_ids: Sequence[str], *, seed: int, strategy: str) -> CalibrationSet:
    """Return the set of these pictures with its hash."""
    text = "".join(f"{image_id}\n" for image_id in image_ids)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return CalibrationSet(tuple(image_ids), seed, digest, strategy)


def select_calibration(
    examples: Sequence[Example],
    count: int,
    *,
    num_classes: int,
    seed: int,
    strategy: str = "stratified",
) -> CalibrationSet:
    """Choose up to `count` pictures.

    "stratified" takes pictures in a random order, each time the next one that holds the stratum
    seen least so far. Strata are: a class at a size (octaves of the square root of a box's share of
    the picture), pictures without objects, and thirds of the extent of brightness by those of
    contrast. Of very large sets a random part is looked at. "random" and "first" are for
    comparison.

    Args:
        examples: to choose from; their pictures are read for "stratified".
        count: how many.
        num_classes: K.
        seed: of the random order.
        strategy: one of `STRATEGIES`.
    """
    if strategy == "first":
        ids = [example.image_id for example in examples[:count]]
        return calibration_set(ids, seed=seed, strategy=strategy)
    order = [examples[i] for i in np.random.default_rng(seed).permutation(len(examples))]
    if strategy == "stratified" and count < len(order):
        order = _stratified(order[: max(_LOOKED_AT, count)], count, num_classes)
    ids = [example.image_id for example in order[:count]]
    return calibration_set(ids, seed=seed, strategy=strategy)


def _stratified(order: list[Example], count: int, num_classes: int) -> list[Example]:
    strata = [
        _object_strata(example, num_classes) | {appearance}
        for example, appearance in zip(order, _appearance_strata(order), strict=True)
    ]
    seen: dict[_Stratum, int] = {}
    left = list(range(len(order)))
    chosen: list[Example] = []
    while left and len(chosen) < count:
        best = min(left, key=lambda i: min(seen.get(s, 0) for s in strata[i]))
        left.remove(best)
        chosen.append(order[best])
        for stratum in strata[best]:
            seen[stratum] = seen.get(stratum, 0) + 1
    return chosen


def _object_strata(example: Example, num_classes: int) -> set[_Stratum]:
    if not len(example.classes):
        return {("objects", num_classes, 0)}
    boxes = example.boxes_norm
    share = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    octave = np.floor(np.log2(np.maximum(share, 1e-3))).astype(int)
    return {("objects", int(c), int(o)) for c, o in zip(example.classes, octave, strict=True)}


def _appearance_strata(examples: Sequence[Example]) -> list[_Stratum]:
    """Return for each picture in which third of brightness and of contrast it lies."""
    pixels = [load_image(e.path)[::_PIXEL_STRIDE, ::_PIXEL_STRIDE] for e in examples]
    statistics = np.array([(picture.mean(), picture.std()) for picture in pixels])
    # Thirds of the extent, not of the pictures: the few dark or bright ones are a stratum of their
    # own then, however few.
    low, high = statistics.min(axis=0), statistics.max(axis=0)
    limits = low + np.array(_THIRDS)[:, None] * (high - low)
    thirds = (statistics[:, None, :] > limits[None]).sum(axis=1)
    return [("appearance", int(brightness), int(contrast)) for brightness, contrast in thirds]
