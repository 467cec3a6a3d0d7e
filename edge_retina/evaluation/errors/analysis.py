"""Everything that `evaluate --errors` says, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.assignment import Assignment, assign_detections
from edge_retina.evaluation.coco_metrics import check_objects
from edge_retina.evaluation.errors.confusion import Confusion, confusion
from edge_retina.evaluation.errors.curves import (
    Calibration,
    OperatingPoint,
    PrecisionRecall,
    calibrate,
    class_curves,
    common_operating_point,
)
from edge_retina.evaluation.errors.slices import Slice, slice_by
from edge_retina.evaluation.errors.tide import ErrorGains, error_gains, error_table
from edge_retina.evaluation.errors.traits import Trait, find_traits
from edge_retina.runtime.detections import Detections


@dataclass(frozen=True)
class ErrorAnalysis:
    """Where a model loses its mAP on a split.

    Attributes:
        gains: what mending each kind of error would give back.
        traits: of the objects, in the order shown.
        slices: AP by trait, by the trait's name.
        operating_point: the one threshold of the highest F1 over all classes together; None if
            nothing right was found.
        confusion: at that threshold, or of all detections if there is none.
        calibration: scores against precision.
        curves: precision and recall by label; None for a class without objects.
    """

    gains: ErrorGains
    traits: tuple[Trait, ...]
    slices: dict[str, tuple[Slice, ...]]
    operating_point: OperatingPoint | None
    confusion: Confusion
    calibration: Calibration
    curves: dict[str, PrecisionRecall | None]

    def to_dict(self) -> dict[str, Any]:
        """Return the value of "errors" in the JSON of `evaluate --errors`."""
        return {
            "decomposition": self.gains.to_dict(),
            "slices": {
                trait.name: {
                    "unit": trait.unit,
                    "bins": [item.to_dict() for item in self.slices[trait.name]],
                }
                for trait in self.traits
            },
            "operating_point": self.operating_point and vars(self.operating_point),
            "confusion": self.confusion.to_dict(),
            "calibration": self.calibration.to_dict(),
            "curves": {label: item and item.to_dict() for label, item in self.curves.items()},
        }


def analyse_errors(
    examples: Sequence[Example],
    detections: Sequence[Detections],
    labels: Sequence[str],
    *,
    input_hw: tuple[int, int] | None = None,
    luma: Sequence[float] | None = None,
    anchors: AnchorGrid | None = None,
    assignment: Assignment | None = None,
) -> ErrorAnalysis:
    """Say where a model loses its mAP.

    Args:
        examples: the labelled pictures.
        detections: of each picture, in the same order, of all scores.
        labels: class names by index.
        input_hw: the network's input size; None measures sizes in pixels of the pictures.
        luma: mean luma of each picture, 0..255; None leaves brightness out.
        anchors: the network's anchors; None leaves anchor coverage out.
        assignment: of these detections, if it is known already.

    Raises:
        DatasetError: no object to find.
    """
    check_objects(examples)
    known = assignment or assign_detections(examples, detections, labels)
    traits = find_traits(examples, detections, input_hw=input_hw, luma=luma, anchors=anchors)
    point = common_operating_point(known)
    return ErrorAnalysis(
        gains=error_gains(error_table(examples, detections, classes=len(labels))),
        traits=tuple(traits),
        slices={trait.name: tuple(slice_by(known, trait)) for trait in traits},
        operating_point=point,
        confusion=confusion(
            examples, detections, labels, threshold=point.threshold if point else 0.0
        ),
        calibration=calibrate(known),
        curves=class_curves(known, labels),
    )
