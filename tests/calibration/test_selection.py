from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edge_retina.calibration.selection import select_calibration
from edge_retina.datasets.schema import Example


def example(name: str, *objects: tuple[int, float]) -> Example:
    """A 100 px picture with square objects of (class, side)."""
    boxes = np.array([(0, 0, side, side) for _, side in objects], np.float32).reshape(-1, 4)
    classes = np.array([label for label, _ in objects], np.int32)
    return Example(name, Path(name), (100, 100), boxes, classes, np.zeros(len(objects), bool))


# 40 pictures of one class and size, and one each of what is rare.
COMMON = [example(f"common-{i:02d}", (0, 20)) for i in range(40)]
RARE = [
    example("rare-class", (1, 20)),
    example("small", (0, 3)),
    example("large", (0, 90)),
    example("empty"),
]


@pytest.mark.parametrize("seed", range(5))
def test_every_rare_stratum_is_in(seed: int):
    chosen = select_calibration(COMMON + RARE, 5, num_classes=2, seed=seed).image_ids
    assert {item.image_id for item in RARE} < set(chosen)
    assert sum(name.startswith("common") for name in chosen) == 1


def test_a_picture_counts_for_each_of_its_strata():
    mixed = example("mixed", (0, 20), (1, 20))
    chosen = select_calibration([*COMMON, mixed], 10, num_classes=2, seed=0).image_ids
    assert "mixed" in chosen


@pytest.mark.parametrize("count, expected", [(0, 0), (1, 1), (7, 7), (44, 44), (1000, 44)])
def test_count(count: int, expected: int):
    chosen = select_calibration(COMMON + RARE, count, num_classes=2, seed=0).image_ids
    assert len(chosen) == len(set(chosen)) == expected


def test_no_pictures():
    assert select_calibration([], 4, num_classes=2, seed=0).image_ids == ()


def test_the_seed_decides():
    first, again, other = (
        select_calibration(COMMON, 8, num_classes=2, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first.image_ids != other.image_ids
    assert (first.seed, other.seed) == (3, 4)


def test_the_hash_is_that_of_the_ids_in_order():
    chosen = select_calibration(COMMON + RARE, 6, num_classes=2, seed=0)
    text = "\n".join(chosen.image_ids) + "\n"
    assert chosen.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_the_choice_is_the_same_on_every_machine():
    chosen = select_calibration(COMMON + RARE, 6, num_classes=2, seed=0)
    expected = ("common-02", "small", "large", "rare-class", "empty", "common-34")
    assert chosen.image_ids == expected
    assert chosen.sha256 == "38f607eec5b58f2ff4edd379f3922a98b9c751de64e5b6321e4b018ce341474a"
