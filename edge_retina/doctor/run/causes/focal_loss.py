"""A focal loss that pushes scores down."""

from __future__ import annotations

from edge_retina.config import LossConfig
from edge_retina.doctor.run.evidence import LOG, SCORES, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_STRONG = 3.0  # gamma; 2 is the paper's
_SURE = 0.7  # score of the best tenth of the positive anchors in a detector that is sure of them
_COST = 0.03  # for each 1 above 2; gamma 5 lost 15 points on chess and 10 on vehicles5


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect gamma if it is large, scores stay low and training images aren't learnt."""
    assert run.log is not None
    gamma, score = run.config.loss.focal_gamma, run.log.at_end("positive_score_p90")
    if gamma < _STRONG or not score < _SURE or run.has_learnt:
        return None
    return Judgement(
        (
            f"loss.focal_gamma is {gamma:g}, so anchors that are half right hardly learn",
            f"nine in ten of the positive anchors have a score below {score:.2f} at the end",
        ),
        _COST * (gamma - LossConfig.focal_gamma),
        Mend("use the usual gamma", (f"loss.focal_gamma={LossConfig.focal_gamma:g}",)),
    )


GAMMA = Cause("focal-gamma", "The focal loss is too strong", "fit", (LOG, SCORES), judge)
