from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.datasets import Example
from edge_retina.input_pipeline.anchor_objects import (
    drawn_objects,
    held_out_objects,
    number_of_draws,
)
from edge_retina.input_pipeline.augmented_objects import augmented_boxes

HW = (64, 64)
STILL = AugmentationConfig(horizontal_flip=0, scale=(1, 1), aspect=0, translate=0)
MOVING = AugmentationConfig()


def pictures(count: int, first: int = 0) -> list[Example]:
    """Pictures of 128 px, each with one object whose height is its own, and one that is ignored."""
    return [
        Example(
            image_id=f"{number}.jpg",
            path=Path(f"{number}.jpg"),
            image_hw=(128, 128),
            boxes_px=np.array([(20, 20, 40 + 2 * number, 60), (0, 0, 9, 9)], np.float32),
            classes=np.zeros(2, np.int32),
            crowd=np.array([False, True]),
        )
        for number in range(first, first + count)
    ]


def heights(boxes: np.ndarray) -> set[int]:
    return set((boxes[:, 2] - boxes[:, 0]).round().astype(int).tolist())


@pytest.mark.parametrize(
    "count, draws",
    [(1, 50), (40, 2000), (250, 2000), (251, 2008), (1001, 8000), (100_000, 8000)],
)
def test_number_of_draws(count: int, draws: int) -> None:
    assert number_of_draws(count) == draws


def test_objects_are_those_that_training_draws() -> None:
    some = pictures(3)
    found = drawn_objects(some, image_hw=HW, settings=MOVING, seed=5)
    expected = augmented_boxes(some, image_hw=HW, settings=MOVING, seed=5, draws=150)
    np.testing.assert_array_equal(found.boxes_px, expected)
    assert found.objects == 3, "ignored ones are none"
    still = drawn_objects(some, image_hw=HW, settings=STILL, seed=5)
    assert still.per_object == 50
    assert heights(still.boxes_px) == {10, 11, 12}  # at half the size


def test_without_objects() -> None:
    nothing = [dataclasses.replace(item, crowd=np.array([True, True])) for item in pictures(2)]
    for some in ([], nothing):
        found = drawn_objects(some, image_hw=HW, settings=MOVING, seed=0)
        assert (found.boxes_px.shape, found.objects) == ((0, 4), 0)


def held_out(train: list[Example], other: list[Example]):
    how = {"image_hw": HW, "settings": STILL, "seed": 0}
    return held_out_objects(train, drawn_objects(train, **how), other, other_name="val", **how)


def test_another_split_is_held_out_without_the_pictures_of_the_first() -> None:
    found = held_out(pictures(4), pictures(4, first=2))
    assert found.name == "split 'val'"
    (fold,) = found.folds
    assert heights(fold.fitted_to.boxes_px) == {10, 11, 12, 13}
    assert heights(fold.measured_px) == {14, 15}
    assert len(found.boxes_px) == 2


@pytest.mark.parametrize("other", [[], pictures(2)], ids=["none", "the same pictures"])
def test_five_folds_by_picture_where_there_is_no_other_split(other: list[Example]) -> None:
    train = pictures(12)
    found = held_out(train, other)
    assert found.name == "5 folds by picture"
    assert sorted(len(fold.measured_px) for fold in found.folds) == [2, 2, 2, 3, 3]
    everything = set(range(10, 22))
    for fold in found.folds:
        measured, fitted_to = heights(fold.measured_px), heights(fold.fitted_to.boxes_px)
        assert fitted_to == everything - measured
        assert fold.fitted_to.objects == 12 - len(measured)
    assert sorted(heights(found.boxes_px)) == sorted(everything)
    again = held_out(train[::-1], other)
    assert [heights(fold.measured_px) for fold in again.folds] == [
        heights(fold.measured_px) for fold in found.folds
    ], "the order of the pictures changes nothing"
