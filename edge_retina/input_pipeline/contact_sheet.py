"""A sheet of pictures that shows training images as a training will see them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_retina.config import AugmentationConfig
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.drawing import draw_boxes
from edge_retina.input_pipeline.render import render
from edge_retina.input_pipeline.sample import Sample
from edge_retina.input_pipeline.sample_source import SampleSource

ROWS, COLUMNS = 4, 5  # of draws; one row of images as they are comes first
# RGB; bright, for pictures are mostly darker, and of different lightness, for colour-blind readers.
KEPT, CUT, IGNORED = (60, 220, 100), (255, 190, 0), (235, 40, 40)
_COLOURS = (KEPT, CUT, IGNORED)
_MEANINGS = ("whole", "cut off or covered in part", "ignored")
_INK, _PAPER = (30, 30, 30), (255, 255, 255)
_TILE_PX = 320  # the longer side: labels can be read, and the sheet is 1600 px wide
_GAP_PX = 8
_LINE_PX = 24  # of text
_FONT, _FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.5
_ROUNDING = 1e-6  # of visible shares


@dataclass(frozen=True)
class ContactSheet:
    """The drawn sheet, and how many objects are on it.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        kept, cut, ignored: objects in the draws; the images as they are don't count.
    """

    image_rgb: np.ndarray
    kept: int
    cut: int
    ignored: int


def contact_sheet(
    examples: Sequence[Example],
    labels: Sequence[str],
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    seed: int,
    title: str,
) -> ContactSheet:
    """Draw the first 20 images of a training, below the images that the first five are made of.

    Args:
        examples: the training split.
        labels: class names.
        image_hw: height and width of the network's input.
        settings: ranges and probabilities.
        seed: that of the training.
        title: stands above everything else.
    """
    source = SampleSource(examples, image_hw=image_hw, settings=settings, seed=seed)
    originals = [
        render(source.original(number), image_hw, min_visible=0) for number in range(COLUMNS)
    ]
    draws = [source.draw(number) for number in range(ROWS * COLUMNS)]
    counts = np.bincount(np.concatenate([_statuses(d) for d in draws]), minlength=3).tolist()
    above = _grid([_tile(sample, labels) for sample in originals])
    below = _grid([_tile(sample, labels) for sample in draws])
    width = above.shape[1]
    image = np.concatenate(
        [
            _text(title, width),
            _legend(counts, width),
            _text(f"The images of the first {COLUMNS} draws as they are", width),
            above,
            _text(f"The first {len(draws)} draws of the training", width),
            below,
        ]
    )
    return ContactSheet(image, *counts)


def _statuses(sample: Sample) -> np.ndarray:
    """Return what became of each object (G,), as an index into `_COLOURS`."""
    return np.where(sample.ignored, 2, np.where(sample.visible < 1 - _ROUNDING, 1, 0))


def _tile(sample: Sample, labels: Sequence[str]) -> np.ndarray:
    """Return a rendered sample at the tile's size, with its boxes; whole objects lie on top."""
    zoom = _TILE_PX / max(sample.image_hw)
    size = [max(1, round(side * zoom)) for side in sample.image_hw[::-1]]
    # Pixels of the input stay visible as such
    image = cv2.resize(sample.image_rgb, size, interpolation=cv2.INTER_NEAREST_EXACT)
    statuses = _statuses(sample)
    order = np.argsort(-statuses, kind="stable")
    return draw_boxes(
        image,
        sample.boxes_px[order] * zoom,
        [labels[index] for index in sample.classes[order]],
        [_COLOURS[status] for status in statuses[order]],
        labels_overlap=False,
    )


def _grid(tiles: Sequence[np.ndarray]) -> np.ndarray:
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // COLUMNS)
    size = (rows * (height + _GAP_PX) + _GAP_PX, COLUMNS * (width + _GAP_PX) + _GAP_PX, 3)
    canvas = np.full(size, _PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        y, x = _GAP_PX + row * (height + _GAP_PX), _GAP_PX + column * (width + _GAP_PX)
        canvas[y : y + height, x : x + width] = tile
    return canvas


def _legend(counts: Sequence[int], width: int) -> np.ndarray:
    canvas = np.full((_LINE_PX, width, 3), _PAPER, np.uint8)
    x = _GAP_PX
    for colour, meaning, count in zip(_COLOURS, _MEANINGS, counts, strict=True):
        cv2.rectangle(canvas, (x, 5), (x + 14, 19), colour, cv2.FILLED)
        text = f"{meaning}: {count}"
        _write(canvas, text, x + 20, 0)
        x += 20 + _text_width(text) + 30
    return canvas


def _text(text: str, width: int) -> np.ndarray:
    share = (width - 2 * _GAP_PX) / _text_width(text)
    # Letters differ in width: a line of as many as fit on average may be a little too wide
    lines = textwrap.wrap(text, max(20, int(0.95 * share * len(text))))
    canvas = np.full((_LINE_PX * len(lines), width, 3), _PAPER, np.uint8)
    for number, line in enumerate(lines):
        _write(canvas, line, _GAP_PX, number * _LINE_PX)
    return canvas


def _write(canvas: np.ndarray, text: str, left: int, top: int) -> None:
    origin = (left, top + 17)
    cv2.putText(canvas, text, origin, _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)


def _text_width(text: str) -> int:
    (width, _), _ = cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)
    return int(width)
