from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_retina.evaluation.assignment import assign_detections
from edge_retina.evaluation.coco_metrics import evaluate_detections
from edge_retina.evaluation.errors.slices import Slice, slice_by, worst_slices
from edge_retina.evaluation.errors.traits import Trait, find_traits
from tests.evaluation.errors.made_split import LABELS, draw_errors, found, picture

SMALL, LARGE, NOTHING = (0, 0, 10, 10), (40, 40, 80, 80), (100, 100, 111, 111)


def by_size(*pictures_and_detections: tuple) -> list[Slice]:
    examples, detections = zip(*pictures_and_detections, strict=True)
    (size, *_) = find_traits(examples, detections)
    return slice_by(assign_detections(examples, detections, LABELS), size)


def test_a_false_alarm_counts_in_the_bin_of_its_own_box():
    detections = found(("a", NOTHING, 0.9), ("a", LARGE, 0.8), ("a", SMALL, 0.7))
    small, large = by_size((picture(("a", SMALL), ("a", LARGE)), detections))
    assert (small.name, small.objects, small.found) == ("8-16", 1, 1)
    assert (large.name, large.objects, large.found) == ("32-64", 1, 1)
    assert small.mAP50 == pytest.approx(1 / 2)  # after the false alarm, which is small
    assert large.mAP50 == pytest.approx(1.0)
    assert (small.low, small.high) == (8.0, 16.0)


def test_a_missed_object_counts_in_its_bin():
    small, large = by_size((picture(("a", SMALL), ("a", LARGE)), found(("a", LARGE, 0.8))))
    assert (small.mAP, small.mAP50, small.found) == (0.0, 0.0, 0)
    assert large.mAP == pytest.approx(1.0)


def test_only_classes_with_an_object_in_the_bin_count():
    objects = picture(("a", SMALL), ("b", LARGE))
    small, large = by_size((objects, found(("a", SMALL, 0.8))))
    assert (small.mAP50, large.mAP50) == (pytest.approx(1.0), 0.0)


def test_crowds_are_no_objects():
    (large,) = by_size((picture(("a", SMALL), ("a", LARGE), crowd=[0]), found(("a", LARGE, 0.8))))
    assert large.name == "32-64"


@pytest.mark.parametrize("seed", range(3))
def test_one_bin_for_all_is_the_whole_split(seed: int):
    examples, detections = draw_errors(15, seed, crowd=0.2)
    trait = Trait(
        "all",
        "",
        np.zeros(sum(len(example.classes) for example in examples)),
        np.zeros(sum(map(len, detections))),
        (0.0, np.inf),
        ("all",),
    )
    (item,) = slice_by(assign_detections(examples, detections, LABELS), trait)
    expected = evaluate_detections(examples, detections, LABELS)
    assert item.mAP == pytest.approx(expected.mAP)
    assert item.mAP50 == pytest.approx(expected.mAP50)
    assert item.high is None


@pytest.mark.parametrize("seed", range(3))
def test_pictures_of_one_brightness_are_as_if_there_were_no_others(seed: int):
    examples, detections = draw_errors(18, seed)
    luma = np.arange(18.0)
    *_, brightness = find_traits(examples, detections, luma=luma)
    dark, *_ = slice_by(assign_detections(examples, detections, LABELS), brightness)
    number = int(np.count_nonzero(luma < dark.high))
    assert 0 < number < 18
    expected = evaluate_detections(examples[:number], detections[:number], LABELS)
    assert dark.mAP == pytest.approx(expected.mAP)
    assert dark.mAP50 == pytest.approx(expected.mAP50)


def test_the_worst_come_first():
    base = Slice("size", "8-16", 8, 16, objects=20, found=10, mAP=0.1, mAP50=0.5)
    other = dataclasses.replace(base, name="16-32", mAP50=0.3)
    few = dataclasses.replace(base, name="32-64", mAP50=0.1, objects=9)
    alone = dataclasses.replace(base, trait="brightness", mAP50=0.0)  # all that its trait has
    assert worst_slices([base, other, few, alone], limit=5) == [other, base]
    assert worst_slices([base, other, few, alone], limit=1) == [other]
    assert worst_slices([base, few], limit=5, min_objects=1) == [few, base]
