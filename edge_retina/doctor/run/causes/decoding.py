"""Thresholds that throw good detections away, or keep bad ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from edge_retina.config import ExportConfig
from edge_retina.doctor.run.evidence import TRAIN, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend
from edge_retina.evaluation.matches import find_matches

_GAIN = 0.012  # of mAP; the best of several settings is lucky by about half of that
_OVERLAPS = (0.3, 0.4, 0.5, 0.6, 0.7)


def judge(run: RunEvidence) -> Judgement | None:
    """Decode the same outputs with other settings; suspect the own ones if others do better."""
    outputs = run.val or run.train
    assert outputs is not None
    found = {}
    for changes in _others(outputs.export):
        detections = outputs.decoded(dataclasses.replace(outputs.export, **changes))
        matches = find_matches(outputs.examples, detections, outputs.labels)
        found[tuple(changes.items())] = matches.mAP()
    best = max(found, key=lambda changes: found[changes])
    gain = found[best] - outputs.mAP
    if gain < _GAIN:
        return None
    own = ", ".join(f"export.{name} is {getattr(outputs.export, name)}" for name, _ in best)
    settings = tuple(f"export.{name}={_text(value)}" for name, value in best)
    return Judgement(
        (
            f"{own}; the same outputs have a mAP of {found[best]:.3f} on {outputs.split} with "
            f"{' and '.join(settings)}, and {outputs.mAP:.3f} as they are decoded now",
        ),
        gain,
        Mend("decode with these settings; nothing needs to be trained", settings, retrain=False),
    )


def _others(own: ExportConfig) -> Iterator[dict[str, Any]]:
    for overlap in _OVERLAPS:
        if overlap != own.nms_iou:
            yield {"nms_iou": overlap}
    if own.score_threshold > ExportConfig.score_threshold:
        yield {"score_threshold": ExportConfig.score_threshold}
        yield {"score_threshold": ExportConfig.score_threshold, "nms_iou": ExportConfig.nms_iou}
    yield {"class_agnostic": not own.class_agnostic}
    if own.max_detections < ExportConfig.max_detections:
        yield {"max_detections": ExportConfig.max_detections}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}"


DECODING = Cause(
    "decoding", "Thresholds of score or overlap don't suit", "decoding", (TRAIN,), judge
)
