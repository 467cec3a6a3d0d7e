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
    spoiled = _count_spoiled(windows, boxes, visible, draw.settings.min_visible)
    return sample.transform(_enlarge(windows[np.argmin(spoiled)], sample.image_hw))


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
    area = rng.uniform(*_AREA, _CANDIDATES)
    ratio = np.exp(rng.uniform(-1, 1, _CANDIDATES) * math.log(_ASPECT))
    sizes = np.sqrt(np.stack([area * ratio, area / ratio], axis=1))
    # What a window has to hold: from `low` to `high`; without any box nothing
    low, high = np.ones((_CANDIDATES, 2)), np.zeros((_CANDIDATES, 2))
    if len(kept):
        boxes = kept[rng.integers(len(kept), size=_CANDIDATES)]
        low, high = boxes[:, :2], boxes[:, 2:]
        sizes *= ((high - low) / sizes).max(axis=1, initial=1, keepdims=True)
    sizes = np.minimum(sizes, 1)  # of two sides, this makes the longer one shorter
    first, last = np.maximum(high - sizes, 0), np.minimum(low, 1 - sizes)
    corners = first + rng.random((_CANDIDATES, 2)) * np.maximum(last - first, 0)
    return np.concatenate([corners, corners + sizes], axis=1)


def _count_spoiled(
    windows: np.ndarray, boxes: np.ndarray, visible: np.ndarray, min_visible: float
) -> np.ndarray:
    """Return (W,) of how many boxes (N, 4) each window (W, 4) leaves something, but not enough."""
    high = np.minimum(boxes[:, 2:], windows[:, None, 2:])
    low = np.maximum(boxes[:, :2], windows[:, None, :2])
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    share = visible * (high - low).clip(0).prod(axis=2) / whole
    return ((share > _EDGE) & (share < min_visible - _EDGE)).sum(axis=1)


def _enlarge(window: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the map (3, 3) about the image's centre that makes a window fill the image."""
    height, width = image_hw
    (y, x), (window_height, window_width) = (window[:2] + window[2:]) / 2, window[2:] - window[:2]
    shift_x, shift_y = (0.5 - x) * width / window_width, (0.5 - y) * height / window_height
    return np.array([[1 / window_width, 0, shift_x], [0, 1 / window_height, shift_y], [0, 0, 1]])
