"""The causes of a RUN's result, ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import edge_retina
from edge_retina.doctor.run.causes import CAUSES
from edge_retina.doctor.run.evidence import RunEvidence
from edge_retina.doctor.run.suspicion import STAGES, Suspicion

SCHEMA_VERSION = 1
# What is broken makes everything after it look bad too, so it comes first. Wrong labels do so to a
# degree: their cost counts more in the ranking than that of their consequences.
_FIRST, _LABELS = STAGES[:2]
_LABELS_WEIGHT = 2.0


@dataclass(frozen=True)
class Unjudged:
    """A cause that could not be judged, and what was missing."""

    title: str
    reason: str


@dataclass(frozen=True)
class RunDiagnosis:
    """What `doctor RUN` found.

    Attributes:
        evidence: what it rests on.
        suspicions: most likely first.
        unjudged: causes for which something was missing.
    """

    evidence: RunEvidence
    suspicions: tuple[Suspicion, ...]
    unjudged: tuple[Unjudged, ...]

    @property
    def unjudged_by_reason(self) -> dict[str, list[str]]:
        """Titles of the causes that could not be judged, by what was missing."""
        found: dict[str, list[str]] = {}
        for item in self.unjudged:
            found.setdefault(item.reason, []).append(item.title)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain dicts and lists, for JSON."""
        run = self.evidence
        return {
            "schema_version": SCHEMA_VERSION,
            "edge_retina_version": edge_retina.__version__,
            "run": run.name,
            "steps": run.steps,
            "measured": {
                outputs.split: {
                    "images": len(outputs.examples),
                    "objects": outputs.objects,
                    "mAP": outputs.mAP,
                    "mAP50": outputs.mAP50,
                    "mAP50_without_classes": outputs.mAP50_without_classes,
                    "errors": outputs.gains.to_dict(),
                }
                for outputs in (run.train, run.val)
                if outputs is not None
            },
            "suspicions": [item.to_dict() for item in self.suspicions],
            "unjudged": [vars(item) for item in self.unjudged],
            "missing": dict(run.missing),
        }


def diagnose(evidence: RunEvidence) -> RunDiagnosis:
    """Judge every cause that there is evidence for, and rank those that are suspected."""
    found, unjudged = [], []
    for cause in CAUSES:
        lacking = [reason for need in cause.needs if (reason := evidence.lacks(need))]
        if lacking:
            unjudged.append(Unjudged(cause.title, lacking[0]))
            continue
        suspicion = cause.suspect(evidence)
        if suspicion is not None:
            found.append(suspicion)
    found.sort(key=_rank)
    return RunDiagnosis(evidence, tuple(found), tuple(unjudged))


def _rank(item: Suspicion) -> tuple[bool, float]:
    weight = _LABELS_WEIGHT if item.stage == _LABELS else 1.0
    return item.stage != _FIRST, -item.cost * weight
