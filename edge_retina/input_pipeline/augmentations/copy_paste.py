"""Paste objects of another training image."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Picture, Sample

_MOST_PASTED = 3  # objects
_ZOOM = 1.25  # up to this, either way
_MARGIN = 0.1  # of the object's sides, pasted around it: it fades from there to the object's edge
_MOST_COVERED = 0.2  # share of any object that is there already
_PLACES = 10  # tried for each object
_CANDIDATES = 20  # objects of the other image looked at; bounds the time in crowded ones


@dataclass(frozen=True)
class _Patch:
    """An object to be pasted, with a margin around it.

    Attributes:
        picture: where it is from.
        source_px: (4,) yxyx of patch and margin there, whole pixels.
        target_px: (4,) yxyx where they will be, whole pixels; may reach over the border.
        fade_px: (4,) top, left, bottom, right: width of the margin at the target.
    """

    picture: Picture
    source_px: np.ndarray
    target_px: np.ndarray
    fade_px: np.ndarray


def copy_paste(sample: Sample, draw: Draw) -> Sample:
    """Paste up to three objects of another image, with probability `settings.copy_paste`.

    They keep the size that they would have at the network's input, but for a small zoom, and come
    to a random place where they cover at most a fifth of any other object; what finds no such place
    is left out. Covered objects count as cut by that share. Around the object a margin fades into
    the picture, so that no sharp edge tells what was pasted.

    Source: Dwibedi et al., "Cut, Paste and Learn", ICCV 2017, section 4.2 (blending); Ghiasi et
        al., "Simple Copy-Paste", CVPR 2021.
    Deviation: both cut along masks; a detector's data has none, so whole boxes are pasted.
    """
    if not draw.happens(draw.settings.copy_paste):
        return sample
    other = draw.draw_another(draw.rng)
    patches: list[_Patch] = []
    for index in _choose(other, int(draw.rng.integers(1, _MOST_PASTED + 1)), draw.rng):
        box = _find_place(sample, _size_at(other, index, sample.image_hw), draw.rng)
        if box is not None:
            patches.append(_cut_out(other, index, box))
            sample = _add(sample, box, other.classes[index])
    picture = Picture(sample.image_hw, functools.partial(_paste, sample.picture, patches))
    return dataclasses.replace(sample, picture=picture) if patches else sample


def _choose(sample: Sample, count: int, rng: np.random.Generator) -> list[int]:
    """Return up to `count` objects that are usable and hardly overlapped by others.

    Parts of others would come along without a box.
    """
    usable = np.flatnonzero(~sample.ignored & (_sizes(sample.boxes_px) >= 1).all(axis=1))
    candidates = rng.permutation(usable)[:_CANDIDATES]
    covered = _shares(sample.boxes_px[candidates], sample.boxes_px)
    covered[np.arange(len(candidates)), candidates] = 0  # by itself
    alone = candidates[covered.sum(axis=1) <= _MOST_COVERED]
    return [int(index) for index in alone[:count]]


def _size_at(sample: Sample, index: int, image_hw: tuple[int, int]) -> np.ndarray:
    """Return height and width of an object when its image is stretched to `image_hw`."""
    return _sizes(sample.boxes_px[[index]])[0] * np.divide(image_hw, sample.image_hw)


def _find_place(sample: Sample, size: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """Return a box (4,) yxyx of about `size` (2,) wholly inside the image; None if all are taken.

    Whole pixels, so that box and pixels agree.
    """
    zoom = math.exp(rng.uniform(-1, 1) * math.log(_ZOOM))
    size = np.clip(np.rint(size * zoom), 1, sample.image_hw)
    corners = np.floor(rng.random((_PLACES, 2)) * (sample.image_hw - size + 1))
    boxes = np.concatenate([corners, corners + size], axis=1)
    free = (_shares(sample.boxes_px, boxes) <= _MOST_COVERED).all(axis=0)
    return boxes[np.argmax(free)] if free.any() else None


def _cut_out(other: Sample, index: int, box: np.ndarray) -> _Patch:
    """Return the patch that brings an object of `other` to `box` (4,)."""
    inner = other.boxes_px[index].astype(np.float64)
    size = inner[2:] - inner[:2]
    limit = np.array(other.image_hw)
    low, high = np.floor(inner[:2]).clip(0), np.minimum(np.ceil(inner[2:]), limit)
    margin = np.ceil(size * _MARGIN)
    outer_low, outer_high = np.maximum(low - margin, 0), np.minimum(high + margin, limit)
    zoom = (box[2:] - box[:2]) / size
    target_low = np.rint(box[:2] - (inner[:2] - outer_low) * zoom)
    target_high = np.rint(box[2:] + (outer_high - inner[2:]) * zoom)
    return _Patch(
        other.picture,
        np.concatenate([outer_low, outer_high]).astype(int),
        np.concatenate([target_low, target_high]).astype(int),
        np.concatenate([box[:2] - target_low, target_high - box[2:]]).astype(int),
    )


def _add(sample: Sample, box: np.ndarray, label: np.integer) -> Sample:
    """Return the sample with an object on top; its picture stays as it was."""
    covered = _shares(sample.boxes_px, box[None])[:, 0]
    return dataclasses.replace(
        sample,
        boxes_px=np.concatenate([sample.boxes_px, box[None].astype(np.float32)]),
        classes=np.append(sample.classes, label).astype(np.int32),
        ignored=np.append(sample.ignored, False),
        visible=np.append(sample.visible * (1 - covered), 1.0),
    )


def _paste(picture: Picture, patches: Sequence[_Patch]) -> np.ndarray:
    canvas = picture.read().copy()
    limit = np.array(picture.image_hw * 2)
    for patch in patches:
        top, left, bottom, right = patch.source_px
        height, width = patch.target_px[2:] - patch.target_px[:2]
        pixels = cv2.resize(patch.picture.read()[top:bottom, left:right], (int(width), int(height)))
        opaque = np.outer(
            _ramp(height, *patch.fade_px[[0, 2]]), _ramp(width, *patch.fade_px[[1, 3]])
        )[..., None]
        y0, x0, y1, x1 = patch.target_px.clip(0, limit)
        shown = np.s_[y0 - patch.target_px[0] :, x0 - patch.target_px[1] :]
        pixels, opaque = (a[shown][: y1 - y0, : x1 - x0] for a in (pixels, opaque))
        under = canvas[y0:y1, x0:x1]
        canvas[y0:y1, x0:x1] = np.rint(under + opaque * (pixels.astype(np.float32) - under))
    return canvas


def _ramp(length: int, fade_in: int, fade_out: int) -> np.ndarray:
    """Return (length,) weights that rise to 1 over `fade_in` pixels and fall over `fade_out`."""
    index = np.arange(length) + 0.5
    rise, fall = index / max(fade_in, 0.5), (length - index) / max(fade_out, 0.5)
    return np.minimum(np.minimum(rise, fall), 1).astype(np.float32)


def _sizes(boxes_px: np.ndarray) -> np.ndarray:
    return boxes_px[:, 2:].astype(np.float64) - boxes_px[:, :2]


def _shares(boxes_px: np.ndarray, others_px: np.ndarray) -> np.ndarray:
    """Return (G, N): the share of each of `boxes_px` (G, 4) inside each of `others_px` (N, 4)."""
    low = np.maximum(boxes_px[:, None, :2], others_px[None, :, :2])
    high = np.minimum(boxes_px[:, None, 2:], others_px[None, :, 2:])
    area = _sizes(boxes_px).prod(axis=1)[:, None]
    return (high - low).clip(0).prod(axis=2) / np.maximum(area, 1e-9)
