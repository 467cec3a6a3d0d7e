"""Classes with too few objects to be learnt."""

from __future__ import annotations

import numpy as np

from edge_retina.datasets.objects import object_classes
from edge_retina.doctor.run.evidence import DATA, VAL, RunEvidence
from edge_retina.doctor.run.suspicion import Cause, Judgement, Mend

_RARE = 0.1  # of the mean number of objects of a class
_WORSE = 0.5  # AP of a rare class over the median of the others


def judge(run: RunEvidence) -> Judgement | None:
    """Suspect that rare classes are short of objects if they are also the worst."""
    assert run.val is not None
    count = len(run.labels)
    objects = np.bincount(object_classes(run.train_examples or ()), minlength=count)
    rare = objects < _RARE * objects.mean()
    precision = run.val.class_precision.mean(axis=1)
    known = np.isfinite(precision)
    if not (rare & known).any() or not (~rare & known).any():
        return None
    usual = float(np.median(precision[~rare & known]))
    poor = rare & known & (precision < _WORSE * usual)
    if not poor.any():
        return None
    names = ", ".join(
        f"'{run.labels[index]}' ({objects[index]} objects, AP {precision[index]:.2f})"
        for index in np.flatnonzero(poor)
    )
    lost = float((usual - precision[poor]).sum()) / max(int(known.sum()), 1)
    return Judgement(
        (f"rare and poor: {names}; the others have a median AP of {usual:.2f}",),
        0.3 * lost,
        Mend(
            "label more of them; until then show their images more often",
            ("data.repeat_threshold=0.3",),
        ),
    )


RARE = Cause("rare-classes", "Classes with few objects", "generalisation", (DATA, VAL), judge)
