"""Crop to a random window that keeps objects usable, stretched to the whole input."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.geometry import affine_to_input, move_boxes
from edge_retina.input_pipeline.sample import Sample

_AREA = (0.3, 1.0)  # of the window, as a share of the image (as in SSD's data augmentation)
_ASPECT = 4 / 3  # a window's height/width differs from the image's by up to this, either way
_CANDIDATES = 10
_EDGE = 1e-9  # shares that are smaller come from rounding


def crop(sample: Sample, draw: Draw) -> Sample:
    """Crop with probability `settings.crop`.

    Every candidate window holds the whole of one object, drawn at random; it grows if the object is
    larger. Of ten candidates that one is taken which cuts the fewest objects down to less than
    `settings.min_visible`: these would be in the image, but ignored. Comes after all other
    geometry, so that what the window holds stays in the image.

    Source: the idea of Liu et al., "SSD", ECCV 2016, section 2.2 (windows by their overlap with
        objects).
    Deviation: SSD drops objects whose centre is outside the window; here the share that is left
        decides, as everywhere else.
    """
    if not draw.happens(draw.settings.crop):
        return sample
    boxes, visible, usable = _objects_in_frame(sample, draw.settings.min_visible)
    windows = _draw_windows(draw.rng, boxes[usable])
    spoiled = [_count_spoiled(w, boxes, visible, draw.settings.min_visible) for w in windows]
    return sample.transform(_enlarge(windows[int(np.argmin(spoiled))], sample.image_hw))


def _objects_in_frame(
    sample: Sample, min_visible: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where a sample's changes put its objects.

    Returns:
        boxes (N, 4) yxyx in image sides, without objects outside; visible (N,), the share that is
        left of each; usable (N,) bool, neither ignored now nor after being cut.
    """
    height, width = sample.image_hw
    boxes, share = move_boxes(
        sample.boxes_px, affine_to_input(sample, sample.image_hw), sample.image_hw
    )
    left = share > 0
    visible = (sample.visible * share)[left]
    usable = ~sample.ignored[left] & (visible >= min_visible)
    return boxes[left] / np.array([height, width, height, width]), visible, usable


def _draw_windows(rng: np.random.Generator, kept: np.ndarray) -> np.ndarray:
    """Return candidates (10, 4), yxyx in image sides, each with one of the boxes `kept` (N, 4)."""
    windows = np.empty((_CANDIDATES, 4))
    for window in windows:
        area, ratio = rng.uniform(*_AREA), math.exp(rng.uniform(-1, 1) * math.log(_ASPECT))
        size = np.sqrt(area * np.array([ratio, 1 / ratio]))
        low, high = np.ones(2), np.zeros(2)  # of what the window has to hold: nothing
        if len(kept):
            box = kept[rng.integers(len(kept))]
            low, high = box[:2], box[2:]
            size *= max(1.0, *((high - low) / size))
        size = np.minimum(size, 1)  # of two sides, this makes the longer one shorter
        first, last = np.maximum(high - size, 0), np.minimum(low, 1 - size)
        window[:2] = first + rng.random(2) * np.maximum(last - first, 0)
        window[2:] = window[:2] + size
    return windows


def _count_spoiled(
    window: np.ndarray, boxes: np.ndarray, visible: np.ndarray, min_visible: float
) -> int:
    """Count the boxes (N, 4) of which a window (4,) leaves something, but not enough."""
    sides = np.minimum(boxes[:, 2:], window[2:]) - np.maximum(boxes[:, :2], window[:2])
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share = visible * sides.clip(0).prod(axis=1) / whole
    return int(((share > _EDGE) & (share < min_visible - _EDGE)).sum())


def _enlarge(window: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the map (3, 3) about the image's centre that makes a window fill the image."""
    height, width = image_hw
    (y, x), (window_height, window_width) = (window[:2] + window[2:]) / 2, window[2:] - window[:2]
    shift_x, shift_y = (0.5 - x) * width / window_width, (0.5 - y) * height / window_height
    return np.array([[1 / window_width, 0, shift_x], [0, 1 / window_height, shift_y], [0, 0, 1]])
