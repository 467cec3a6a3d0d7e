"""Checks for pictures that occur more than once, within a split or across splits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.datasets.schema import Example, image_ids_of
from edge_retina.doctor.data.picture_table import PictureTable
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import Case, Finding, Kind

# Measured on the five real sets of ../shared/data (1,640 pictures): of 300 of them shrunk to 0.6,
# brightened and saved at JPEG quality 40, 95 % stay within 4 bits of the original and all but one
# within 6; no two different photographs are within 10, save those of one fixed camera.
MAX_BITS = 6
# Pictures of one fixed camera share their hash and differ in what happens in them; re-encoding
# changes a 16x16 thumbnail by less than this (mean grey levels, after taking the mean away).
_MAX_GREY_LEVELS = 5.0
_SAME_OBJECT_IOU = 0.5
# All pictures of a fixed camera share their bands; each is compared with this many before it, which
# are usually near in time, so that such a data set doesn't take hours.
_COMPARED = 2000
_BLOCK = 4096  # pairs at a time; their thumbnails take 8 MB
MOST_OBJECTS = 5000  # of a picture; each is compared with each of its copy
_COMPARED_BOXES = 1_000_000  # pairs of boxes at a time: some 50 MB

EXACT = Kind(
    "duplicate-image",
    "warning",
    "Identical picture files",
    "each copy counts again in training, and in the metrics if it is in a test split",
    "keep one of each",
)
NEAR = Kind(
    "near-duplicate-image",
    "note",
    "Pictures that look nearly the same",
    "video frames, resized copies or a fixed camera: they add less information than their number "
    "suggests",
    "keep those that show something new; split by scene or by day, not by picture",
)
LEAK = Kind(
    "leaked-image",
    "warning",
    "Pictures in both the training split and a validation or test split",
    "the model is tested on pictures it has memorised, so its mAP is too high",
    "keep each picture in one split only",
)
NEAR_LEAK = Kind(
    "near-leaked-image",
    "warning",
    "Validation or test pictures that look nearly like a training picture",
    "the mAP then says how well known scenes are detected, not new ones",
    "put all pictures of a scene, a video or a day into the same split",
)
DISAGREEING = Kind(
    "duplicate-with-other-boxes",
    "warning",
    "Identical pictures with different boxes",
    "at least one of the two annotations is wrong, and training is pulled both ways",
    "keep the better annotation and delete the other picture",
)


def check_duplicates(survey: Survey) -> list[Finding]:
    """Return all findings about repeated pictures."""
    exact, near = exact_pairs(survey), near_pairs(survey)
    trained = frozenset(
        image_ids_of(survey.measured_splits.get(survey.config.data.train_split, ()))
    )
    near_trained = near_pairs(survey, eligible=trained)
    similar = {item.image_id for pair in near for item in pair}
    return [
        *EXACT.found([Case(_name(survey, b), f"same as {_name(survey, a)}") for a, b in exact]),
        *_disagreeing(survey, exact),
        *LEAK.found(_in_two_splits(survey, trained) + _leaks(survey, exact, trained)),
        *NEAR.found(
            [Case(_name(survey, b), f"like {_name(survey, a)}") for a, b in near],
            count=len(similar),
        ),
        *NEAR_LEAK.found(_leaks(survey, near_trained, trained)),
    ]


def exact_pairs(survey: Survey) -> list[tuple[Example, Example]]:
    """Return (first, other) of pictures in different files with the same content."""
    usable = survey.usable
    first, group = _first_of_content(survey)
    order = np.lexsort((np.arange(len(usable)), first[group]))  # by the first of each content
    return [
        (usable[int(first[group[place]])], usable[place])
        for place in order.tolist()
        if place != first[group[place]]
    ]


def _first_of_content(survey: Survey) -> tuple[np.ndarray, np.ndarray]:
    """Return the first usable example of each content, (C,), and the content of each one, (N,)."""
    digests = survey.pictures.digests[survey.pictures_of(survey.usable)]
    _, first, group = np.unique(digests.view("S32").ravel(), return_index=True, return_inverse=True)
    return first, group.ravel()


def near_pairs(
    survey: Survey, *, eligible: frozenset[str] | None = None
) -> list[tuple[Example, Example]]:
    """Return (earlier, later) pictures that look nearly the same and differ in file content.

    Args:
        survey: the data set.
        eligible: ids of the pictures that may be the earlier one; by default all.
    """
    sound, files = survey.sound(survey.usable), survey.pictures
    rows = survey.pictures_of(sound)
    # Of several pictures with the same content, the first
    _, first = np.unique(files.digests[rows].view("S32").ravel(), return_index=True)
    first = np.sort(first)
    items, rows = sound.take(sound.rows[first]), rows[first]
    looks = files.looks[rows]
    allowed = np.ones(len(items), bool)
    if eligible is not None:
        allowed = np.fromiter((name in eligible for name in items.image_ids()), bool, len(items))
    pairs = near_looks(looks, eligible=allowed)
    near = [
        pairs[start : start + _BLOCK][_resemble(files, rows[pairs[start : start + _BLOCK]])]
        for start in range(0, len(pairs), _BLOCK)
    ]
    return [(items[a], items[b]) for block in near for a, b in block.tolist()]


def _resemble(files: PictureTable, pairs: np.ndarray) -> np.ndarray:
    """Return for each pair (P, 2) of rows whether the thumbnails are nearly the same, (P,)."""
    one, other = (
        files.thumbnails[side].astype(np.float32).reshape(len(pairs), -1) for side in pairs.T
    )
    one -= one.mean(axis=1, keepdims=True)
    other -= other.mean(axis=1, keepdims=True)
    return np.abs(one - other).mean(axis=1) <= _MAX_GREY_LEVELS


def near_looks(looks: np.ndarray, *, eligible: np.ndarray, max_bits: int = MAX_BITS) -> np.ndarray:
    """Return pairs of indices whose 64-bit hashes differ in at most `max_bits` bits.

    Two such hashes agree wholly in at least one of `max_bits` + 1 bands, so only those that share
    a band are compared. Each picture is paired with its nearest earlier one only: a thousand frames
    of one camera give a thousand pairs, not half a million.

    Args:
        looks: (N,) uint64.
        eligible: (N,) bool, may be the earlier one of a pair.
        max_bits: bits that may differ.

    Returns:
        (P, 2) indices, the earlier one first.
    """
    edges = np.linspace(0, 64, max_bits + 2).astype(int)
    nearest = _Nearest(np.full(len(looks), 65, np.uint8), np.full(len(looks), -1, np.int32))
    for low, high in itertools.pairwise(edges.tolist()):
        band = (looks >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            _compare(members, looks, eligible, nearest)
    second = np.flatnonzero(nearest.bits <= max_bits)
    pairs = np.stack([nearest.earlier[second].astype(np.int64), second], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


class _Nearest(NamedTuple):
    """Of each of N pictures how many bits the nearest one before it is away, and which that is."""

    bits: np.ndarray
    earlier: np.ndarray


def _compare(
    members: np.ndarray, looks: np.ndarray, eligible: np.ndarray, nearest: _Nearest
) -> None:
    """Note for each of `members`, which ascend, how many bits the nearest one before it is away."""
    for place in range(1, len(members)):
        second = members[place]
        before = members[max(0, place - _COMPARED) : place]
        before = before[eligible[before]]
        if len(before):
            bits = _bit_count(looks[before] ^ looks[second])
            best = int(bits.argmin())
            found = int(bits[best]), int(before[best])
            if found < (int(nearest.bits[second]), int(nearest.earlier[second])):
                nearest.bits[second], nearest.earlier[second] = found


def _bit_count(values: np.ndarray) -> np.ndarray:
    """Return the number of set bits of (N,) uint64; NumPy has its own from 2.0 on only."""
    return np.unpackbits(values[:, None].view(np.uint8), axis=1).sum(axis=1)


def _measured(survey: Survey) -> dict[str, str]:
    """Return by image id the splits that measure."""
    splits = dict(survey.measured_splits)
    splits.pop(survey.config.data.train_split, None)
    return {image_id: name for name, items in splits.items() for image_id in image_ids_of(items)}


def _in_two_splits(survey: Survey, trained: frozenset[str]) -> list[Case]:
    both = {name: split for name, split in _measured(survey).items() if name in trained}
    names = {}
    for place, image_id in enumerate(survey.usable.image_ids() if both else ()):
        if image_id in both:
            names[image_id] = survey.name_of(Path(survey.usable.path(place)))
    return [
        Case(names[image_id], f"listed in {survey.config.data.train_split} and in {split}")
        for image_id, split in both.items()
    ]


def _leaks(
    survey: Survey, pairs: Sequence[tuple[Example, Example]], trained: frozenset[str]
) -> list[Case]:
    """Pairs of which one is trained on and the other measured on."""
    measured = _measured(survey)
    cases: dict[str, Case] = {}
    for first, second in pairs:
        for one, other in ((first, second), (second, first)):
            if one.image_id in trained and other.image_id in measured:
                detail = f"in {measured[other.image_id]}; {_name(survey, one)} is in training"
                cases[other.image_id] = Case(_name(survey, other), detail)
    return list(cases.values())


def _disagreeing(survey: Survey, pairs: Sequence[tuple[Example, Example]]) -> list[Finding]:
    cases = []
    for first, second in pairs:
        missing = _unmatched(first, second) + _unmatched(second, first)
        if missing:
            detail = f"{missing} boxes without a partner in {_name(survey, first)}"
            cases.append(Case(_name(survey, second), detail))
    return DISAGREEING.found(cases)


def _unmatched(first: Example, second: Example) -> int:
    """Return how many objects of `first` have no object of the same class near in `second`.

    Of each picture the first `MOST_OBJECTS` are compared.
    """
    if not len(first.classes) or not len(second.classes):
        return len(first.classes)
    most, missing = MOST_OBJECTS, 0
    boxes, classes = second.boxes_norm[:most], second.classes[:most]
    rows = max(1, _COMPARED_BOXES // len(classes))
    for start in range(0, min(len(first.classes), most), rows):
        part = slice(start, min(start + rows, most))
        iou = pairwise_iou(first.boxes_norm[part], boxes)
        iou[first.classes[part, None] != classes[None, :]] = 0
        missing += int((iou.max(axis=1) < _SAME_OBJECT_IOU).sum())
    return missing


def _name(survey: Survey, example: Example) -> str:
    return survey.name_of(example.path)


def look_alikes(survey: Survey) -> dict[str, int]:
    """Return the number of a group by image id; pictures that look the same share one."""
    names = image_ids_of(survey.usable)
    group = {name: number for number, name in enumerate(names)}

    def first(name: str) -> int:
        number = group[name]
        while group[names[number]] != number:
            number = group[names[number]]
        return number

    for one, other in (*exact_pairs(survey), *near_pairs(survey)):
        lower, higher = sorted((first(one.image_id), first(other.image_id)))
        group[names[higher]] = lower
    return {name: first(name) for name in names}
