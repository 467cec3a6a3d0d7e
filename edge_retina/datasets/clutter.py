"""Backgrounds of generated images: ground, leaves, twigs, light, and what a camera adds."""

from __future__ import annotations

import cv2
import numpy as np


def random_background(rng: np.random.Generator, image_hw: tuple[int, int]) -> np.ndarray:
    """Return an (H, W, 3) float32 RGB image in 0..1 with nothing of the classes in it."""
    image = _ground(rng, image_hw)
    for _ in range(int(rng.integers(0, 3))):
        image = _soft_blob(image, rng)
    for _ in range(int(rng.integers(0, 28))):
        _leaf(image, rng)
    for _ in range(int(rng.integers(0, 10))):
        _twig(image, rng)
    return np.clip(image, 0, 1)


def light_and_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the (H, W, 3) uint8 photograph of a scene: uneven light, slight blur, sensor noise."""
    height, width = image.shape[:2]
    ys, xs = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    slope = ys * np.sin(direction) + xs * np.cos(direction)
    light = rng.uniform(0.75, 1.1) * (
        1 + rng.uniform(0, 0.3) * slope - rng.uniform(0, 0.12) * (xs**2 + ys**2)
    )
    tint = rng.normal(1, 0.03, 3)
    image = (image * light[..., None] * tint).astype(np.float32)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.8))
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.004, 0.02))
    return np.clip((image + noise) * 255 + 0.5, 0, 255).astype(np.uint8)


def rgb_of(hue: float, saturation: float, value: float) -> np.ndarray:
    """Return the (3,) float32 RGB of a colour; hue in degrees, the others in 0..1."""
    hsv = np.array([[[hue, saturation, value]]], np.float32)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0]


def _ground(rng: np.random.Generator, image_hw: tuple[int, int]) -> np.ndarray:
    """Return noise of several octaves between two muted colours, over a slow gradient."""
    height, width = image_hw
    mix = np.zeros(image_hw, np.float32)
    decay = rng.uniform(0.45, 0.7)
    for octave in range(6):
        cells = 3 * 2**octave
        grid = rng.standard_normal((cells, cells), np.float32)
        mix += decay**octave * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    share = 1 / (1 + np.exp(-mix))
    dark, bright = _muted_color(rng, 0.1, 0.45), _muted_color(rng, 0.4, 0.85)
    return (dark + (bright - dark) * share[..., None]).astype(np.float32)


def _muted_color(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    return rgb_of(rng.uniform(0, 360), rng.uniform(0.05, 0.4), rng.uniform(low, high))


def _random_point(rng: np.random.Generator, image: np.ndarray) -> tuple[int, int]:
    """Return (x, y), also a little outside the image."""
    height, width = image.shape[:2]
    return int(rng.integers(-10, width + 10)), int(rng.integers(-10, height + 10))


def _soft_blob(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the image with something out of focus in it."""
    mask = np.zeros(image.shape[:2], np.float32)
    axes = tuple(int(v) for v in rng.integers(15, 70, 2))
    cv2.ellipse(mask, _random_point(rng, image), axes, rng.uniform(0, 180), 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(5, 12))[..., None] * np.float32(
        rng.uniform(0.3, 0.8)
    )
    return image * (1 - mask) + _muted_color(rng, 0.15, 0.8) * mask


def _leaf(image: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a leaf: two arcs that meet in points, with a vein; no class has such an outline."""
    length, breadth = rng.uniform(6, 32), rng.uniform(0.25, 0.5)
    along = np.linspace(-1, 1, 12)
    side = breadth * (1 - along**2)
    outline = np.stack([np.r_[along, along[::-1]], np.r_[side, -side]], axis=1) * length
    turn = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    center = np.array(_random_point(rng, image))
    points = np.round((outline @ rotation.T + center) * 16).astype(np.int32)
    color = _muted_color(rng, 0.2, 0.75)
    cv2.fillPoly(image, [points], color.tolist(), cv2.LINE_AA, 4)
    tip = np.array([[-length, 0], [length, 0]]) @ rotation.T + center
    start, end = (tuple(int(v) for v in point) for point in np.round(tip))
    cv2.line(image, start, end, (color * 0.7).tolist(), 1, cv2.LINE_AA)


def _twig(image: np.ndarray, rng: np.random.Generator) -> None:
    """Paint a bent line across part of the image."""
    start = np.array(_random_point(rng, image), float)
    heading, bend = rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.15)
    headings = heading + bend * np.arange(12)
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * rng.uniform(3, 18)
    points = np.round(start + np.cumsum(steps, axis=0)).astype(np.int32)
    color = _muted_color(rng, 0.1, 0.7).tolist()
    cv2.polylines(image, [points], False, color, int(rng.integers(1, 4)), cv2.LINE_AA)
