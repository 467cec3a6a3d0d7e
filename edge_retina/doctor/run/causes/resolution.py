"""Inputs that are too small for the objects."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.iou import mean_sides, pairwise_iou
from edge_retina.datasets.objects import LEARNABLE_PX, object_classes
from edge_retina.doctor.run.evidence import DATA, TRAIN, RunEvidence
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_SMALL_PX = 16.0  # two cells of the finest usual level
_MANY = 0.3  # share of the objects, or median class, that is small
_WORSE = 0.15  # recall of small objects below that of the others
# First values: 128 px instead of 256 lost 11 to 40 points (benchmarks/results/sabotage.md).
_SMALL_INPUT_PX = 192
_REDUCED = 1.5  # an image's side over the input's
_LARGER = 1.5
_PART = 0.6  # of what keeps it from learning


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect the input size if the objects are small in it, or it is small beside the images."""
    return _misses_small(run) or _all_small(run) or _input_small(run)


def _misses_small(run: RunEvidence) -> Judgement | None:
    """Look whether small objects are the ones that are missed."""
    outputs = run.val or run.train
    assert outputs is not None
    sides = mean_sides(run.objects_px)
    if not len(sides):
        return None
    small = float((sides < _SMALL_PX).mean())
    medians = [
        float(np.median(sides[classes])) for classes in _by_class(run) if classes.sum() >= 10
    ]
    many = small >= _MANY or min(medians, default=_SMALL_PX) < _SMALL_PX * 0.75
    recall, share = _recall_by_size(outputs)
    if not many or recall is None or recall[1] - recall[0] < _WORSE:
        return None
    return Judgement(
        (
            _small_text(run, small),
            f"of objects under {_SMALL_PX:.0f} px {recall[0]:.0%} are found on {outputs.split}, of "
            f"larger ones {recall[1]:.0%}",
        ),
        share * (recall[1] - recall[0]) * 0.6,
        _mend(run),
    )


def _all_small(run: RunEvidence) -> Judgement | None:
    """Look at the objects where nearly all are small, so that there are no larger ones to compare.

    They may be found and still be taken for one another.
    """
    sides = mean_sides(run.objects_px)
    if run.has_learnt or not len(sides) or np.median(sides) >= _SMALL_PX:
        return None
    return Judgement(
        (_small_text(run, float((sides < _SMALL_PX).mean())), run.unlearnt_line),
        _PART * run.unlearnt,
        _mend(run),
    )


def _input_small(run: RunEvidence) -> Judgement | None:
    """Compare the input with the images."""
    height, width = run.config.model.image_hw
    sides = [min(example.image_hw) for example in run.train_examples or ()]
    if run.has_learnt or min(height, width) >= _SMALL_INPUT_PX or not sides:
        return None
    smaller = float(np.median(sides)) / min(height, width)
    if smaller < _REDUCED:
        return None
    return Judgement(
        (
            f"the input is {width} x {height} px, and images are {smaller:.1f} times as large",
            run.unlearnt_line,
        ),
        _PART * run.unlearnt,
        _mend(run),
    )


def _small_text(run: RunEvidence, small: float) -> str:
    height, width = run.config.model.image_hw
    return (
        f"{small:.0%} of the objects have sides under {_SMALL_PX:.0f} px at {width} x {height} "
        f"px; under {LEARNABLE_PX:.0f} px hardly anything is learnt"
    )


def _mend(run: RunEvidence) -> Mend:
    height, width = (_rounded(side * _LARGER) for side in run.config.model.image_hw)
    return Mend(
        "enlarge the input (latency grows with its area)", (f"model.image_hw=[{height}, {width}]",)
    )


def _by_class(run: RunEvidence) -> list[np.ndarray]:
    classes = object_classes(run.train_examples or ())
    return [classes == index for index in range(len(run.labels))]


def _recall_by_size(outputs: Outputs) -> tuple[tuple[float, float] | None, float]:
    """Return the recall of small and of larger objects, None if there are few; share of small."""
    sides, found = [], []
    for example, item in zip(outputs.examples, outputs.detections, strict=True):
        there = ~example.ignored
        boxes = example.boxes_at(outputs.anchors.image_hw)[there]
        at_input = item.boxes_px(outputs.anchors.image_hw)
        sides.append(mean_sides(boxes))
        found.append(_found(boxes, example.classes[there], at_input, item.classes))
    side, is_found = np.concatenate(sides), np.concatenate(found)
    small = side < _SMALL_PX
    if min(small.sum(), (~small).sum()) < 10:
        return None, float(small.mean()) if len(small) else 0.0
    return (float(is_found[small].mean()), float(is_found[~small].mean())), float(small.mean())


def _found(
    boxes: np.ndarray, classes: np.ndarray, detected: np.ndarray, detected_classes: np.ndarray
) -> np.ndarray:
    iou = pairwise_iou(boxes, detected) * (classes[:, None] == detected_classes)
    return np.asarray(iou.max(axis=1, initial=0) >= 0.5)


def _rounded(side: float) -> int:
    return round(side / 32) * 32


RESOLUTION = Cause(
    "resolution", "The input is too small for the objects", "fit", (DATA, TRAIN), judge
)
