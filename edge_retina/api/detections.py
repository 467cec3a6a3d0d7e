"""What a `Detector` finds: detections that know their image and the names of their classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge_retina.evaluation.annotation import describe
from edge_retina.runtime import detections as runtime


@dataclass(frozen=True)
class Detections(runtime.Detections):
    """The objects found in one image, best score first.

    `len(detections)` is their number. Iterating gives a dict for each object, as in the JSON of
    `edge-retina predict`: label, score, and box_px as ymin xmin ymax xmax in pixels.

    Attributes:
        boxes_norm: (N, 4) float32, ymin xmin ymax xmax as fractions of the image's sides, in 0..1.
        classes: (N,) int32, indices into `labels`, from 0.
        scores: (N,) float32 in 0..1.
        labels: class names by index.
        image_hw: (height, width) of the image in pixels.
    """

    labels: tuple[str, ...]
    image_hw: tuple[int, int]

    @classmethod
    def of(
        cls, found: runtime.Detections, *, labels: Sequence[str], image_hw: tuple[int, int]
    ) -> Detections:
        """Return what a predictor found, with the names and the image that belong to it."""
        return cls(found.boxes_norm, found.classes, found.scores, tuple(labels), image_hw)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_list())

    def to_list(self) -> list[dict[str, Any]]:
        """Return a dict for each object, as in the JSON of `edge-retina predict`."""
        return describe(self, self.labels, self.image_hw)

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """Return COCO results, for pycocotools' `loadRes`.

        Args:
            image_id: of the image in the annotation file.

        Returns:
            Objects with `image_id`, `category_id` (the class index plus 1, as our COCO files
            count), `bbox` (x, y, width, height in pixels), `area` in square pixels and `score`.
        """
        from edge_retina.interop.coco_results import to_coco

        return to_coco(self, image_id, self.image_hw)

    def to_supervision(self) -> Any:
        """Return a `supervision.Detections`, with boxes in pixels and `data["class_name"]`.

        Raises:
            EdgeRetinaError: supervision is not installed.
        """
        from edge_retina.interop.supervision_detections import to_supervision

        return to_supervision(self, self.labels, self.image_hw)

    @classmethod
    def from_supervision(
        cls, found: Any, *, labels: Sequence[str], image_hw: tuple[int, int]
    ) -> Detections:
        """Return the objects of a `supervision.Detections`; those without a score get 1.

        Args:
            found: with `class_id`.
            labels: class names by index.
            image_hw: (height, width) of the image in pixels.

        Raises:
            ModelError: no class indices, or one without a label.
        """
        from edge_retina.interop.supervision_detections import from_supervision

        same = from_supervision(found, labels, image_hw)
        return cls.of(same, labels=labels, image_hw=image_hw)

    def to_fiftyone(self) -> Any:
        """Return a `fiftyone.Detections`, to be put into a field of a sample.

        Raises:
            EdgeRetinaError: FiftyOne is not installed.
        """
        from edge_retina.interop.fiftyone_labels import to_fiftyone

        return to_fiftyone(self, self.labels)

    @classmethod
    def from_fiftyone(
        cls, found: Any, *, labels: Sequence[str], image_hw: tuple[int, int]
    ) -> Detections:
        """Return the objects of a `fiftyone.Detections`; those without a confidence get score 1.

        Args:
            found: a label of a sample.
            labels: class names by index.
            image_hw: (height, width) of the image in pixels.

        Raises:
            ModelError: an object of a class that `labels` doesn't have.
        """
        from edge_retina.interop.fiftyone_labels import from_fiftyone

        return cls.of(from_fiftyone(found, labels), labels=labels, image_hw=image_hw)
