"""Names of splits, and splits for data sets that have none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import numpy as np

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")
_ALIASES = {
    "train": TRAIN,
    "training": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
    "dev": VAL,
    "test": TEST,
    "testing": TEST,
}
# val2017, instances_train2017, train_labels, annotations-test ...
_DECORATION = re.compile(r"^(instances|annotations|labels)[-_]+|[-_]+(labels|annotations)$")
_BORDERS = (0.8, 0.9)  # between the splits, of a name's position
_YEAR = re.compile(r"[-_]?(19|20)\d\d$")


def split_name(text: str) -> str:
    """Return a split's usual name: "valid", "val2017" and "instances_val" are all "val".

    A name that is none of the usual ones is returned without its decoration, e.g. "trainval".
    """
    bare = _DECORATION.sub("", text.strip())
    return _ALIASES.get(_YEAR.sub("", bare).lower(), bare)


def hash_split(image_ids: Iterable[str], *, seed: int) -> dict[str, list[str]]:
    """Split images 80 : 10 : 10 into train, val and test by their names.

    Each image's place depends on its own name and the seed alone: it is the same on every
    machine, and adding images moves none of the others. (Only in very small sets, where val or
    test would be empty, the nearest image of train is moved there.)

    Args:
        image_ids: names, in any order.
        seed: another seed gives another split.

    Returns:
        Names by split, each in the order given.
    """
    ids = list(image_ids)
    places = hash_places(ids, seed=seed)
    return {split: [ids[place] for place in found] for split, found in places.items()}


def hash_places(image_ids: Iterable[str], *, seed: int) -> dict[str, np.ndarray]:
    """Return the same as places among the names: ascending indices by split."""
    positions = np.array([_position(name, seed) for name in image_ids])
    chosen = np.searchsorted(_BORDERS, positions, side="right")
    for number in (SPLITS.index(VAL), SPLITS.index(TEST)):
        train = np.flatnonzero(chosen == 0)
        if number not in chosen and len(train) > 1:
            chosen[train[positions[train].argmax()]] = number
    return {split: np.flatnonzero(chosen == number) for number, split in enumerate(SPLITS)}


def _position(name: str, seed: int) -> float:
    """Return a number in 0..1 that looks random but is a function of name and seed."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
