"""From a sample to the network's input: one warp, one colour matrix, then the pixel steps.

In numpy and OpenCV, called from tf.data: a fused `cv2.warpAffine` from the full image costs 0.4 ms
where TensorFlow's ImageProjectiveTransform costs 2.9 ms (480x640 to 256, one core), and the input
pipeline must stay a small part of a training step. Sampling is bilinear without antialiasing, as in
`runtime.image.stretch`, so training sees what a device sees.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge_retina.input_pipeline.geometry import affine_to_input, place, stretch_factors
from edge_retina.input_pipeline.sample import Picture, Sample

_FILL = 128  # mid-grey: the network sees 0, unless colours change too


def render(sample: Sample, image_hw: tuple[int, int], *, min_visible: float) -> Sample:
    """Carry out a sample's changes and stretch it to `image_hw`.

    Args:
        sample: with its changes.
        image_hw: height and width of the result, as a rule the network's input.
        min_visible: see `geometry.place`.

    Returns:
        A sample with no changes left to make. Its boxes are float32 and cut at the border; those
        that lie outside are dropped.
    """
    placed = place(sample, image_hw, min_visible=min_visible)
    picture = Picture.of(render_image(sample, image_hw))
    return Sample(picture, placed.boxes_px, placed.classes, placed.ignored, placed.visible)


def render_image(sample: Sample, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the image (H, W, 3) uint8 of a sample, with its changes and of size `image_hw`."""
    image = warp(sample.image_rgb, affine_to_input(sample, image_hw), image_hw)
    image = cv2.transform(image, sample.colours[:3])
    for step in sample.pixel_steps:
        image = step(image)
    return image


def warp(image_rgb: np.ndarray, matrix: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Apply an affine map (2, 3) of continuous x, y; pixels outside the image become grey.

    A pixel is outside when its centre is.
    """
    inverse = cv2.invertAffineTransform(matrix)
    # The border is repeated, as `stretch` does, and painted over: a constant border would blend
    # into the image's outermost pixels.
    image = cv2.warpAffine(
        image_rgb,
        _between_indices(inverse),
        image_hw[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    _fill_outside(image, image_rgb.shape[:2], matrix)
    return image


def _fill_outside(image: np.ndarray, source_hw: tuple[int, int], matrix: np.ndarray) -> None:
    """Paint the pixels of a warped image that are outside its source, in place."""
    if np.count_nonzero(matrix[:, :2]) == 2:  # the source's edges are still parallel to the axes
        height, width = source_hw
        corners = np.array([[0, 0], [width, height]]) @ matrix[:, :2].T + matrix[:, 2]
        (left, top), (right, bottom) = np.sort(corners, axis=0).clip(0).round().astype(int)
        for strip in (image[:top], image[bottom:], image[:, :left], image[:, right:]):
            strip[:] = _FILL
        return
    image_hw = image.shape[:2]
    # Zeros at the output's size stand for the source, which may be large.
    inverse = stretch_factors(source_hw, image_hw) * cv2.invertAffineTransform(matrix)
    outside = cv2.warpAffine(
        np.zeros(image_hw, np.uint8),
        _between_indices(inverse),
        image_hw[::-1],
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderValue=1,
    )
    cv2.copyTo(np.full_like(image, _FILL), outside, image)


def _between_indices(matrix: np.ndarray) -> np.ndarray:
    """Return a map of continuous coordinates for OpenCV, which counts from pixel centres."""
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix
