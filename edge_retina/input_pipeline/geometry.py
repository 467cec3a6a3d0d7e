"""Where objects end up: boxes carried through a sample's changes, refitted and cut; no pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_retina.input_pipeline.sample import Sample

_ROUNDING = 1e-6  # of visible shares: a box that ends at the border is not cut


@dataclass(frozen=True)
class PlacedObjects:
    """The objects of a sample at the network's input; those that lie outside are left out.

    Attributes:
        boxes_px: (G, 4) float32 yxyx in pixels of the input, cut at the border.
        classes: (G,) int32.
        ignored: (G,) bool.
        visible: (G,) share of each object that is not cut off or covered.
        growth: (G,) area of each box before the cut, over that of its object had it only been
            stretched as the image was; 1 while edges stay parallel to the axes.
    """

    boxes_px: np.ndarray
    classes: np.ndarray
    ignored: np.ndarray
    visible: np.ndarray
    growth: np.ndarray


def place(sample: Sample, image_hw: tuple[int, int], *, min_visible: float) -> PlacedObjects:
    """Carry a sample's objects through its changes and stretch them to `image_hw`.

    Args:
        sample: with its changes.
        image_hw: height and width of the result, as a rule the network's input.
        min_visible: objects of whose area a smaller share is left in the image are ignored: too
            little to learn from, but not background.
    """
    matrix = affine_to_input(sample, image_hw)
    boxes, share = move_boxes(sample.boxes_px, matrix, image_hw)
    left = share > 0
    visible = (sample.visible * share)[left]
    return PlacedObjects(
        boxes_px=boxes[left],
        classes=sample.classes[left],
        ignored=sample.ignored[left] | (visible < min_visible - _ROUNDING),
        visible=visible,
        growth=box_growth(sample.boxes_px[left], matrix),
    )


def affine_to_input(sample: Sample, image_hw: tuple[int, int]) -> np.ndarray:
    """Return the map (2, 3) of continuous x, y from the sample's image to its rendering."""
    height, width = sample.image_hw
    centre = np.array([width, height]) / 2
    linear, shift = sample.affine[:2, :2], sample.affine[:2, 2]
    about_corner = np.column_stack([linear, centre + shift - linear @ centre])
    return stretch_factors(sample.image_hw, image_hw) * about_corner


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


def box_growth(boxes_px: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the area (G,) of the boxes (G, 4) refitted by `move_boxes`, over that of the objects.

    The objects' area is that of the boxes before, times how much the map (2, 3) enlarges areas.
    """
    linear = matrix[::-1, 1::-1]
    sizes = boxes_px[:, 2:].astype(np.float64) - boxes_px[:, :2]
    refitted = np.sqrt(sizes**2 @ (linear**2).T).prod(axis=1)
    area = sizes.prod(axis=1) * abs(np.linalg.det(linear))
    return np.divide(refitted, area, out=np.ones_like(area), where=area > 0)


def stretch_factors(source_hw: tuple[int, int], image_hw: tuple[int, int]) -> np.ndarray:
    """Return the factors (2, 1) of x and y between two sizes."""
    return np.array([[image_hw[1] / source_hw[1]], [image_hw[0] / source_hw[0]]])
