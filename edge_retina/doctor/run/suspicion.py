"""What a cause of a poor result has to say about a RUN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edge_retina.doctor.help_page import Explained
from edge_retina.doctor.run.evidence import RunEvidence

# In this order the causes of a result act: a later one can look worse than it is because of an
# earlier one, so among causes that cost about the same the earlier comes first.
STAGES = ("broken", "labels", "fit", "generalisation", "decoding")


@dataclass(frozen=True)
class Mend:
    """What would mend a cause.

    Attributes:
        text: in a sentence.
        settings: config fields as `section.field=value`; empty if settings don't help.
        retrain: whether the settings need a new training.
    """

    text: str
    settings: tuple[str, ...] = ()
    retrain: bool = True


@dataclass(frozen=True)
class Suspicion(Explained):
    """A cause that the evidence points to.

    Attributes:
        code: short name that stays the same, e.g. "learning-rate-high".
        title: the cause in a few words.
        stage: one of `STAGES`.
        evidence: what was measured, in sentences with numbers.
        cost: mAP that it is estimated to cost, as a fraction of 1. A rough guess.
        mend: what would help.
    """

    code: str
    title: str
    stage: str
    evidence: tuple[str, ...]
    cost: float
    mend: Mend

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists for JSON."""
        return {**asdict(self), "help": self.help}


@dataclass(frozen=True)
class Judgement:
    """What one cause finds: its evidence, its cost and what mends it."""

    evidence: tuple[str, ...]
    cost: float
    mend: Mend


@dataclass(frozen=True)
class Cause:
    """A reason for which detectors are poor.

    Attributes:
        code: short name that stays the same.
        title: in a few words.
        stage: one of `STAGES`.
        needs: kinds of evidence, see `evidence`; where one is missing the cause isn't judged.
        judge: returns None if the evidence doesn't point to it.
    """

    code: str
    title: str
    stage: str
    needs: tuple[str, ...]
    judge: Callable[[RunEvidence], Judgement | None]

    def suspect(self, evidence: RunEvidence) -> Suspicion | None:
        """Judge a RUN that has the evidence."""
        found = self.judge(evidence)
        if found is None:
            return None
        # A detector can't gain more than what it lacks.
        cost = min(max(found.cost, 0.0), 1 - evidence.mAP)
        return Suspicion(self.code, self.title, self.stage, found.evidence, cost, found.mend)
