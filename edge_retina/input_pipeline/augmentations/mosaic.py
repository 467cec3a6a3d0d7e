"""Four training images in one."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.geometry import move_boxes
from edge_retina.input_pipeline.render import warp
from edge_retina.input_pipeline.sample import Picture, Sample

_CENTRE = (0.3, 0.7)  # where the four meet, in image sides


@dataclass(frozen=True)
class _Tile:
    """A part of one image that fills a rectangle of the mosaic.

    Attributes:
        sample: the image.
        matrix: (2, 3), moves x, y in pixels of the image into the rectangle.
        corner: (y, x) of the rectangle in pixels of the mosaic.
        image_hw: height and width of the rectangle.
    """

    sample: Sample
    matrix: np.ndarray
    corner: tuple[int, int]
    image_hw: tuple[int, int]


def mosaic(sample: Sample, draw: Draw) -> Sample:
    """Make an image of four with probability `settings.mosaic`; the sample is the first of them.

    The four meet at a random point. Each is stretched to the size of the first, as it would be to
    the network's input, and then shrunk: at the most until it just fills its rectangle, at the
    least not at all. Of what is too large, a random part is shown. Objects cut by a rectangle's
    edge are treated as those cut by the border of the image.

    Source: Bochkovskiy et al., "YOLOv4", 2020, section 3.3.
    Deviation: YOLO shows the corners where the four images meet and leaves the zoom to other
        augmentations.
    """
    height, width = sample.image_hw
    if not draw.happens(draw.settings.mosaic) or min(height, width) < 4:
        return sample
    middle_y, middle_x = (round(draw.rng.uniform(*_CENTRE) * side) for side in (height, width))
    rows, columns = ((0, middle_y), (middle_y, height)), ((0, middle_x), (middle_x, width))
    tiles: list[_Tile] = []
    for top, bottom in rows:
        for left, right in columns:
            source = draw.draw_another(draw.rng) if tiles else sample
            rectangle_hw = (bottom - top, right - left)
            matrix = _draw_part(draw.rng, source.image_hw, sample.image_hw, rectangle_hw)
            tiles.append(_Tile(source, matrix, (top, left), rectangle_hw))
    return _join(tiles, sample.image_hw)


def _draw_part(
    rng: np.random.Generator,
    source_hw: tuple[int, int],
    image_hw: tuple[int, int],
    rectangle_hw: tuple[int, int],
) -> np.ndarray:
    """Return a map (2, 3) of x, y from an image of `source_hw` that fills a rectangle."""
    least = max(np.divide(rectangle_hw, image_hw))
    zoom = math.exp(rng.uniform(math.log(least), 0))
    scale = zoom * np.divide(image_hw, source_hw)
    surplus = (np.multiply(scale, source_hw) - rectangle_hw).clip(0)
    shift = -rng.random(2) * surplus
    return np.array([[scale[1], 0, shift[1]], [0, scale[0], shift[0]]])


def _join(tiles: Sequence[_Tile], image_hw: tuple[int, int]) -> Sample:
    boxes, classes, ignored, visible = [], [], [], []
    for tile in tiles:
        moved, share = move_boxes(tile.sample.boxes_px, tile.matrix, tile.image_hw)
        left = share > 0
        boxes.append(moved[left] + np.array(tile.corner * 2, np.float32))
        classes.append(tile.sample.classes[left])
        ignored.append(tile.sample.ignored[left])
        visible.append((tile.sample.visible * share)[left])
    return Sample(
        Picture(image_hw, functools.partial(_paint, tiles, image_hw)),
        np.concatenate(boxes),
        np.concatenate(classes),
        np.concatenate(ignored),
        np.concatenate(visible),
    )


def _paint(tiles: Sequence[_Tile], image_hw: tuple[int, int]) -> np.ndarray:
    canvas = np.empty((*image_hw, 3), np.uint8)
    for tile in tiles:
        (top, left), (height, width) = tile.corner, tile.image_hw
        part = warp(tile.sample.image_rgb, tile.matrix, tile.image_hw)
        canvas[top : top + height, left : left + width] = part
    return canvas
