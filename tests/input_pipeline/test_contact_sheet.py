from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_retina.config import AugmentationConfig
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.contact_sheet import (
    COLUMNS,
    CUT,
    IGNORED,
    KEPT,
    ROWS,
    ContactSheet,
    contact_sheet,
)
from edge_retina.input_pipeline.sample_source import SampleSource
from tests.input_pipeline.samples import OFF, having, soft_image

TILE, GAP = 320, 8  # input of 64 x 64: five pixels of the sheet for each


def examples(root: Path, boxes: list[tuple[float, ...]], crowd: bool = False) -> list[Example]:
    made = []
    for i in range(7):
        path = root / f"{i}.png"
        assert cv2.imwrite(str(path), soft_image((64, 64), seed=i))
        px = np.array(boxes, np.float32).reshape(-1, 4)
        classes, crowds = np.arange(len(px), dtype=np.int32), np.full(len(px), crowd)
        made.append(Example(path.name, path, (64, 64), px, classes, crowds))
    return made


def sheet_of(made: list[Example], settings: AugmentationConfig) -> ContactSheet:
    return contact_sheet(
        made, ("disc", "square"), image_hw=(64, 64), settings=settings, seed=3, title="cells"
    )


def tile(sheet: ContactSheet, row: int, column: int) -> np.ndarray:
    """A tile of the draws, counted from the end of the sheet."""
    bottom = sheet.image_rgb.shape[0] - GAP - (ROWS - 1 - row) * (TILE + GAP)
    left = GAP + column * (TILE + GAP)
    return sheet.image_rgb[bottom - TILE : bottom, left : left + TILE]


def has_colour(image: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((image == colour).all(axis=-1).any())


def test_the_draws_are_those_of_the_training(tmp_path: Path):
    made, settings = examples(tmp_path, []), AugmentationConfig(rotation=10, noise=0.1, jpeg=0.5)
    source = SampleSource(made, image_hw=(64, 64), settings=settings, seed=3)
    sheet = sheet_of(made, settings)
    for number in range(ROWS * COLUMNS):
        want = source.draw(number).image_rgb.repeat(5, axis=0).repeat(5, axis=1)
        np.testing.assert_array_equal(tile(sheet, *divmod(number, COLUMNS)), want)


def test_the_first_row_are_the_images_as_they_are(tmp_path: Path):
    made = examples(tmp_path, [])
    source = SampleSource(made, image_hw=(64, 64), settings=OFF, seed=3)
    sheet = sheet_of(made, having(brightness=1, horizontal_flip=1))
    top = next(
        y
        for y in range(200)
        if np.array_equal(
            sheet.image_rgb[y, GAP : GAP + TILE],
            source.draw(0).image_rgb[0].repeat(5, axis=0),
        )
    )
    for number in range(COLUMNS):
        left = GAP + number * (TILE + GAP)
        found = sheet.image_rgb[top : top + TILE, left : left + TILE]
        want = source.draw(number).image_rgb.repeat(5, axis=0).repeat(5, axis=1)
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize(
    "box, zoom, min_visible, crowd, colour",
    [
        ((20, 20, 40, 40), 1.0, 0.3, False, KEPT),
        ((4, 16, 28, 40), 2.0, 0.3, False, CUT),  # from y = -24 to 24: half of it
        ((4, 16, 28, 40), 2.0, 0.6, False, IGNORED),
        ((20, 20, 40, 40), 1.0, 0.3, True, IGNORED),
    ],
)
def test_each_fate_has_its_colour(
    tmp_path: Path,
    box: tuple[float, ...],
    zoom: float,
    min_visible: float,
    crowd: bool,
    colour: tuple[int, int, int],
):
    made = examples(tmp_path, [box], crowd=crowd)
    sheet = sheet_of(made, having(scale=(zoom, zoom), min_visible=min_visible))
    counts = dict(zip((KEPT, CUT, IGNORED), (sheet.kept, sheet.cut, sheet.ignored), strict=True))
    assert counts == {c: 20 if c == colour else 0 for c in (KEPT, CUT, IGNORED)}
    for row in range(ROWS):
        found = tile(sheet, row, 2)
        assert [has_colour(found, c) for c in (KEPT, CUT, IGNORED)] == [
            c == colour for c in (KEPT, CUT, IGNORED)
        ]
    if colour == KEPT:
        # One input pixel is five of the sheet's: the left edge is at x = 100, below the label.
        assert (tile(sheet, 1, 1)[110:190, 100] == KEPT).all()
