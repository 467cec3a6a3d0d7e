"""Displaced boxes are seen in the images of every set, and boxes as they are pass."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import load_dataset
from edge_retina.datasets.schema import Example
from edge_retina.doctor.edges import EdgeOffset, edge_offset

SETS = ("bccd", "chess", "vehicles5", "raccoon", "coco_tiny")
MOVES = ((0.12, 0.0), (0.0, -0.15), (0.15, 0.15))  # of height and width


@cache
def examples(root: Path) -> tuple[Example, ...]:
    return load_dataset(root, skip_invalid=True, seed=0).splits["train"][:150]


def moved(example: Example, y: float, x: float) -> Example:
    boxes = example.boxes_px
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes = boxes + np.tile(sides * (y, x), 2)
    limits = np.array(example.image_hw * 2)
    return dataclasses.replace(example, boxes_px=np.clip(boxes, 0, limits).astype(np.float32))


@pytest.mark.parametrize("name", SETS)
def test_boxes_as_they_are(shared_data: Path, name: str) -> None:
    assert edge_offset(examples(shared_data / name)).displacements() == []


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("move", MOVES)
def test_moved_boxes(shared_data: Path, name: str, move: tuple[float, float]) -> None:
    offset = edge_offset([moved(item, *move) for item in examples(shared_data / name)])
    found = {item.direction: item.share for item in offset.displacements()}
    expected = {
        direction
        for direction, is_moved in (
            ("down", move[0] > 0),
            ("right", move[1] > 0),
            ("left", move[1] < 0),
        )
        if is_moved
    }
    assert found.keys() == expected
    assert all(0.07 <= share <= 0.2 for share in found.values())


def test_few_objects_say_nothing() -> None:
    assert EdgeOffset(0.2, 0.2, 2.0, 2.0, objects=29).displacements() == []
    (down, right) = EdgeOffset(-0.2, -0.1, 2.0, 2.0, objects=30).displacements()
    assert (down.direction, down.share) == ("down", 0.2)
    assert right.text == (
        "boxes lie 10% of their width too far right: moved back, their sides have 2.0 times the "
        "contrast in the images"
    )


def test_no_objects_at_all() -> None:
    assert edge_offset([]).objects == 0
