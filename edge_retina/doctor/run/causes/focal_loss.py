"""A focal loss that pushes scores down."""

from __future__ import annotations

from edge_retina.config import LossConfig
from edge_retina.doctor.run.evidence import LOG, SCORES, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_STRONG = 3.0  # gamma; 2 is the paper's
_LOW_SCORE = 0.4  # median score of positive anchors at the end


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect gamma if it is large and positive anchors have low scores at the end."""
    assert run.log is not None
    gamma, score = run.config.loss.focal_gamma, run.log.at_end("positive_score_p50")
    if gamma < _STRONG or not score < _LOW_SCORE:
        return None
    return Judgement(
        (
            f"loss.focal_gamma is {gamma:g}, so anchors that are half right hardly learn",
            f"half of the positive anchors have a score below {score:.2f} at the end",
        ),
        0.03 + 0.3 * (_LOW_SCORE - score),
        Mend("use the usual gamma", (f"loss.focal_gamma={LossConfig.focal_gamma:g}",)),
    )


GAMMA = Cause("focal-gamma", "The focal loss is too strong", "fit", (LOG, SCORES), judge)
