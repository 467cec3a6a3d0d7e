"""The whole examination of a data set."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edge_retina
from edge_retina.boxes.fitting import knee
from edge_retina.config import Config
from edge_retina.datasets.objects import LEARNABLE_PX
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.advice.advise import advise
from edge_retina.doctor.data.checks.anchors import AnchorStudy, check_anchors, study_anchors
from edge_retina.doctor.data.checks.boxes import check_boxes
from edge_retina.doctor.data.checks.classes import box_counts, check_classes
from edge_retina.doctor.data.checks.displacement import check_displacement
from edge_retina.doctor.data.checks.duplicates import check_duplicates
from edge_retina.doctor.data.checks.formats import check_formats
from edge_retina.doctor.data.checks.images import check_images
from edge_retina.doctor.data.checks.objects import (
    ObjectStatistics,
    check_objects,
    measure_objects,
)
from edge_retina.doctor.data.survey import Survey, survey
from edge_retina.doctor.findings import Finding, by_severity

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a data set, and what to change.

    Attributes:
        survey: the data set as it was found.
        findings: errors first.
        objects: at the network's input.
        anchors: coverage; None where there is no object to cover.
        advice: config fields that should differ from the config that was given.
    """

    survey: Survey
    findings: tuple[Finding, ...]
    objects: ObjectStatistics
    anchors: AnchorStudy | None
    advice: tuple[Advice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain dicts and lists, for JSON."""
        known = self.survey
        return {
            "schema_version": SCHEMA_VERSION,
            "edge_retina_version": edge_retina.__version__,
            "data": {"path": str(known.root), "layout": known.layout},
            "image_size": _square(self.objects.image_hw),
            "image_hw": list(self.objects.image_hw),
            "images": {name: len(items) for name, items in known.examples.items()},
            "boxes": box_counts(known),
            "findings": [finding.to_dict() for finding in self.findings],
            "objects": _objects(self.objects),
            "anchors": _anchors(self.anchors),
            "advice": [dataclasses.asdict(item) for item in self.advice],
        }


def examine(
    dataset_path: Path | str,
    *,
    image_hw: tuple[int, int] | None = None,
    config: Config | None = None,
) -> Diagnosis:
    """Examine a data set.

    Args:
        dataset_path: DATA of the contract.
        image_hw: height and width of the network input in pixels; by default the config's.
        config: of the training that is to come; by default the package's defaults.

    Raises:
        DatasetError: the data set can't be read at all.
        ConfigError: an `image_hw` that no network can have.
    """
    config = config or Config()
    if image_hw is not None:
        config = config.replace(model=dataclasses.replace(config.model, image_hw=image_hw))
    known = survey(dataset_path, config)
    objects = measure_objects(known, config.model.image_hw)
    anchors = study_anchors(known, config.model.image_hw) if len(objects.classes) else None
    findings = [
        *check_images(known),
        *check_formats(known),
        *check_boxes(known.objects),
        *check_displacement(known),
        *check_classes(known),
        *check_duplicates(known),
        *check_objects(known, objects),
        *(check_anchors(anchors) if anchors is not None else ()),
    ]
    advice = advise(known, objects, anchors)
    return Diagnosis(known, by_severity(findings), objects, anchors, advice)


def _square(image_hw: tuple[int, int]) -> int | None:
    """Return the side of a square input; None for another."""
    height, width = image_hw
    return height if height == width else None


def _objects(objects: ObjectStatistics) -> dict[str, Any]:
    return {
        "count": len(objects.classes),
        "under_8_px": float((objects.sides < LEARNABLE_PX).mean()) if len(objects.sides) else None,
        "side_px": _quantiles(objects.sides),
        "aspect": _quantiles(objects.aspects),
        "per_image": _quantiles(objects.per_image),
        "lost_to_nms": {f"{at:g}": share for at, share in objects.lost_to_nms.items()},
    }


def _quantiles(values: np.ndarray) -> dict[str, float] | None:
    if not len(values):
        return None
    shares = (0, 5, 25, 50, 75, 95, 100)
    return {
        f"p{share}": round(float(value), 4)
        for share, value in zip(shares, np.percentile(values, shares), strict=True)
    }


def _anchors(study: AnchorStudy | None) -> dict[str, Any] | None:
    if study is None:
        return None
    return {
        "levels": list(study.levels),
        "sets": {
            name: {
                "shapes": shapes,
                **study.coverage[name].to_dict(),
                "as_drawn": study.drawn[name].to_dict(),
                "held_out": study.held_out[name].to_dict(),
            }
            for name, shapes in study.shapes.items()
        },
        "held_out_objects": study.held_out_name,
        "square_reach": study.square.to_dict(),
        "fitted_objects": study.fitted_objects,
        "curve": [point.to_dict() for point in study.curve],
        "recommended_per_cell": knee(study.curve),
    }
