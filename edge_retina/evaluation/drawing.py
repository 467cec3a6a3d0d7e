"""Boxes and class names drawn into images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.runtime.detections import Detections

# RGB. Okabe and Ito's palette, told apart by colour-blind readers too, without its black; then hues
# between them for more classes. Beyond its end it starts again.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (148, 103, 189),
    (140, 86, 75),
    (127, 188, 65),
)
_IGNORED = (160, 160, 160)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_REFERENCE_SIDE = 800.0  # an image of this size is drawn with 3 px lines and letters of 15 px
_MIN_FONT_SCALE = 0.35  # letters of 8 px: smaller ones of this font can't be read


def colour_of(index: int) -> tuple[int, int, int]:
    """Return the RGB colour of a class, the same in every image."""
    return PALETTE[index % len(PALETTE)]


def draw_detections(
    image_rgb: np.ndarray,
    detections: Detections,
    labels: Sequence[str],
    *,
    score_threshold: float = 0.3,
) -> np.ndarray:
    """Return a copy of an (H, W, 3) uint8 RGB image with the detections of at least a score."""
    shown = detections.above(score_threshold)
    boxes_px = shown.boxes_px((image_rgb.shape[0], image_rgb.shape[1]))
    texts = [
        f"{labels[index]} {score:.2f}"
        for index, score in zip(shown.classes, shown.scores, strict=True)
    ]
    colours = [colour_of(int(index)) for index in shown.classes]
    # The best score comes last, so that its label lies on top
    return draw_boxes(image_rgb, boxes_px[::-1], texts[::-1], colours[::-1])


def draw_ground_truth(image_rgb: np.ndarray, example: Example, labels: Sequence[str]) -> np.ndarray:
    """Return a copy of the example's image with its labelled boxes; ignored ones are grey."""
    flags = [
        " (crowd)" if crowd else " (difficult)" if difficult else ""
        for crowd, difficult in zip(example.crowd, example.difficult, strict=True)
    ]
    texts = [labels[index] + flag for index, flag in zip(example.classes, flags, strict=True)]
    colours = [
        _IGNORED if flag else colour_of(int(index))
        for index, flag in zip(example.classes, flags, strict=True)
    ]
    return draw_boxes(image_rgb, example.boxes_px, texts, colours)


def draw_boxes(
    image_rgb: np.ndarray,
    boxes_px: np.ndarray,
    texts: Sequence[str],
    colours: Sequence[tuple[int, int, int]],
    *,
    labels_overlap: bool = True,
) -> np.ndarray:
    """Return a copy of an (H, W, 3) uint8 RGB image with boxes.

    Args:
        image_rgb: the image.
        boxes_px: (N, 4) yxyx in pixels; later ones are drawn over earlier ones.
        texts: N labels.
        colours: N RGB colours.
        labels_overlap: draw all labels; otherwise leave out those that would touch a later one.
    """
    canvas = np.ascontiguousarray(image_rgb).copy()
    # The geometric mean of the sides, so that panoramas don't get huge letters
    scale = float(np.sqrt(canvas.shape[0] * canvas.shape[1])) / _REFERENCE_SIDE
    line = max(1, round(3 * scale))
    rectangles = [_rectangle(box, canvas) for box in boxes_px]
    for (top, left, bottom, right), colour in zip(rectangles, colours, strict=True):
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, line)
    labels = [
        _Label.at(text, rectangle, canvas.shape[:2], scale)
        for text, rectangle in zip(texts, rectangles, strict=True)
    ]
    for index, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        if labels_overlap or not any(label.overlaps(later) for later in labels[index + 1 :]):
            label.draw(canvas, colour)
    return canvas


def _rectangle(box_px: np.ndarray, canvas: np.ndarray) -> tuple[int, int, int, int]:
    height, width = canvas.shape[:2]
    top, left, bottom, right = np.rint(box_px).astype(int)
    return (
        int(np.clip(top, 0, height - 1)),
        int(np.clip(left, 0, width - 1)),
        int(np.clip(bottom, 0, height - 1)),
        int(np.clip(right, 0, width - 1)),
    )


@dataclass(frozen=True)
class _Label:
    """Text on a filled box.

    Attributes:
        text: what it says.
        x, y: its upper left corner in pixels.
        width, height: of the filled box; `baseline` of it are below the letters' feet.
        font_scale, thickness: of the letters.
    """

    text: str
    x: int
    y: int
    width: int
    height: int
    baseline: int
    font_scale: float
    thickness: int

    @classmethod
    def at(
        cls,
        text: str,
        rectangle: tuple[int, int, int, int],
        image_hw: tuple[int, ...],
        scale: float,
    ) -> _Label:
        """Return a label above a rectangle (yxyx); below or inside it where there is no room."""
        font_scale = max(_MIN_FONT_SCALE, 0.6 * scale)
        thickness = max(1, round(1.3 * scale))
        (text_width, text_height), baseline = cv2.getTextSize(text, _FONT, font_scale, thickness)
        (height, width), (top, left, bottom, _) = image_hw, rectangle
        label_height = text_height + baseline
        y = top - label_height
        if y < 0:
            y = bottom if bottom + label_height <= height else top
        y = max(0, min(y, height - label_height))
        x = max(0, min(left, width - text_width))
        return cls(text, x, y, text_width, label_height, baseline, font_scale, thickness)

    def overlaps(self, other: _Label) -> bool:
        """Whether it would cover a part of another label."""
        return (
            abs(2 * (self.x - other.x) + self.width - other.width) < self.width + other.width
            and abs(2 * (self.y - other.y) + self.height - other.height)
            < self.height + other.height
        )

    def draw(self, canvas: np.ndarray, colour: tuple[int, int, int]) -> None:
        """Draw it into an image."""
        corner = (self.x + self.width, self.y + self.height)
        cv2.rectangle(canvas, (self.x, self.y), corner, colour, cv2.FILLED)
        ink = (0, 0, 0) if _luminance(colour) > 128 else (255, 255, 255)
        origin = (self.x, self.y + self.height - self.baseline + self.baseline // 2)
        cv2.putText(
            canvas, self.text, origin, _FONT, self.font_scale, ink, self.thickness, cv2.LINE_AA
        )


def _luminance(colour: tuple[int, int, int]) -> float:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
