"""Advice on what the exported model returns."""

from __future__ import annotations

import math

from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.checks.objects import ObjectStatistics
from edge_retina.doctor.data.survey import Survey

_SPARE_DETECTIONS = 1.25  # room for false positives that outrank true ones
_NMS_LOSS = 0.005  # of recall; below that, more duplicate detections cost more than they gain


def max_detections(survey: Survey, objects: ObjectStatistics) -> list[Advice]:
    """Return advice to raise the number of detections, if a picture holds more objects."""
    limit, most = survey.config.export.max_detections, int(objects.per_image.max())
    needed = min(1000, 50 * math.ceil(most * _SPARE_DETECTIONS / 50))
    if needed <= limit:
        return []
    reason = f"one picture holds {most} objects; a quarter more leaves room for false positives"
    return [Advice("export.max_detections", needed, reason)]


def nms_iou(survey: Survey, objects: ObjectStatistics) -> list[Advice]:
    """Return advice to raise the NMS threshold, if it drops too many real objects."""
    now = survey.config.export.nms_iou
    lost = objects.lost_to_nms
    higher = [at for at in lost if at > now]
    if lost[now] <= _NMS_LOSS or not higher:
        return []
    at = next((at for at in higher if lost[at] <= _NMS_LOSS), higher[-1])
    reason = (
        f"NMS at IoU {now:g} drops at least {lost[now]:.1%} of the objects, at {at:g} only "
        f"{lost[at]:.1%}; but a higher value lets duplicate detections through: compare the mAP"
    )
    return [Advice("export.nms_iou", at, reason)]
