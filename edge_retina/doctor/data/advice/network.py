"""Advice on the network: input size, levels, anchors, and how far augmentation may zoom out."""

from __future__ import annotations

import math

import numpy as np

from edge_retina.boxes.anchors import size_text
from edge_retina.boxes.fitting import WORTHWHILE_GAIN, knee
from edge_retina.boxes.kmeans import nearest_level
from edge_retina.boxes.square_reach import LONGEST_ASPECT, REACH_IOU
from edge_retina.config import AugmentationConfig
from edge_retina.datasets.objects import LEARNABLE_PX
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.checks.anchors import AnchorStudy, study_anchors
from edge_retina.doctor.data.checks.objects import ObjectStatistics
from edge_retina.doctor.data.object_table import groups_of
from edge_retina.doctor.data.survey import Survey

_LARGEST_SIZE = 640  # px; the largest input that a phone runs several times a second
_SMALL_SHARE = 0.02
# Two cells of the finest level. BCCD's platelets have 16 px at 256 and are the class that every
# detector measured here finds worst.
_MEDIAN_PX = 16.0
_CLASS_BOXES = 20  # a class with fewer has no median worth following
_LEVEL_SHARE = 0.01  # of the objects; a level for fewer costs more than it finds
_LEVEL_LOSS = 0.005  # of best possible recall
# Share of objects too long for any square from which fitted shapes are advised. With 6 % of them,
# on vehicles, one square was level with fitted shapes (benchmarks/results/recipe.md); more was not
# tried.
SQUARE_MISSES = 0.1
# Mosaic is advised up to so many objects per image, if all but a tenth of them stay learnable at
# half their size. It was measured on vehicles (1.9 objects per image) in benchmarks/recipe.toml.
_MOSAIC_OBJECTS = 4
# Median side of the objects, of the image's, from which dynamic_k is advised. It gains on vehicles
# and raccoons (0.30 and 0.70), and loses on cells and chess pieces (0.18 and 0.09):
# benchmarks/results/recipe.md.
_LARGE_SHARE = 0.25
_MOSAIC_SMALL_SHARE = 0.1


def input_size(survey: Survey, objects: ObjectStatistics) -> Advice:
    """Return advice on `model.image_hw`; `objects` are measured at the config's."""
    asked = max(objects.image_hw)
    native = int(survey.usable.image_hw.max())
    # Never smaller than asked for: that is a choice of speed, not of data. Never larger than the
    # pictures: enlarging them adds no detail.
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
            f"smallest size from {asked} px up with at most {_SMALL_SHARE:.0%} of objects under "
            f"8 px and a median side of at least {_MEDIAN_PX:.0f} px in every class: {told}"
        )
    else:
        parts = math.ceil(max(_MEDIAN_PX / median, _needed(objects, size / asked)))
        reason = (
            f"no input that the pictures or a phone allow is large enough ({told}): cut the "
            f"pictures into {parts} x {parts} overlapping tiles"
        )
    return Advice("model.image_hw", image_hw, reason)


def _smallest_class(survey: Survey, objects: ObjectStatistics) -> tuple[str, float]:
    """Return the class with the smallest median side, and that side in pixels."""
    medians = {
        survey.labels[label]: float(np.median(sides))
        for label, sides in groups_of(objects.classes, objects.sides)
        if len(sides) >= _CLASS_BOXES
    }
    if not medians:
        return "all classes", float(np.median(objects.sides))
    label = min(medians, key=medians.__getitem__)
    return label, medians[label]


def _needed(objects: ObjectStatistics, scale: float) -> float:
    """Return by how much objects must grow so that only the allowed share is under 8 px."""
    low = float(np.quantile(objects.sides, _SMALL_SHARE)) * scale
    return LEARNABLE_PX / low


def levels(
    survey: Survey, objects: ObjectStatistics, known: AnchorStudy
) -> tuple[AnchorStudy, list[Advice]]:
    """Return advice on levels, and the study of anchors on these levels.

    The levels are those that objects need, or the config's if fewer would lose too many objects.
    """
    size = size_text(objects.image_hw)
    # As the config allows: a stride must fit into the input.
    possible = tuple(level for level in range(3, 8) if 2**level <= min(objects.image_hw))
    share = np.bincount(nearest_level(objects.sizes_hw, possible), minlength=8) / len(objects.sides)
    used = [level for level in possible if share[level] >= _LEVEL_SHARE]
    low = min(used[0], 5)  # the config's limit for the finest level
    high = max(used[-1], min(low + 1, possible[-1]))
    needed = tuple(range(low, high + 1))
    full = known
    if objects.image_hw != known.image_hw:
        full = study_anchors(survey, objects.image_hw)
    lean = full
    if needed != full.levels:
        lean = study_anchors(survey, objects.image_hw, levels=needed, objects=full.objects)
    lost = _recall(full) - _recall(lean)
    study = full if lost > _LEVEL_LOSS else lean
    sides = np.percentile(objects.sides, (1, 99))
    reason = (
        f"object sides are {sides[0]:.0f}-{sides[1]:.0f} px at {size} px (1st to 99th percentile); "
        "a level suits sides of about four strides, "
    )
    more = ""
    if study is not lean:
        more = (
            f"; but with fewer than levels {full.levels[0]}-{full.levels[-1]} anchors would miss "
            f"{lost:.1%} more objects"
        )
    first, last = study.levels[0], study.levels[-1]
    return study, [
        Advice("model.min_level", first, f"{reason}here {4 * 2**first} px{more}"),
        Advice("model.max_level", last, f"{reason}here {4 * 2**last} px{more}"),
    ]


def _recall(study: AnchorStudy) -> float:
    enough = knee(study.curve)
    return max(
        (p.coverage.best_possible_recall for p in study.curve if p.per_cell == enough), default=0
    )


def anchors(study: AnchorStudy, objects: ObjectStatistics) -> list[Advice]:
    """Return advice on the kind of anchors, their number, and how objects are matched to them.

    Squares where they reach the objects; else fitted shapes, as many as the knee of the coverage
    curve says.
    """
    square = study.square
    told = (
        f"{square.too_long:.1%} of the objects, as training draws them, are longer than "
        f"{LONGEST_ASPECT:.1f} : 1, where no square reaches IoU {REACH_IOU:g}"
    )
    if square.too_long > SQUARE_MISSES:
        kind = Advice("anchors.kind", "fitted", f"{told}; squares suit up to {SQUARE_MISSES:.0%}")
        thresholds = "fitted shapes were measured with fixed IoU thresholds"
        return [kind, *_per_cell(study), Advice("matching.assigner", "max_iou", thresholds)]
    reach = (
        f"; with one square per cell {square.beyond_reach:.1%} have no anchor of IoU {REACH_IOU:g}"
    )
    if square.too_small > 0:
        reach += f", {square.too_small:.1%} because they are small, where ATSS goes by the place"
    return [Advice("anchors.kind", "square", f"only {told}{reach}"), _assigner(objects)]


def _assigner(objects: ObjectStatistics) -> Advice:
    """Return advice on `matching.assigner` for squares."""
    height, width = objects.image_hw
    share = float(np.median(objects.sides)) / math.sqrt(height * width)
    if share >= _LARGE_SHARE:
        reason = (
            f"half of the objects have a side of {share:.0%} of the image's or more: ATSS takes "
            "the nearest cells only, which are few for large objects, and makes their boxes less "
            "exact"
        )
        return Advice("matching.assigner", "dynamic_k", reason)
    reason = (
        "fixed IoU thresholds leave too many objects without a positive square; ATSS takes the "
        "best of those near each object"
    )
    return Advice("matching.assigner", "atss", reason)


def _per_cell(study: AnchorStudy) -> list[Advice]:
    """Return advice on `anchors.per_cell`: the knee of the coverage curve."""
    enough = knee(study.curve)
    if enough is None:
        return []
    told = "; ".join(
        f"{p.per_cell}: {p.coverage.best_possible_recall:.3f}, {p.coverage.mean_best_iou:.3f}"
        for p in study.curve
    )
    reason = (
        f"one more fitted anchor per cell adds less than {WORTHWHILE_GAIN} to recall and mean IoU "
        f"({told})"
    )
    return [Advice("anchors.per_cell", enough, reason)]


def zoom(objects: ObjectStatistics) -> Advice:
    """Return advice on `augmentation.scale`, so that zooming out leaves objects learnable."""
    low, high = AugmentationConfig().scale
    side = float(np.percentile(objects.sides, 5))
    bound = round(min(1.0, max(low, LEARNABLE_PX / side)), 2)
    kept = "them" if side * bound >= LEARNABLE_PX - 0.05 else "as many as possible"
    reason = (
        f"95% of objects are larger than {side:.1f} px at {size_text(objects.image_hw)} px; "
        f"zooming out to {bound} keeps {kept} at 8 px or more"
    )
    return Advice("augmentation.scale", [bound, high], reason)


def mosaic(objects: ObjectStatistics) -> list[Advice]:
    """Return advice to join images in training where they show few objects and large ones."""
    number = float(objects.per_image.mean())
    low = float(np.quantile(objects.sides, _MOSAIC_SMALL_SHARE))
    if number > _MOSAIC_OBJECTS or low / 2 < LEARNABLE_PX:
        return []
    reason = (
        f"an image shows {number:.1f} objects on average; half of the training images are joined "
        "from four others, which shows more objects in more surroundings in each step. "
        f"{1 - _MOSAIC_SMALL_SHARE:.0%} of the objects keep at least {low / 2:.1f} px"
    )
    return [Advice("augmentation.mosaic", 0.5, reason)]
