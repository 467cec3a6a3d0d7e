"""A detector with other classes than the data set: measured on the classes that both have.

Names decide, whatever their numbers: 91 numbers of COCO detectors onto the 80 names of a data set.
Case, spaces and dashes don't count, and neither do the two spellings of COCO and Pascal VOC.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.errors import ModelError
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.label_files import is_named

_NAMED_AT_MOST = 5
# Darknet's list of COCO has Pascal VOC's spellings
_SAME_CLASS = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "tvmonitor": "tv",
    "diningtable": "dining table",
    "pottedplant": "potted plant",
}


@dataclass(frozen=True)
class ClassMap:
    """Which classes a data set and a detector share.

    Attributes:
        shared: the data set's names of these classes, in its order.
        only_data: names of the data set that the detector doesn't know.
        only_model: names of the detector that the data set doesn't have.
    """

    shared: tuple[str, ...]
    only_data: tuple[str, ...]
    only_model: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether both have the same classes."""
        return not self.only_data and not self.only_model

    def to_dict(self) -> dict[str, Any]:
        """Return the lists, as they stand in JSON."""
        return {key: list(value) for key, value in dataclasses.asdict(self).items()}

    def __str__(self) -> str:
        parts = [f"mAP is over the {len(self.shared)} classes that model and data set share"]
        for owner, names in (("data set", self.only_data), ("model", self.only_model)):
            if names:
                parts.append(f"{len(names)} only in the {owner}: {_some(names)}")
        return "; ".join(parts)


def map_classes(data_labels: Sequence[str], *model_labels: Sequence[str]) -> ClassMap:
    """Return the classes that a data set and all of the detectors share.

    Args:
        data_labels: class names of the data set.
        model_labels: of each detector; `label_files.UNNAMED` is no class.

    Raises:
        ModelError: there is none.
    """
    known = [{_key(label) for label in labels if is_named(label)} for labels in model_labels]
    in_data = {_key(label) for label in data_labels}
    shared = tuple(x for x in data_labels if all(_key(x) in labels for labels in known))
    others = [x for labels in model_labels for x in labels if is_named(x)]
    found = ClassMap(
        shared=shared,
        only_data=tuple(label for label in data_labels if label not in shared),
        only_model=tuple(dict.fromkeys(x for x in others if _key(x) not in in_data)),
    )
    if not shared:
        raise ModelError(
            f"model and data set share no class: the model has {_some(others)}, the data set "
            f"{_some(data_labels)}; pass the model's class names with --labels FILE"
        )
    return found


class MappedPredictor:
    """A detector that speaks of the shared classes alone.

    Attributes:
        labels: names of the classes, see `ClassMap.shared`.
    """

    def __init__(self, predictor: Predictor, shared: Sequence[str]) -> None:
        self._predictor = predictor
        self.labels = tuple(shared)
        self._places = shared_places(predictor.labels, shared)

    @property
    def input_hw(self) -> tuple[int, int] | None:
        """Of the detector, in pixels; None if it doesn't say."""
        return getattr(self._predictor, "input_hw", None)

    def predict(self, image_rgb: np.ndarray) -> Detections:
        """Find objects of the shared classes in an (H, W, 3) uint8 RGB image."""
        return keep_shared(self._predictor.predict(image_rgb), self._places)


def shared_places(labels: Sequence[str], shared: Sequence[str]) -> np.ndarray:
    """Return the place in `shared` of each of a detector's labels, -1 for the others."""
    places = {_key(label): index for index, label in enumerate(shared)}
    return np.array([places.get(_key(x), -1) if is_named(x) else -1 for x in labels], np.int32)


def keep_shared(found: Detections, places: np.ndarray) -> Detections:
    """Return the detections of the shared classes, see `shared_places`."""
    classes = places[found.classes]
    kept = classes >= 0
    return Detections(found.boxes_norm[kept], classes[kept], found.scores[kept])


def restrict(
    examples: Sequence[Example], data_labels: Sequence[str], shared: Sequence[str]
) -> Sequence[Example]:
    """Return the pictures with the objects of the shared classes alone, numbered by `shared`."""
    places = {label: index for index, label in enumerate(shared)}
    table = np.array([places.get(label, -1) for label in data_labels], np.int32)
    return tuple(_restrict(example, table) for example in examples)


def _restrict(example: Example, table: np.ndarray) -> Example:
    places = table[example.classes]
    kept = places >= 0
    return dataclasses.replace(
        example,
        boxes_px=example.boxes_px[kept],
        classes=places[kept],
        crowd=example.crowd[kept],
        difficult=example.difficult[kept],
    )


def _key(label: str) -> str:
    plain = " ".join(label.lower().replace("_", " ").replace("-", " ").split())
    return _SAME_CLASS.get(plain, plain)


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED_AT_MOST
    return ", ".join(names[:_NAMED_AT_MOST]) + (f" and {rest} more" if rest > 0 else "")
