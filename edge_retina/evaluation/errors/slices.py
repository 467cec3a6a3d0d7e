"""Average precision of some of the objects: the small ones, the crowded ones, those in the dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.evaluation.assignment import Assignment
from edge_retina.evaluation.errors.traits import Trait
from edge_retina.evaluation.matches import select_matches


@dataclass(frozen=True)
class Slice:
    """The objects of one bin of a trait, and how well they are found.

    Attributes:
        trait: name of the trait.
        name: of the bin.
        low, high: its ends; `high` is None where it has none.
        objects: number of objects.
        found: how many of them have a detection of IoU .5, of any score.
        mAP, mAP50: over the classes that have an object in it.
    """

    trait: str
    name: str
    low: float
    high: float | None
    objects: int
    found: int
    mAP: float
    mAP50: float

    @property
    def title(self) -> str:
        """Name of the trait and the bin, for people."""
        return f"{self.trait.replace('_', ' ')} {self.name}"

    def to_dict(self) -> dict[str, Any]:
        """Return the slice as it stands in the JSON of `evaluate --errors`."""
        return {name: value for name, value in vars(self).items() if name != "trait"}


def slice_by(assignment: Assignment, trait: Trait) -> list[Slice]:
    """Return the bins of a trait that have an object, in their order.

    For a bin, the other objects need not be found, and detections that found them are no false
    alarms. A detection that found nothing is a false alarm of the bin that its own box lies
    in. That is how COCO computes AP by area, but here the matching is that of all objects.
    """
    slices = []
    for index, (name, objects, detections) in enumerate(trait.bins()):
        matches = select_matches(assignment, objects=objects, false_alarms=detections)
        precision = matches.average_precision()[0]
        known = precision[~np.isnan(precision[:, 0])]
        count = int(matches.objects.sum())
        if not count:
            continue
        high = trait.edges[index + 1]
        slices.append(
            Slice(
                trait=trait.name,
                name=name,
                low=float(trait.edges[index]),
                high=float(high) if np.isfinite(high) else None,
                objects=count,
                found=int(matches.right[0].sum()),
                mAP=float(known.mean()),
                mAP50=float(known[:, 0].mean()),
            )
        )
    return slices


def worst_slices(slices: Sequence[Slice], *, limit: int, min_objects: int = 10) -> list[Slice]:
    """Return the slices of the lowest mAP50, worst first.

    Slices of fewer than `min_objects` say little and are left out, and so are those that are all
    that their trait has.
    """
    of_trait: dict[str, int] = {}
    for item in slices:
        of_trait[item.trait] = of_trait.get(item.trait, 0) + 1
    chosen = [item for item in slices if item.objects >= min_objects and of_trait[item.trait] > 1]
    return sorted(chosen, key=lambda item: item.mAP50)[:limit]
