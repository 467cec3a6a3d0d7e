"""From a sample to the network's input: one warp, one colour matrix, boxes refitted and cut.

In numpy and OpenCV, called from tf.data: a fused `cv2.warpAffine` from the full image costs 0.4 ms
where TensorFlow's ImageProjectiveTransform costs 2.9 ms (480x640 to 256, one core), and the input
pipeline must stay a small part of a training step. Sampling is bilinear without antialiasing, as in
`runtime.image.stretch`, so training sees what a device sees.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge_retina.input_pipeline.sample import Sample

_FILL = 128  # mid-grey: the network sees 0, unless colours change too
_ROUNDING = 1e-6  # of visible shares: a box that ends at the border is not cut


def render(sample: Sample, image_hw: tuple[int, int], *, min_visible: float) -> Sample:
    """Carry out a sample's changes and stretch it to `image_hw`.

    Args:
        sample: with its changes.
        image_hw: height and width of the result, as a rule the network's input.
        min_visible: objects of whose area a smaller share is left in the image are ignored: too
            little to learn from, but not background.

    Returns:
        A sample with no changes left to make. Its boxes are float32 and cut at the border; those
        that lie outside are dropped.
    """
    matrix = affine_to_input(sample, image_hw)
    boxes, visible = move_boxes(sample.boxes_px, matrix, image_hw)
    left = visible > 0
    return Sample(
        image_rgb=render_image(sample, image_hw),
        boxes_px=boxes[left],
        classes=sample.classes[left],
        ignored=(sample.ignored | (visible < min_visible - _ROUNDING))[left],
    )


def render_image(sample: Sample, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the image (H, W, 3) uint8 of a sample with its changes, stretched to `image_hw`."""
    image: np.ndarray = warp(sample.image_rgb, affine_to_input(sample, image_hw), image_hw)
    return cv2.transform(image, sample.colours[:3])


def affine_to_input(sample: Sample, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the map (2, 3) of continuous x, y from the sample's image to its rendering."""
    height, width = sample.image_hw
    centre = np.array([width, height]) / 2
    linear, shift = sample.affine[:2, :2], sample.affine[:2, 2]
    about_corner = np.column_stack([linear, centre + shift - linear @ centre])
    return _stretch(sample.image_hw, image_hw) * about_corner


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
    inverse = _stretch(source_hw, image_hw) * cv2.invertAffineTransform(matrix)
    outside = cv2.warpAffine(
        np.zeros(image_hw, np.uint8),
        _between_indices(inverse),
        image_hw[::-1],
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderValue=1,
    )
    cv2.copyTo(np.full_like(image, _FILL), outside, image)


def move_boxes(
    boxes_px: np.ndarray, matrix: np.ndarray, image_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Carry boxes (G, 4) yxyx through an affine map, refit them and cut them at the border.

    The new box is that of the ellipse inscribed in the old one. Under the map x -> M x, an ellipse
    with semi-axes a reaches sqrt(M_i0^2 a_0^2 + M_i1^2 a_1^2) from its centre along axis i. That is
    exact for ellipses, and for everything while edges stay parallel to the axes; in between, the
    box of the moved corners would be up to twice as large as a round object.

    Source: Kalra et al., "Towards Rotation Invariance in Object Detection", ICCV 2021, section 4.1.

    Returns:
        boxes (G, 4) float32; visible (G,), the share of each refitted box's area that is left.
    """
    linear, shift = matrix[::-1, 1::-1], matrix[::-1, 2]  # in y, x as the boxes
    low, high = boxes_px[:, :2].astype(np.float64), boxes_px[:, 2:].astype(np.float64)
    centre = (low + high) / 2 @ linear.T + shift
    half = np.sqrt(((high - low) / 2) ** 2 @ (linear**2).T)
    moved = np.concatenate([centre - half, centre + half], axis=1)
    cut = np.clip(moved, 0, image_hw * 2)
    whole_area = (moved[:, 2:] - moved[:, :2]).prod(axis=1)
    cut_area = (cut[:, 2:] - cut[:, :2]).prod(axis=1)
    visible = np.divide(cut_area, whole_area, out=np.zeros_like(cut_area), where=whole_area > 0)
    return cut.astype(np.float32), visible


def _stretch(source_hw: tuple[int, int], image_hw: tuple[int, int]) -> np.ndarray:
    """Return the factors (2, 1) of x and y between two sizes."""
    return np.array([[image_hw[1] / source_hw[1]], [image_hw[0] / source_hw[0]]])


def _between_indices(matrix: np.ndarray) -> np.ndarray:
    """Return a map of continuous coordinates for OpenCV, which counts from pixel centres."""
    matrix = matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return matrix
