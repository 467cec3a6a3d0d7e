"""The score threshold in the numbers of an output, so that a decoder compares what is stored."""

from __future__ import annotations

import numpy as np

from edge_retina.boxes.score_threshold import least_logit, least_score
from edge_retina.runtime.raw_layout import LOGITS, RawTensor


def least_passing(tensor: RawTensor, score_threshold: float) -> float:
    """Return the least stored value that the files with NMS inside would keep.

    Args:
        tensor: logits or scores.
        score_threshold: 0..1.

    Returns:
        Of 8 bits an integer, one above the largest if none passes; of float32 a finite number.
    """
    least = (least_logit if tensor.content == LOGITS else least_score)(score_threshold)
    if tensor.dtype == "float32":
        return float(least)
    limits = np.iinfo(tensor.dtype)
    scale = np.float32(tensor.scale)
    for code in range(limits.min, limits.max + 1):
        if np.float32(code - tensor.zero_point) * scale >= least:
            return code
    return int(limits.max) + 1
