"""The things to be found in generated images: five shapes with colour, texture and shading."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge_retina.datasets.clutter import rgb_of

SHAPES = ("box", "cross", "ring", "star", "triangle")
# Colour helps but does not decide, as with real things: this share of a class's objects is near the
# class's own hue, the others have any.
_OWN_HUE_SHARE = 0.6
_OWN_HUES = {"box": 0.60, "cross": 0.00, "ring": 0.13, "star": 0.83, "triangle": 0.37}
_SUBPIXEL_BITS = 4  # of cv2's fixed-point coordinates


@dataclass(frozen=True)
class Shape:
    """One object before it is painted.

    Attributes:
        label: one of SHAPES.
        center_yx: in pixels.
        size_px: height and width before rotation.
        angle: in degrees.
    """

    label: str
    center_yx: tuple[float, float]
    size_px: tuple[float, float]
    angle: float


def random_shape(rng: np.random.Generator, image_hw: tuple[int, int]) -> Shape:
    """Draw a shape's class, place and size.

    The logarithm of the size has a triangular distribution over 14..170 px (at an image height of
    240): a wide range, but few objects too small to be told apart after the resize to the network.
    """
    height, width = image_hw
    middle = (rng.random() + rng.random()) / 2
    size = float(np.exp(np.log(14) + middle * np.log(170 / 14))) * min(height, width) / 240
    aspect = float(np.exp(rng.uniform(-0.2, 0.2)))
    inset = 0.25 * size  # keeps most of each object in the image
    return Shape(
        label=str(rng.choice(SHAPES)),
        center_yx=(rng.uniform(inset, height - inset), rng.uniform(inset, width - inset)),
        size_px=(size * aspect**0.5, size / aspect**0.5),
        angle=rng.uniform(-20, 20),
    )


def shape_mask(shape: Shape, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the (H, W) uint8 coverage 0..255 of a shape, antialiased."""
    mask = np.zeros(image_hw, np.uint8)
    for polygon, value in zip(_outlines(shape), (255, 0), strict=False):
        points = np.round(polygon * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(mask, [points], value, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask


def shape_area_px(shape: Shape) -> int:
    """Return how many pixels a shape has, those outside the image too."""
    side = 2 * math.ceil(max(shape.size_px))  # room for every rotation
    whole = replace(shape, center_yx=(side / 2, side / 2))
    return int(np.count_nonzero(shape_mask(whole, (side, side)) >= 128))


def paint_shape(
    image: np.ndarray, shape: Shape, mask: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the image with the shape's shadow and the shape painted over it.

    Args:
        image: (H, W, 3) float32 RGB in 0..1.
        shape: what to paint.
        mask: its coverage, from `shape_mask`.
        rng: colour, texture and shading.
    """
    window = _window(mask, margin=4 + round(0.3 * max(shape.size_px)))
    top, left = window[0].start, window[1].start
    local = replace(shape, center_yx=(shape.center_yx[0] - top, shape.center_yx[1] - left))
    painted = image.copy()
    painted[window] = _paint(image[window], local, mask[window], rng)
    return painted


def _window(mask: np.ndarray, *, margin: int) -> tuple[slice, slice]:
    """Return the part of the image that a shape and its shadow lie in; the rest stays."""
    slices = []
    for axis in (0, 1):
        used = np.flatnonzero(mask.any(axis=1 - axis))
        slices.append(slice(max(0, int(used[0]) - margin), int(used[-1]) + 1 + margin))
    return slices[0], slices[1]


def _paint(
    image: np.ndarray, shape: Shape, mask: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    scale = min(shape.size_px)
    coverage = mask.astype(np.float32)[..., None] / 255
    shadow = cv2.GaussianBlur(mask, (0, 0), 0.5 + 0.06 * scale).astype(np.float32) / 255
    shift = rng.uniform(-0.06, 0.06) * scale
    offset = np.array([[1, 0, shift], [0, 1, 0.06 * scale]])
    shadow = cv2.warpAffine(shadow, offset, (mask.shape[1], mask.shape[0]))
    image = image * (1 - np.float32(rng.uniform(0.2, 0.6)) * shadow[..., None])
    image = image * (1 - coverage)
    return image + coverage * _surface(shape, mask, rng)


def _surface(shape: Shape, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (H, W, 3) float32 colours of a shape's surface."""
    height, width = mask.shape
    own = rng.random() < _OWN_HUE_SHARE
    hue = (_OWN_HUES[shape.label] + rng.normal(0, 0.04)) % 1 if own else rng.random()
    color = rgb_of(hue * 360, rng.uniform(0.45, 0.95), rng.uniform(0.5, 1.0))
    ys, xs = np.ogrid[0:height, 0:width]
    scale = min(shape.size_px)
    direction = rng.uniform(0, 2 * np.pi)
    across = (
        (ys - shape.center_yx[0]) * np.sin(direction)
        + (xs - shape.center_yx[1]) * np.cos(direction)
    ) / scale
    light = 1 + rng.uniform(0.1, 0.35) * across
    if rng.random() < 0.35:  # stripes
        light = light + rng.uniform(0.05, 0.15) * np.sign(np.sin(across * rng.uniform(12, 30)))
    grain = rng.normal(0, 1, (height // 3 + 1, width // 3 + 1)).astype(np.float32)
    light = light + rng.uniform(0.02, 0.08) * cv2.resize(grain, (width, height))
    # A darker rim, as the light falls off at the edge of a solid body.
    inner = cv2.GaussianBlur(mask, (0, 0), max(0.8, 0.04 * scale)).astype(np.float32) / 255
    light = light * (0.55 + 0.45 * np.clip(2 * inner - 0.9, 0, 1))
    return np.clip(color * light[..., None], 0, 1).astype(np.float32)


def _outlines(shape: Shape) -> list[np.ndarray]:
    """Return (P, 2) xy polygons in pixels: the outer one and, for a ring, the hole."""
    turn = np.deg2rad(shape.angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    half = np.array([shape.size_px[1], shape.size_px[0]]) / 2
    center = np.array([shape.center_yx[1], shape.center_yx[0]])
    return [unit * half @ rotation.T + center for unit in _unit_outlines(shape.label)]


def _unit_outlines(label: str) -> list[np.ndarray]:
    """Return polygons in -1..1, y downwards."""
    if label == "box":
        return [np.array([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]])]
    if label == "triangle":
        return [np.array([[0, -1], [1, 0.9], [-1, 0.9]])]
    if label == "cross":
        arm = 0.33
        quarter = np.array(
            [[arm, -1], [arm, -arm], [1, -arm]]
        )  # then turned by 90 degrees, 4 times
        turns = [quarter]
        for _ in range(3):
            turns.append(turns[-1] @ np.array([[0, 1], [-1, 0]]))
        return [np.concatenate(turns)]
    if label == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
        return [np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)]
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return [circle, 0.55 * circle]
