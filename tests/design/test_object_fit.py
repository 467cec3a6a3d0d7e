"""What the objects of a data set are for a network, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.datasets import Example
from edge_retina.design.object_fit import few_examples, object_fit


def example(name: str, boxes: list[tuple[float, ...]], *, crowd: bool = False) -> Example:
    boxes_px = np.array(boxes, np.float32).reshape(-1, 4)
    flags = np.full(len(boxes_px), crowd)
    return Example(name, Path(name), (256, 256), boxes_px, np.zeros(len(boxes_px), np.int32), flags)


def grid(side: int, levels: tuple[int, ...]) -> AnchorGrid:
    return AnchorGrid((side, side), levels[0], square_shapes(levels))


# At 128 px: 4 px; 16 px beside an anchor of 32; 32 px right on the anchor of a cell
BOXES = [(0.0, 0.0, 8.0, 8.0), (8.0, 8.0, 40.0, 40.0), (40.0, 40.0, 104.0, 104.0)]


def test_shares_by_hand() -> None:
    examples = [example("a", BOXES), example("b", [(0.0, 0.0, 256.0, 256.0)], crowd=True)]
    fit = object_fit(grid(128, (3, 4)), examples)
    assert fit.objects == 3  # crowds are no objects
    assert fit.learnable == pytest.approx(2 / 3)  # 8 px is one cell
    assert fit.covered == pytest.approx(1 / 3)  # 16 in 32 px has an IoU of a quarter
    assert fit.sides_px[2] == pytest.approx(16)
    assert fit.sides_cells(3)[2] == pytest.approx(2)


def test_a_coarser_finest_level_learns_less() -> None:
    fit = object_fit(grid(128, (4, 5)), [example("a", BOXES)])
    assert fit.learnable == pytest.approx(2 / 3)  # 16 px is one cell of level 4
    fit = object_fit(grid(96, (4, 5)), [example("a", BOXES)])
    assert fit.learnable == pytest.approx(1 / 3)  # and here it has 12


def test_a_larger_input_makes_objects_larger() -> None:
    fit = object_fit(grid(256, (3, 4)), [example("a", BOXES)])
    assert fit.learnable == 1
    assert fit.sides_px[2] == pytest.approx(32)


def test_a_large_data_set_is_looked_at_in_part() -> None:
    examples = [example(f"{number}.jpg", BOXES) for number in range(2100)]
    assert len(few_examples(examples, seed=0)) == 2000
    assert few_examples(examples[:5], seed=0) == tuple(examples[:5])
    assert few_examples((), seed=0) == ()
