"""A part of a split, for trainings on fewer images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from edge_retina.datasets.example_table import pick
from edge_retina.datasets.schema import Example, image_ids_of


def draw_subset(examples: Sequence[Example], count: int, *, seed: int) -> Sequence[Example]:
    """Return `count` of some examples, in their order; all of them if there are no more.

    Images are drawn by the hashes of their names, so the draw depends on nothing else: it is the
    same on every machine, a smaller number draws a part of a larger one, and an image that is added
    to the set replaces at most one other.

    Args:
        examples: each with its own `image_id`.
        count: 0 for all.
        seed: another seed draws others.
    """
    if not count:
        return pick(examples, range(len(examples)))
    names = image_ids_of(examples)
    drawn = set(sorted(names, key=lambda name: _hash(name, seed))[:count])
    return pick(examples, [place for place, name in enumerate(names) if name in drawn])


def _hash(name: str, seed: int) -> bytes:
    # Not the hash that splits are made by, whose values are much alike within one split.
    return hashlib.sha256(f"subset {seed}:{name}".encode()).digest()


def spread(examples: Sequence[Example], most: int) -> Sequence[Example]:
    """Return at most so many examples, evenly spread over all."""
    if len(examples) <= most:
        return pick(examples, range(len(examples)))
    return pick(examples, np.linspace(0, len(examples), most, endpoint=False).astype(int))
