"""Advice in numbers: config fields for this data set, each with its reason in one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import tomli_w

from edge_retina.boxes.anchors import size_text
from edge_retina.boxes.fitting import WORTHWHILE_GAIN, knee
from edge_retina.boxes.kmeans import nearest_level
from edge_retina.config import AugmentationConfig, LossConfig, TrainConfig
from edge_retina.doctor.data.checks.anchors import AnchorStudy, study_anchors
from edge_retina.doctor.data.checks.classes import box_counts
from edge_retina.doctor.data.checks.objects import LEARNABLE_PX, ObjectStatistics, measure_objects
from edge_retina.doctor.data.survey import Survey

_LARGEST_SIZE = 640  # that a phone runs several times a second
_SMALL_SHARE = 0.02
# Two cells of the finest level. BCCD's platelets have 16 px at 256 and are the class that every
# detector measured here finds worst.
_MEDIAN_PX = 16.0
_CLASS_BOXES = 20  # a class with fewer has no median worth following
_LEVEL_SHARE = 0.01  # of the objects; a level for fewer costs more than it finds
_LEVEL_LOSS = 0.005  # of best possible recall
_BATCHES = (32, 16, 8)  # 32 pictures of 320 px are what 8 GB hold
_SMALLEST_BATCH = 4  # below, BatchNorm's statistics are noise
_STEPS_PER_EPOCH = 15
_SPARE_DETECTIONS = 1.25  # room for false positives that outrank true ones
_NMS_LOSS = 0.005  # of recall: below, more double detections cost more than is won


@dataclass(frozen=True)
class Advice:
    """A config field, the value it should have, and why."""

    key: str
    value: Any
    reason: str

    @property
    def value_text(self) -> str:
        """The value as in a config file."""
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


def advise(
    survey: Survey, objects: ObjectStatistics, anchors: AnchorStudy | None
) -> tuple[Advice, ...]:
    """Return advice for a data set; none where it holds no object.

    Args:
        survey: the data set.
        objects: measured at the config's input size.
        anchors: studied there, at the config's levels; None where there is no object.
    """
    if anchors is None:
        return ()
    size = _image_hw(survey, objects)
    at_size = measure_objects(survey, tuple(size.value))
    study, levels = _levels(survey, at_size, anchors)
    return (
        *_skip_invalid(survey),
        size,
        *levels,
        *_per_cell(study),
        *_focal(survey),
        _scale(at_size),
        *_batch(survey),
        *_detections(survey, objects),
        *_nms(survey, objects),
    )


def config_patch(advice: tuple[Advice, ...]) -> str:
    """Return the advice as a TOML file that `edge-retina train` takes, reasons as comments."""
    lines = [
        "# Advice of 'edge-retina doctor': what to change, and why. Add data.path and a name.\n"
    ]
    for section in dict.fromkeys(item.key.partition(".")[0] for item in advice):
        lines.append(f"\n[{section}]\n")
        for item in advice:
            of, _, name = item.key.partition(".")
            if of == section:
                lines.append(f"# {item.reason}\n{tomli_w.dumps({name: item.value})}")
    return "".join(lines)


def _skip_invalid(survey: Survey) -> list[Advice]:
    if not survey.skipped:
        return []
    reason = (
        f"{survey.skipped} invalid things stop training; this leaves them out until you mend them"
    )
    return [Advice("data.skip_invalid", True, reason)]


def _image_hw(survey: Survey, objects: ObjectStatistics) -> Advice:
    asked = max(objects.image_hw)
    native = max(max(item.image_hw) for item in survey.usable)
    # Never smaller than asked for: that is a choice of speed, not of data. Never larger than the
    # images: enlarging them shows nothing new.
    largest = max(asked, min(_LARGEST_SIZE, 32 * math.ceil(native / 32)))
    sizes = range(asked, largest + 1, 32)
    label, side = _smallest_class(survey, objects)

    def enough(size: int) -> bool:
        scale = size / asked
        return objects.small_share(scale) <= _SMALL_SHARE and side * scale >= _MEDIAN_PX

    size = next((size for size in sizes if enough(size)), sizes[-1])
    image_hw = [32 * max(round(length * size / asked / 32), 1) for length in objects.image_hw]
    median = side * size / asked
    told = (
        f"{objects.small_share(size / asked):.1%} of objects under 8 px, "
        f"median side of {label} {median:.0f} px"
    )
    if enough(size):
        reason = (
            f"the smallest size from {asked} px on with at most {_SMALL_SHARE:.0%} of "
            f"objects under 8 px and a median of {_MEDIAN_PX:.0f} px in every class: {told}"
        )
    else:
        parts = math.ceil(max(_MEDIAN_PX / median, _needed(objects, size / asked)))
        reason = (
            f"no size that the pictures or a phone allow is enough ({told}): cut the pictures into "
            f"{parts} x {parts} overlapping tiles"
        )
    return Advice("model.image_hw", image_hw, reason)


def _smallest_class(survey: Survey, objects: ObjectStatistics) -> tuple[str, float]:
    """Return the class with the smallest median side, and that side in pixels."""
    medians = {
        survey.labels[label]: float(np.median(objects.sides[objects.classes == label]))
        for label in np.unique(objects.classes)
        if (objects.classes == label).sum() >= _CLASS_BOXES
    }
    if not medians:
        return "all classes", float(np.median(objects.sides))
    label = min(medians, key=medians.__getitem__)
    return label, medians[label]


def _needed(objects: ObjectStatistics, scale: float) -> float:
    """Return by how much objects must grow so that only the allowed share is under 8 px."""
    low = float(np.quantile(objects.sides, _SMALL_SHARE)) * scale
    return LEARNABLE_PX / low


def _levels(
    survey: Survey, objects: ObjectStatistics, known: AnchorStudy
) -> tuple[AnchorStudy, list[Advice]]:
    """Return the levels that objects need, or the config's if those find more, with their study."""
    levels = tuple(range(3, 8))
    smallest, size = min(objects.image_hw), size_text(objects.image_hw)
    share = np.bincount(nearest_level(objects.sizes_hw, levels), minlength=8) / len(objects.sides)
    used = [level for level in levels if share[level] >= _LEVEL_SHARE and 2**level <= smallest]
    low = min(used[0], 5)  # the config's limit: nothing coarser than stride 32 is a finest level
    needed = tuple(range(low, max(used[-1], low + 1) + 1))
    full = known
    if objects.image_hw != known.image_hw:
        full = study_anchors(survey, objects.image_hw)
    lean = full if needed == full.levels else study_anchors(survey, objects.image_hw, levels=needed)
    lost = _recall(full) - _recall(lean)
    study = full if lost > _LEVEL_LOSS else lean
    sides = np.percentile(objects.sides, (1, 99))
    reason = (
        f"objects have {sides[0]:.0f}..{sides[1]:.0f} px at {size} px (1st..99th percentile), and "
        f"a level serves sides of about four strides"
    )
    if study is not lean:
        reason += (
            f"; yet without all of levels {full.levels[0]}..{full.levels[-1]} anchors would miss "
            f"{lost:.1%} more objects"
        )
    first, last = study.levels[0], study.levels[-1]
    return study, [
        Advice("model.min_level", first, f"{reason}: {4 * 2**first} px here"),
        Advice("model.max_level", last, f"{reason}: {4 * 2**last} px here"),
    ]


def _recall(study: AnchorStudy) -> float:
    enough = knee(study.curve)
    return max(
        (p.coverage.best_possible_recall for p in study.curve if p.per_cell == enough), default=0
    )


def _per_cell(study: AnchorStudy) -> list[Advice]:
    enough = knee(study.curve)
    if enough is None:
        return []
    told = ", ".join(
        f"{p.per_cell}: {p.coverage.best_possible_recall:.3f} {p.coverage.mean_best_iou:.3f}"
        for p in study.curve
    )
    reason = (
        f"one more fitted shape a cell adds less than {WORTHWHILE_GAIN} to recall and to mean IoU "
        f"({told})"
    )
    return [Advice("anchors.per_cell", enough, reason)]


def _focal(survey: Survey) -> list[Advice]:
    """Focal loss, section 4.1 and table 1b of Lin et al. 2017: gamma 2 with alpha 0.25.

    A rare class has few positives against the same background. Its odds are raised by the square
    root of the imbalance, the usual middle between none and all of it (Mahajan et al. 2018, 3.2).
    """
    defaults = LossConfig()
    counts = {label: n for label, n in box_counts(survey).items() if n >= _CLASS_BOXES}
    gamma = Advice(
        "loss.focal_gamma",
        defaults.focal_gamma,
        "the paper's best, and nearly as good from 1 to 5: it handles background, not rare classes",
    )
    if len(counts) < 2:
        reason = (
            "the paper's best with gamma 2; there are no two classes of 20 boxes to be balanced"
        )
        return [Advice("loss.focal_alpha", defaults.focal_alpha, reason), gamma]
    rarest = min(counts, key=counts.__getitem__)
    imbalance = float(np.mean(list(counts.values()))) / counts[rarest]
    odds = defaults.focal_alpha / (1 - defaults.focal_alpha) * math.sqrt(imbalance)
    alpha = round(min(odds / (1 + odds), 0.5), 2)
    reason = (
        f"{rarest} has {imbalance:.1f} times fewer boxes than the average class: odds of "
        f"{defaults.focal_alpha} raised by the square root of that; a starting point to search from"
    )
    return [Advice("loss.focal_alpha", alpha, reason), gamma]


def _scale(objects: ObjectStatistics) -> Advice:
    low, high = AugmentationConfig().scale
    side = float(np.percentile(objects.sides, 5))
    bound = round(min(1.0, max(low, LEARNABLE_PX / side)), 2)
    kept = "them" if side * bound >= LEARNABLE_PX - 0.05 else "as many as can be"
    reason = (
        f"95 % of objects are larger than {side:.1f} px at {size_text(objects.image_hw)} px; "
        f"zooming out to {bound} leaves {kept} at 8 px or more"
    )
    return Advice("augmentation.scale", [bound, high], reason)


def _batch(survey: Survey) -> list[Advice]:
    """Learning rate: square-root scaling for Adam (Malladi et al. 2022)."""
    defaults, count = TrainConfig(), len(survey.training)
    fitting = (size for size in _BATCHES if count / size >= _STEPS_PER_EPOCH)
    batch = next(fitting, _SMALLEST_BATCH)
    rate = float(f"{defaults.learning_rate * math.sqrt(batch / defaults.batch_size):.2g}")
    return [
        Advice(
            "train.batch_size",
            batch,
            f"{count} training pictures make {math.ceil(count / batch)} steps an epoch; "
            f"the largest batch with at least {_STEPS_PER_EPOCH}, within 4..32",
        ),
        Advice(
            "train.learning_rate",
            rate,
            f"the default {defaults.learning_rate:g} of batch {defaults.batch_size}, by the square "
            "root of the batch's ratio, as Adam's noise asks for",
        ),
    ]


def _detections(survey: Survey, objects: ObjectStatistics) -> list[Advice]:
    limit, most = survey.config.export.max_detections, int(objects.per_image.max())
    needed = min(1000, 50 * math.ceil(most * _SPARE_DETECTIONS / 50))
    if needed <= limit:
        return []
    reason = f"a picture holds {most} objects, and a quarter more leaves room for false positives"
    return [Advice("export.max_detections", needed, reason)]


def _nms(survey: Survey, objects: ObjectStatistics) -> list[Advice]:
    now = survey.config.export.nms_iou
    lost = objects.lost_to_nms
    higher = [at for at in lost if at > now]
    if lost[now] <= _NMS_LOSS or not higher:
        return []
    at = next((at for at in higher if lost[at] <= _NMS_LOSS), higher[-1])
    reason = (
        f"suppression at {now:g} loses {lost[now]:.1%} of the objects at best, at {at:g} "
        f"{lost[at]:.1%}; it also lets more double detections through, so compare the mAP"
    )
    return [Advice("export.nms_iou", at, reason)]
