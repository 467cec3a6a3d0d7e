"""Traits of boxes and pictures that a detector's accuracy may depend on, and their bins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.coverage import best_iou
from edge_retina.boxes.iou import mean_sides, pairwise_iou
from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections, Predictor

_OCTAVES_PX = tuple(8.0 * 2**number for number in range(8))  # as anchor coverage names them
_TINY = 1e-9


@dataclass(frozen=True)
class Trait:
    """One number for each object and each detection of a split, sorted into bins.

    Attributes:
        name: for programs, such as "size".
        unit: what the number is, for people.
        objects: (N,) of every object, in the order of the pictures.
        detections: (M,) of every detection: what it would be if its box were an object.
        edges: ascending; bin i is edges[i] <= number < edges[i + 1].
        names: of the bins.
    """

    name: str
    unit: str
    objects: np.ndarray
    detections: np.ndarray
    edges: tuple[float, ...]
    names: tuple[str, ...]

    def bins(self) -> list[tuple[str, np.ndarray, np.ndarray]]:
        """Return the bins: name, objects (N,) bool, detections (M,) bool."""
        inside = [
            [(values >= low) & (values < high) for low, high in pairwise(self.edges)]
            for values in (self.objects, self.detections)
        ]
        return list(zip(self.names, *inside, strict=True))


class BrightnessMeter:
    """A detector that also notes how bright each picture is.

    Attributes:
        luma: mean luma (ITU-R BT.601) of each picture so far, 0..255.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self.luma: list[float] = []

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._predictor.labels

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects in an (H, W, 3) uint8 RGB image."""
        red, green, blue = cv2.mean(image_rgb)[:3]
        self.luma.append(0.299 * red + 0.587 * green + 0.114 * blue)
        return self._predictor.predict(image_rgb)


def find_traits(
    examples: Sequence[Example],
    detections: Sequence[Detections],
    *,
    input_hw: tuple[int, int] | None = None,
    luma: Sequence[float] | None = None,
    anchors: AnchorGrid | None = None,
) -> list[Trait]:
    """Return size, aspect ratio and crowding, and where known brightness and anchor coverage.

    Args:
        examples: the labelled pictures.
        detections: of each picture, in the same order.
        input_hw: the network's input size; None measures in pixels of the pictures as they are.
        luma: mean luma of each picture, 0..255; None leaves brightness out.
        anchors: the network's anchors; None leaves the coverage out.
    """
    frame = "input" if input_hw else "picture"
    objects, found = (
        [_at(boxes, item.image_hw, input_hw) for boxes, item in zip(parts, examples, strict=True)]
        for parts in (
            [example.boxes_px for example in examples],
            [item.boxes_px(x.image_hw) for item, x in zip(detections, examples, strict=True)],
        )
    )
    traits = [
        _size(_joined(objects), _joined(found), frame),
        _aspect(_joined(objects), _joined(found), frame),
        _crowding(examples, detections),
    ]
    if luma is not None:
        traits.append(_brightness(examples, detections, np.asarray(luma, float)))
    if anchors is not None:
        at_input = [example.boxes_at(anchors.image_hw) for example in examples]
        frames = [item.boxes_px(anchors.image_hw) for item in detections]
        traits.append(_coverage(anchors, _joined(at_input), _joined(frames)))
    return traits


def _size(objects: np.ndarray, detections: np.ndarray, frame: str) -> Trait:
    sides = [mean_sides(boxes) for boxes in (objects, detections)]
    return _trait("size", f"√area, pixels of the {frame}", sides, (0.0, *_OCTAVES_PX))


def _aspect(objects: np.ndarray, detections: np.ndarray, frame: str) -> Trait:
    ratios = []
    for boxes in (objects, detections):
        height, width = np.maximum(_sizes(boxes), _TINY).T
        ratios.append(height / width)
    return _trait("aspect", f"height / width in the {frame}", ratios, (0.0, 1 / 3, 2 / 3, 1.5, 3.0))


def _crowding(examples: Sequence[Example], detections: Sequence[Detections]) -> Trait:
    """Highest IoU with another object of any class, crowd regions and difficult objects left out.

    A detection stands for the object that it overlaps most; its own number is the next highest IoU.
    """
    objects, found = [], []
    for example, item in zip(examples, detections, strict=True):
        real = example.boxes_px[~example.ignored]
        among = pairwise_iou(example.boxes_px, real)
        objects.append(_highest(among, skip=(~example.ignored).astype(int)))
        overlaps = pairwise_iou(item.boxes_px(example.image_hw), real)
        found.append(_highest(overlaps, skip=np.ones(len(item), int)))
    edges = (0.0, _TINY, 0.1, 0.3, 0.5)
    numbers = [np.concatenate([[], *parts]) for parts in (objects, found)]
    trait = _trait("crowding", "highest IoU with another object", numbers, edges)
    return dataclasses.replace(trait, names=("0", "0-0.1", *trait.names[2:]))


def _brightness(
    examples: Sequence[Example], detections: Sequence[Detections], luma: np.ndarray
) -> Trait:
    """Mean luma of the whole picture, in thirds of the pictures; fewer where many are alike."""
    numbers = [
        np.repeat(luma, [len(example.classes) for example in examples]),
        np.repeat(luma, [len(item) for item in detections]),
    ]
    borders = np.unique(np.round(np.quantile(luma, [1 / 3, 2 / 3])))
    borders = borders[(borders > luma.min()) & (borders <= luma.max())]
    edges = (0.0, *borders.tolist(), 256.0)
    trait = _trait("brightness", "mean luma of the picture, 0-255", numbers, edges[:-1])
    return dataclasses.replace(trait, edges=edges)


def _coverage(anchors: AnchorGrid, objects: np.ndarray, detections: np.ndarray) -> Trait:
    numbers = [best_iou(anchors, boxes) for boxes in (objects, detections)]
    edges = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8)
    return _trait("anchor_coverage", "IoU with the best anchor", numbers, edges)


def _trait(name: str, unit: str, numbers: Sequence[np.ndarray], edges: Sequence[float]) -> Trait:
    """Return a trait whose last bin has no end."""
    inner = [f"{low:.3g}-{high:.3g}" for low, high in pairwise(edges)]
    names = (f"< {edges[1]:.3g}", *inner[1:], f">= {edges[-1]:.3g}") if len(edges) > 1 else ("all",)
    return Trait(name, unit, numbers[0], numbers[1], (*edges, float("inf")), names)


def _highest(iou: np.ndarray, *, skip: np.ndarray) -> np.ndarray:
    """Return the highest number of each row, or the next one where `skip` is 1; 0 if there is none.

    Skipping leaves out a box's IoU with itself.
    """
    padded = np.pad(np.sort(iou, axis=1)[:, ::-1], ((0, 0), (0, 2)))
    return padded[np.arange(len(iou)), skip]


def _at(
    boxes_px: np.ndarray, image_hw: tuple[int, int], input_hw: tuple[int, int] | None
) -> np.ndarray:
    """Return boxes (N, 4) as they are after the picture was stretched to `input_hw`."""
    if input_hw is None:
        return boxes_px
    scale = np.array(input_hw * 2, float) / np.array(image_hw * 2)
    return np.asarray(boxes_px * scale)


def _sizes(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:].astype(np.float64) - boxes[:, :2]).clip(0)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros((0, 4)), *parts])
