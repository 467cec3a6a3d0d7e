"""The objects that anchors are fitted to, as training draws them, and others to measure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_retina.boxes.samples import BoxSample, Fold, HeldOut
from edge_retina.config import AugmentationConfig
from edge_retina.datasets.example_table import ExampleTable, pick
from edge_retina.datasets.objects import boxes_at_input
from edge_retina.datasets.schema import Example, image_ids_of
from edge_retina.input_pipeline.augmented_objects import augmented_boxes

_LEAST_DRAWS, _DRAWS_PER_PICTURE = 2000, 8
_MOST_OF_A_PICTURE = 50  # more draws of a handful of pictures show nothing new
_MOST_DRAWS = 8000  # of a large data set: two or three seconds
_MOST_BOXES = 20_000  # k-means over more of them gives the same shapes
_FOLDS = 5


def drawn_objects(
    examples: Sequence[Example],
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
) -> BoxSample:
    """Return the objects of training images as a training will see them.

    Args:
        examples: the training split.
        image_hw: height and width of the network's input.
        settings: the augmentation of the training.
        seed: that of the training.

    Returns:
        Boxes of 2,000 images, or of 8 of each picture if that is more, cut at the border and
        without ignored ones; at most 50 of a picture, 8,000 images and 20,000 boxes.
    """
    return _drawn(
        examples,
        number_of_draws(len(examples)),
        image_hw=image_hw,
        settings=settings,
        seed=seed,
    )


def _drawn(
    examples: Sequence[Example],
    draws: int,
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
) -> BoxSample:
    objects = int((~ExampleTable.of(examples).ignored).sum())
    boxes = augmented_boxes(
        examples,
        image_hw=image_hw,
        settings=settings,
        seed=seed,
        draws=draws if objects else 0,
    )
    return BoxSample(boxes, objects).at_most(_MOST_BOXES, seed=seed)


def number_of_draws(pictures: int) -> int:
    """Return how many images are drawn of so many pictures."""
    least = min(_LEAST_DRAWS, _MOST_OF_A_PICTURE * pictures)
    return max(least, min(_DRAWS_PER_PICTURE * pictures, _MOST_DRAWS))


def held_out_objects(
    train: Sequence[Example],
    drawn: BoxSample,
    other: Sequence[Example],
    *,
    other_name: str,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
) -> HeldOut:
    """Keep objects apart that anchors are not fitted to.

    Args:
        train: pictures to fit anchors to.
        drawn: their objects, of `drawn_objects`.
        other: pictures of another split; those that are in `train` too are left out.
        other_name: of that split.
        image_hw: height and width of the network's input.
        settings: the augmentation of the training; what is measured is not augmented.
        seed: that of the training.

    Returns:
        The objects of the other split; where it has none, five folds of `train` by picture.
    """
    how: dict[str, Any] = {"image_hw": image_hw, "settings": settings, "seed": seed}
    known = set(image_ids_of(train))
    apart = [place for place, name in enumerate(image_ids_of(other)) if name not in known]
    measured = boxes_at_input(pick(other, apart), image_hw)
    if len(measured):
        name = f"split '{other_name}'"
        return HeldOut(name, (Fold(drawn, measured),))
    folds, fold_of = [], _fold_of(train)
    for number in range(_FOLDS):
        rest, kept = (
            pick(train, np.flatnonzero(x)) for x in (fold_of != number, fold_of == number)
        )
        draws = min(_DRAWS_PER_PICTURE * len(rest), _LEAST_DRAWS)
        folds.append(Fold(_drawn(rest, draws, **how), boxes_at_input(kept, image_hw)))
    return HeldOut(f"{_FOLDS} folds by picture", tuple(folds))


def _fold_of(examples: Sequence[Example]) -> np.ndarray:
    """Return the fold (N,) of each picture, the same on every machine; no name decides it."""
    names = image_ids_of(examples)
    hashes = {name: hashlib.sha256(name.encode()).digest() for name in names}
    fold = {
        name: place % _FOLDS for place, name in enumerate(sorted(hashes, key=hashes.__getitem__))
    }
    return np.array([fold[name] for name in names], np.int64)
