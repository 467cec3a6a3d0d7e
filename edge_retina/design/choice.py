"""A network of the grid with everything that speaks for and against it, and which one to take."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_retina.benchmark.operator import Operator
from edge_retina.design.frame import Frame
from edge_retina.design.front import pareto_front
from edge_retina.design.grid import Network
from edge_retina.design.object_fit import ObjectFit

# As in the doctor's advice on the input size: fewer small objects cost less than two points of
# recall at the most.
ENOUGH_LEARNABLE = 0.98
_CAPACITY_STEP = 1.02
_LEARNABLE_TOLERANCE = 0.01  # where the budget allows no network that is good enough


@dataclass(frozen=True)
class Choice:
    """A network, and what is known of it.

    Attributes:
        network: of the grid.
        operators: its layers, and how many there are of each.
        capacity_macs: MACs of backbone, pyramid and towers. The last convolutions, which grow with
            classes and anchors, add none.
        frame: what is around the network.
        fit: to the objects of the data set; None without one.
        predicted_ms: of a whole detection, by the op table; None before it is known.
        measured_ms: p50 of a whole detection of its exported file; None if it was not exported.
    """

    network: Network
    operators: Counter[Operator]
    capacity_macs: int
    frame: Frame
    fit: ObjectFit | None = None
    predicted_ms: float | None = None
    measured_ms: float | None = None

    @property
    def title(self) -> str:
        """Short name, unique in the grid."""
        return self.network.title

    @property
    def macs(self) -> int:
        """MACs of the whole network."""
        return sum(operator.macs * count for operator, count in self.operators.items())

    @property
    def gains(self) -> tuple[float, ...]:
        """What should be large: capacity, and with a data set the shares of its objects.

        In steps of 2 % and of one point: what differs by less is as good.
        """
        shares = () if self.fit is None else (self.fit.learnable, self.fit.covered)
        capacity = round(math.log(self.capacity_macs) / math.log(_CAPACITY_STEP))
        return float(capacity), *(round(share, 2) for share in shares)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        model = self.network.config.model
        fit = None
        if self.fit is not None:
            cells = self.fit.sides_cells(model.min_level)
            fit = {**dataclasses.asdict(self.fit), "sides_cells": cells}
        return {
            "title": self.title,
            "backbone": model.backbone,
            "backbone_width": model.backbone_width,
            "image_hw": model.image_hw,
            "min_level": model.min_level,
            "max_level": model.max_level,
            "fpn_channels": model.fpn_channels,
            "head_depth": model.head_depth,
            "anchors_per_cell": self.network.per_cell,
            "macs": self.macs,
            "capacity_macs": self.capacity_macs,
            "predicted_ms": self.predicted_ms,
            "measured_ms": self.measured_ms,
            "objects": fit,
        }


def front_of(choices: Sequence[Choice]) -> list[Choice]:
    """Return the Pareto front by predicted time, the fastest first."""
    places = pareto_front([predicted(choice) for choice in choices], [c.gains for c in choices])
    return [choices[place] for place in places]


def best_within(choices: Sequence[Choice], limit_ms: float, *, ratio: float = 1.0) -> Choice | None:
    """Return the network to take: of those with large enough objects, that of most capacity.

    Args:
        choices: all of them predicted; those that were measured count by their measurement.
        limit_ms: of the whole detection.
        ratio: of measured times to predicted ones.

    Returns:
        None if there is none within the limit. If in none of them 98 % of the objects are
        learnable, the best is taken of those within a point of the highest share.
    """
    fast = [choice for choice in choices if expected_ms(choice, ratio) <= limit_ms]
    if not fast:
        return None
    best = max(_learnable(choice) for choice in fast)
    needed = ENOUGH_LEARNABLE if best >= ENOUGH_LEARNABLE else best - _LEARNABLE_TOLERANCE
    fine = [choice for choice in fast if _learnable(choice) >= needed]
    return max(fine, key=lambda choice: (choice.gains, -expected_ms(choice, ratio)))


def expected_ms(choice: Choice, ratio: float) -> float:
    """Return the measured time, or the predicted one times `ratio`."""
    return predicted(choice) * ratio if choice.measured_ms is None else choice.measured_ms


def predicted(choice: Choice) -> float:
    """Return the predicted time of a network that has one."""
    if choice.predicted_ms is None:
        raise ValueError(f"{choice.title} has not been predicted")
    return choice.predicted_ms


def _learnable(choice: Choice) -> float:
    return 1.0 if choice.fit is None else choice.fit.learnable
