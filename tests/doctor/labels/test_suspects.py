"""Labels that were spoilt in one way each are found, and named as what they are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.doctor.labels.suspects import (
    MISPLACED,
    MISSED,
    SPURIOUS,
    SWAPPED,
    Suspect,
    Trust,
    find_suspects,
)
from edge_retina.runtime.detections import Detections

HW = (100, 200)
LABELS = ("cat", "dog")
BOXES = np.array([(10, 10, 40, 40), (10, 60, 40, 90), (60, 10, 90, 50)], np.float32)
CLASSES = np.array([0, 1, 0], np.int32)


def picture(
    name: str, boxes: np.ndarray = BOXES, classes: np.ndarray = CLASSES, crowd: int = -1
) -> Example:
    flags = np.arange(len(classes)) == crowd
    return Example(f"{name}.jpg", Path(f"{name}.jpg"), HW, boxes, classes, flags)


def found() -> Detections:
    """All three objects, of falling scores."""
    scores = np.array([0.9, 0.89, 0.88], np.float32)
    return Detections((BOXES / np.tile(HW, 2)).astype(np.float32), CLASSES, scores)


def suspects(example: Example, item: Detections) -> list[Suspect]:
    """Those of one picture, among many in which labels and detections agree."""
    noise = Detections(
        np.array([(0.9, 0.9, 0.99, 0.99)], np.float32),
        np.zeros(1, np.int32),
        np.full(1, 0.06, np.float32),
    )
    others = [picture(f"right-{number}") for number in range(20)]
    wrong = [picture(f"empty-{number}", BOXES[:0], CLASSES[:0]) for number in range(40)]
    everything = find_suspects(
        [*others, *wrong, example], [found()] * 20 + [noise] * 40 + [item], LABELS
    )
    assert {suspect.image_id for suspect in everything} <= {example.image_id}
    return everything


def test_labels_that_agree_are_not_suspicious() -> None:
    assert suspects(picture("it"), found()) == []


def test_a_missing_box() -> None:
    (one,) = suspects(picture("it", BOXES[:2], CLASSES[:2]), found())
    assert (one.kind, one.place, one.label, one.proposed) == (MISSED, -1, "", "cat")
    assert one.proposed_px == pytest.approx((60, 10, 90, 50))
    assert one.suspicion > 0.9


def test_a_wrong_class() -> None:
    (one,) = suspects(picture("it", classes=np.array([0, 0, 0], np.int32)), found())
    assert (one.kind, one.place, one.label, one.proposed) == (SWAPPED, 1, "cat", "dog")
    assert one.suspicion > 0.9


def test_a_box_beside_its_object() -> None:
    moved = BOXES.copy()
    moved[2] += (0, 20, 0, 20)
    (one,) = suspects(picture("it", moved), found())
    assert (one.kind, one.place, one.label) == (MISPLACED, 2, "cat")
    assert json.loads(json.dumps(one.to_dict()))["kind"] == MISPLACED, "numpy's numbers fail here"
    assert one.box_px == pytest.approx((60, 30, 90, 70))
    assert one.proposed_px == pytest.approx((60, 10, 90, 50))
    assert one.suspicion == pytest.approx(2 / 3, abs=0.05)  # IoU 1 / 3


def test_a_box_without_an_object() -> None:
    boxes = np.concatenate([BOXES, [(55, 120, 85, 150)]]).astype(np.float32)
    (one,) = suspects(picture("it", boxes, np.append(CLASSES, 0).astype(np.int32)), found())
    assert (one.kind, one.place, one.proposed, one.proposed_px) == (SPURIOUS, 3, "", None)
    assert one.suspicion > 0.9, "such objects are always found elsewhere"


def test_a_box_that_fits_well_enough_is_left_alone() -> None:
    loose = BOXES.copy()
    loose[2] += (-3, -3, 3, 3)
    assert suspects(picture("it", loose), found()) == []


def test_a_second_opinion_on_a_class_counts_less() -> None:
    """Where the right class is found as surely, the label isn't doubted."""
    both = Detections(
        np.concatenate([found().boxes_norm, found().boxes_norm[:1]]),
        np.append(CLASSES, 1).astype(np.int32),
        np.append(found().scores, 0.9).astype(np.float32),
    )
    assert [item.kind for item in suspects(picture("it"), both)] in ([], [SWAPPED])
    assert all(item.suspicion < 0.3 for item in suspects(picture("it"), both))


def test_detections_in_a_crowd_are_not_missing_boxes() -> None:
    boxes = np.concatenate([BOXES[:2], [(50, 0, 100, 200)]]).astype(np.float32)
    example = picture("it", boxes, np.array([0, 1, 0], np.int32), crowd=2)
    assert suspects(example, found()) == []


def test_several_detections_of_a_missing_object_are_one_suspect() -> None:
    twice = Detections(
        np.concatenate([found().boxes_norm, found().boxes_norm[2:]]),
        np.array([0, 1, 0, 1], np.int32),
        np.array([0.9, 0.9, 0.9, 0.5], np.float32),
    )
    (one,) = suspects(picture("it", BOXES[:2], CLASSES[:2]), twice)
    assert one.proposed == "cat"


def test_the_most_suspicious_come_first() -> None:
    sure, unsure = picture("a", BOXES[:2], CLASSES[:2]), picture("b", BOXES[:2], CLASSES[:2])
    low = found()
    low = dataclasses.replace(low, scores=np.array([0.9, 0.9, 0.8], np.float32))
    noise = dataclasses.replace(low, boxes_norm=low.boxes_norm[:, ::-1].copy() * 0.2)
    examples = [*[picture(f"r{n}") for n in range(20)], *[picture(f"n{n}") for n in range(20)]]
    items = [*[found()] * 20, *[dataclasses.replace(noise, scores=noise.scores * 0.1)] * 20]
    ranked = find_suspects([*examples, unsure, sure], [*items, low, found()], LABELS)
    names = [item.image_id for item in ranked if item.kind == MISSED and item.image_id[0] in "ab"]
    assert names[:2] == ["a.jpg", "b.jpg"]


def test_kinds_take_turns() -> None:
    """Many missing boxes don't hide the only wrong class."""
    examples = [picture(f"r{n}") for n in range(20)]
    missing = [picture(f"m{n}", BOXES[:2], CLASSES[:2]) for n in range(5)]
    wrong = picture("w", classes=np.array([0, 0, 0], np.int32))
    every = [*examples, *missing, wrong]
    ranked = find_suspects(every, [found()] * len(every), LABELS)
    assert [item.kind for item in ranked].index(SWAPPED) < 2
    assert [item.kind for item in ranked].count(MISSED) == 5


def test_trust_never_falls_with_the_score() -> None:
    rng = np.random.default_rng(0)
    examples = [picture(str(number)) for number in range(50)]
    items = []
    for _ in examples:
        boxes = BOXES + rng.normal(0, 8, BOXES.shape)
        items.append(
            Detections(
                (boxes / np.tile(HW, 2)).astype(np.float32),
                CLASSES,
                rng.uniform(0.05, 1, 3).astype(np.float32),
            )
        )
    shares = Trust(examples, items).of(np.linspace(0, 1, 50))
    assert (np.diff(shares) >= 0).all()
    assert shares[0] < shares[-1]


def test_nothing_at_all() -> None:
    empty = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    assert find_suspects([picture("it", BOXES[:0], CLASSES[:0])], [empty], LABELS) == []
