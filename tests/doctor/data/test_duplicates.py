from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_retina.doctor.data.checks.duplicates import MAX_BITS, near_looks
from edge_retina.doctor.data.picture_file import perceptual_hash
from tests.doctor.made import photo


def all_pairs(looks: np.ndarray, eligible: np.ndarray) -> list[list[int]]:
    """The slow definition: each picture with its nearest earlier one."""
    pairs = []
    for second in range(len(looks)):
        bits = [
            (bin(int(looks[first]) ^ int(looks[second])).count("1"), first)
            for first in range(second)
            if eligible[first]
        ]
        if bits and min(bits)[0] <= MAX_BITS:
            pairs.append([min(bits)[1], second])
    return sorted(pairs)


def test_nothing_resembles_nothing() -> None:
    assert near_looks(np.zeros(0, np.uint64), eligible=np.zeros(0, bool)).shape == (0, 2)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_near_looks_equals_comparing_all_with_all(share: float) -> None:
    rng = np.random.default_rng(3)
    looks = rng.integers(0, 2**63, 40, dtype=np.uint64)
    for index in range(20, 40):  # the second half: some of the first with a few bits changed
        flips = rng.choice(64, rng.integers(0, 10), replace=False)
        looks[index] = looks[index - 20] ^ np.uint64(sum(1 << int(bit) for bit in flips))
    eligible = rng.random(40) < share
    pairs = near_looks(looks, eligible=eligible)
    assert pairs.tolist() == all_pairs(looks, eligible)
    assert len(pairs) >= 5


def bits_between(first: np.ndarray, second: np.ndarray) -> int:
    return bin(perceptual_hash(first) ^ perceptual_hash(second)).count("1")


@pytest.mark.parametrize("seed", range(6))
def test_hash_stays_near_when_a_picture_is_saved_again(seed: int) -> None:
    grey = cv2.cvtColor(photo(seed, (240, 320)), cv2.COLOR_BGR2GRAY)
    smaller = cv2.convertScaleAbs(cv2.resize(grey, None, fx=0.6, fy=0.6), alpha=1.1, beta=8)
    _, jpeg = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert bits_between(grey, cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE)) <= MAX_BITS


def test_hashes_of_different_pictures_are_far_apart() -> None:
    greys = [cv2.cvtColor(photo(seed), cv2.COLOR_BGR2GRAY) for seed in range(12)]
    distances = [bits_between(a, b) for i, a in enumerate(greys) for b in greys[:i]]
    assert min(distances) > MAX_BITS
