"""What augmentation does to the objects of a training, and a warning where that goes too far.

Some hundred training images are drawn without pixels, as the training will draw them, and compared
with the same images as they are. Where a figure crosses its limit, every setting that moves objects
is switched off in turn, to name the one that does it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.coverage import AnchorCoverage, best_iou
from edge_retina.boxes.iou import mean_sides
from edge_retina.config import AugmentationConfig
from edge_retina.datasets.objects import LEARNABLE_PX
from edge_retina.datasets.schema import Example
from edge_retina.input_pipeline.augmented_objects import augmented_objects
from edge_retina.input_pipeline.geometry import PlacedObjects

DRAWS = 200  # shares of a few hundred objects are right to two or three points
_ROUNDING = 1e-6
# The settings on which the figures depend; all others leave boxes alone or only mirror them.
MOVING = (
    *("mosaic", "copy_paste", "transpose", "rotation", "shear"),
    *("scale", "aspect", "translate", "crop"),
)


@dataclass(frozen=True)
class AugmentationEffect:
    """What becomes of the objects of training images.

    Attributes:
        objects: number of objects, those ignored in the data left out.
        small: share under the learnable size, of those that are not ignored.
        cut: share that is cut off or covered in part, but not ignored, of all.
        ignored: share that is ignored because too little of it is left, of all.
        growth: mean growth of the boxes that are not ignored, minus 1; see `PlacedObjects`.
        coverage: by the anchors, of those that are not ignored.
    """

    objects: int
    small: float
    cut: float
    ignored: float
    growth: float
    coverage: AnchorCoverage

    @classmethod
    def of(cls, placed: PlacedObjects, grid: AnchorGrid) -> AugmentationEffect:
        """Measure objects at the input of `grid`."""
        learned = ~placed.ignored
        counted = learned | placed.too_little
        boxes = placed.boxes_px[learned]
        return cls(
            objects=int(counted.sum()),
            small=_mean(mean_sides(boxes) < LEARNABLE_PX),
            cut=_mean((learned & (placed.visible < 1 - _ROUNDING))[counted]),
            ignored=_mean(placed.too_little[counted]),
            growth=_mean(placed.growth[learned] - 1),
            coverage=AnchorCoverage.of(best_iou(grid, boxes)),
        )

    @property
    def uncovered(self) -> float:
        """Share of objects without an anchor of IoU >= 0.5."""
        return 1 - self.coverage.best_possible_recall if self.objects else 0.0


@dataclass(frozen=True)
class _Limit:
    """How far one figure may rise above that of the images as they are.

    Attributes:
        figure: a field of `AugmentationEffect`.
        most: the rise that is accepted.
        text: of the warning, for `now` and `before`.
    """

    figure: str
    most: float
    text: str

    def excess(self, effect: AugmentationEffect, plain: AugmentationEffect) -> float:
        """Return how far beyond the limit an effect is; 0 or less if it isn't."""
        return float(getattr(effect, self.figure) - getattr(plain, self.figure) - self.most)


# Most objects of a mosaic are cut. It isn't blamed for that up to half of the images, which is what
# `doctor` advises where it helps (benchmarks/results/recipe.md).
ACCEPTED_MOSAIC = 0.5
_CUTTING = ("cut", "ignored")

_LIMITS = (
    # The doctor tolerates 2% in the images themselves; in training the same objects come back
    # larger in other draws.
    _Limit(
        "small",
        0.05,
        f"{{now:.0%}} of the objects are smaller than {LEARNABLE_PX:.0f} px in training "
        "({before:.0%} in the images)",
    ),
    # Beyond a half, most boxes that the network learns from don't show where a whole object ends.
    _Limit("cut", 0.5, "{now:.0%} of the objects are cut off or covered in part in training"),
    # So many of the labels that somebody has drawn are not used. Default settings ignore 1 to 5%.
    _Limit(
        "ignored",
        0.15,
        "{now:.0%} of the objects are ignored in training, because less than "
        "augmentation.min_visible of them is left",
    ),
    # A box with 15% too much area has IoU 0.87 with the right one: no longer found at 0.9.
    _Limit("growth", 0.15, "boxes have {now:.0%} more area in training than their objects need"),
    # Twice what augmenting costs by default; see benchmarks/results/augmented_coverage.md.
    _Limit(
        "uncovered",
        0.08,
        "{now:.0%} of the objects have no anchor of IoU 0.5 in training ({before:.0%} in the "
        "images)",
    ),
)


def measure_effect(
    examples: Sequence[Example],
    grid: AnchorGrid,
    settings: AugmentationConfig,
    *,
    seed: int,
    draws: int = DRAWS,
) -> AugmentationEffect:
    """Measure what augmentation does to the first `draws` images of a training.

    Args:
        examples: the training split.
        grid: the anchors.
        settings: ranges and probabilities.
        seed: that of the training.
        draws: images.
    """
    placed = augmented_objects(
        examples, image_hw=grid.image_hw, settings=settings, seed=seed, draws=draws
    )
    return AugmentationEffect.of(placed, grid)


def examine_augmentation(
    examples: Sequence[Example],
    grid: AnchorGrid,
    settings: AugmentationConfig,
    *,
    seed: int,
    draws: int = DRAWS,
    leave_out: Sequence[str] = (),
) -> tuple[AugmentationEffect, list[str]]:
    """Measure what augmentation does, and warn of each figure that crosses its limit.

    A warning names the setting without which the figure is within the limit. Where there is no such
    setting, it names the one that does most. Arguments are those of `measure_effect`, and
    `leave_out`: fields of `AugmentationEffect` not to warn of.

    Returns:
        the effect; one line for each figure that crosses its limit.
    """

    def measure(settings: AugmentationConfig) -> AugmentationEffect:
        return measure_effect(examples, grid, settings, seed=seed, draws=draws)

    effect, plain = measure(settings), measure(switched_off(settings, *MOVING))
    limits = [limit for limit in _LIMITS if limit.figure not in leave_out]
    if not 0 < settings.mosaic <= ACCEPTED_MOSAIC:
        return effect, _warnings(limits, effect, plain, settings, measure)
    # What mosaic cuts is the price of it, which is known and accepted.
    spared = switched_off(settings, "mosaic")
    cutting = [limit for limit in limits if limit.figure in _CUTTING]
    others = [limit for limit in limits if limit.figure not in _CUTTING]
    return effect, [
        *_warnings(others, effect, plain, settings, measure),
        *_warnings(cutting, measure(spared), plain, spared, measure),
    ]


def switched_off(settings: AugmentationConfig, *names: str) -> AugmentationConfig:
    """Return settings in which the named ones change nothing."""
    off: dict[str, Any] = {name: (1.0, 1.0) if name == "scale" else 0.0 for name in names}
    return dataclasses.replace(settings, **off)


def _warnings(
    limits: Sequence[_Limit],
    effect: AugmentationEffect,
    plain: AugmentationEffect,
    settings: AugmentationConfig,
    measure: Callable[[AugmentationConfig], AugmentationEffect],
) -> list[str]:
    """Return a line for each limit that `effect`, that of `settings`, crosses."""
    crossed = [limit for limit in limits if limit.excess(effect, plain) > 0]
    if not crossed:
        return []
    active = [name for name in MOVING if switched_off(settings, name) != settings]
    without = {name: measure(switched_off(settings, name)) for name in active}
    return [_warning(limit, effect, plain, without) for limit in crossed]


def _warning(
    limit: _Limit,
    effect: AugmentationEffect,
    plain: AugmentationEffect,
    without: dict[str, AugmentationEffect],
) -> str:
    excess = {name: limit.excess(other, plain) for name, other in without.items()}
    worst = min(excess, key=lambda name: excess[name])
    now = getattr(effect, limit.figure)
    text = limit.text.format(now=now, before=getattr(plain, limit.figure))
    remedy = _remedy(worst, limit.figure)
    if excess[worst] <= 0:
        return f"augmentation.{worst}: {text}; {remedy}"
    rest = getattr(without[worst], limit.figure)
    return (
        f"augmentation: {text}; no single setting does it, augmentation.{worst} most of all "
        f"({rest:.0%} without it): {remedy}"
    )


def _remedy(name: str, figure: str) -> str:
    if name != "scale":
        return f"lower augmentation.{name}"
    if figure == "small":
        return "raise the lower bound of augmentation.scale"
    if figure in ("cut", "ignored"):
        return "lower the upper bound of augmentation.scale"
    return "narrow augmentation.scale"


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0
