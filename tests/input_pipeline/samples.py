"""Samples and settings for the tests of the input pipeline."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from edge_retina.config import AugmentationConfig
from edge_retina.input_pipeline.augmentation import Draw
from edge_retina.input_pipeline.sample import Picture, Sample

OFF = AugmentationConfig(
    horizontal_flip=0,
    vertical_flip=0,
    transpose=0,
    rotation=0,
    scale=(1, 1),
    aspect=0,
    translate=0,
    min_visible=0,
    brightness=0,
    contrast=0,
    saturation=0,
    hue=0,
)


def having(**changes: object) -> AugmentationConfig:
    """Return settings that change nothing but what is named."""
    return dataclasses.replace(OFF, **changes)


def draw_from(settings: AugmentationConfig, rng: np.random.Generator | int = 0) -> Draw:
    """Return a draw that has no other image to offer."""

    def nothing_else(_: np.random.Generator) -> Sample:
        raise AssertionError("no augmentation of ours needs another image")

    return Draw(settings, np.random.default_rng(rng), nothing_else)


def sample_of(image_rgb: np.ndarray, *boxes: tuple[float, ...]) -> Sample:
    """Return a sample with objects of classes 0, 1, 2 ..."""
    count = len(boxes)
    return Sample(
        Picture.of(image_rgb),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.arange(count, dtype=np.int32),
        np.zeros(count, bool),
    )


def black(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def soft_image(image_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Random colours without sharp edges, where a 32nd of a pixel matters little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, image_hw[::-1], interpolation=cv2.INTER_CUBIC)
