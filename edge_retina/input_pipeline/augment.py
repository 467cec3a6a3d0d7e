"""Random changes to one training picture and its boxes: one affine warp, one colour matrix.

In numpy and OpenCV, called from tf.data: a fused `cv2.warpAffine` from the full picture costs 0.4
ms where TensorFlow's ImageProjectiveTransform costs 2.9 ms (480x640 to 256, one core), and the
input pipeline must stay a small part of a training step. Sampling is bilinear without antialiasing,
as in `runtime.image.stretch`, so training sees what a device sees.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from edge_retina.config import AugmentationConfig

_FILL = 128  # grey, which the network sees as 0
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def augment(
    image_rgb: np.ndarray,
    boxes_px: np.ndarray,
    *,
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a changed picture at the network's size and its boxes.

    Args:
        image_rgb: (H, W, 3) uint8.
        boxes_px: (G, 4) yxyx in pixels of `image_rgb`.
        image_hw: the network's input size.
        settings: ranges of the changes.
        rng: source of chance.

    Returns:
        image (image_hw, 3) uint8; boxes (G, 4) float32 yxyx in its pixels, cut at its border; keep
        (G,) bool, False where nothing of a box is left; ignored (G,) bool, True where less than
        `settings.min_visible` of its area is left: too little to learn from, too much to be
        background.
    """
    matrix = random_affine(image_rgb.shape[:2], image_hw, settings, rng)
    image = warp(image_rgb, matrix, image_hw)
    boxes, visible = move_boxes(boxes_px, matrix, image_hw)
    image = change_colours(image, random_colours(settings, rng))
    return image, boxes, visible > 0, visible < settings.min_visible


def stretch_matrix(source_hw: tuple[int, int], image_hw: tuple[int, int]) -> np.ndarray:
    """Return the affine map (2, 3) that stretches a picture, on continuous x, y coordinates."""
    return np.array(
        [[image_hw[1] / source_hw[1], 0, 0], [0, image_hw[0] / source_hw[0], 0]], np.float64
    )


def random_affine(
    source_hw: tuple[int, int],
    image_hw: tuple[int, int],
    settings: AugmentationConfig,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw an affine map (2, 3) from source to network pixels, on continuous x, y coordinates.

    Everything but the final stretch happens in source pixels, about the image's centre, so that a
    transposed object has a shape that it could have in another image: a circle stays a circle.
    """
    height, width = source_hw
    zoom = math.exp(rng.uniform(*np.log(settings.scale)))
    aspect = math.exp(rng.uniform(-1, 1) * math.log1p(settings.aspect) / 2)
    scale = np.array([zoom / aspect, zoom * aspect])
    if rng.random() < settings.horizontal_flip:
        scale[0] = -scale[0]
    if rng.random() < settings.vertical_flip:
        scale[1] = -scale[1]
    linear = np.diag(scale)
    if rng.random() < settings.transpose:
        linear = linear[::-1]
    shift = rng.uniform(-settings.translate, settings.translate, 2) * [width, height]
    centre = np.array([width, height]) / 2
    about_centre = np.column_stack([linear, centre - linear @ centre + shift])
    return stretch_matrix(source_hw, image_hw) @ np.vstack([about_centre, [0, 0, 1]])


def warp(image_rgb: np.ndarray, matrix: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Apply an affine map of continuous coordinates; places outside the picture become grey."""
    inverse = cv2.invertAffineTransform(matrix)
    # OpenCV counts from pixel centres: continuous = index + 0.5 on both sides.
    inverse[:, 2] += inverse[:, :2] @ [0.5, 0.5] - 0.5
    # The border is repeated, as `stretch` does, and then painted over: a constant border would
    # blend into the picture's outermost pixels.
    image = cv2.warpAffine(
        image_rgb,
        inverse,
        image_hw[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    top, left, bottom, right = _picture_extent(image_rgb.shape[:2], matrix)
    for outside in (image[:top], image[bottom:], image[:, :left], image[:, right:]):
        outside[:] = _FILL
    return image


def _picture_extent(source_hw: tuple[int, int], matrix: np.ndarray) -> tuple[int, int, int, int]:
    """Return where a picture lies after the map: top, left, bottom, right pixel, not negative."""
    height, width = source_hw
    corners = np.array([[0, 0], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
    (left, top), (right, bottom) = np.sort(corners, axis=0)
    # A pixel belongs to the picture when its centre does.
    top, left, bottom, right = (max(round(side), 0) for side in (top, left, bottom, right))
    return top, left, bottom, right


def move_boxes(
    boxes_px: np.ndarray, matrix: np.ndarray, image_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Carry boxes (G, 4) yxyx through an affine map without shear and cut them at the border.

    Returns:
        boxes (G, 4) float32; visible (G,), the share of each box's area that is left.
    """
    corners = boxes_px.reshape(-1, 2, 2)[..., ::-1] @ matrix[:, :2].T + matrix[:, 2]
    corners = corners[..., ::-1]
    moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    height, width = image_hw
    cut = np.clip(moved, 0, [height, width, height, width])
    whole_area = np.prod(moved[:, 2:] - moved[:, :2], axis=1)
    cut_area = np.prod(cut[:, 2:] - cut[:, :2], axis=1)
    visible = np.divide(cut_area, whole_area, out=np.zeros_like(cut_area), where=whole_area > 0)
    return cut.astype(np.float32), visible


def random_colours(settings: AugmentationConfig, rng: np.random.Generator) -> np.ndarray:
    """Draw a colour map (3, 4): `out = m[:, :3] @ rgb + m[:, 3]` on 0..255."""
    contrast = 1 + rng.uniform(-1, 1) * settings.contrast
    brightness = rng.uniform(-1, 1) * settings.brightness * 255
    saturation = 1 + rng.uniform(-1, 1) * settings.saturation
    turn = rng.uniform(-1, 1) * settings.hue * 2 * math.pi
    grey = np.tile(_LUMA, (3, 1))
    matrix = contrast * (saturation * _hue_rotation(turn) + (1 - saturation) * grey)
    offset = 128 * (1 - contrast) + brightness
    return np.column_stack([matrix, np.full(3, offset)])


def _hue_rotation(turn: float) -> np.ndarray:
    """Rotation (3, 3) about the grey axis by `turn` radians (Rodrigues' formula)."""
    cos, third = math.cos(turn), (1 - math.cos(turn)) / 3
    sin = math.sin(turn) / math.sqrt(3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return cos * np.eye(3) + sin * cross + third


def change_colours(image_rgb: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Apply a colour map (3, 4) to an (H, W, 3) uint8 picture, saturating at 0 and 255."""
    return cv2.transform(image_rgb, matrix)
