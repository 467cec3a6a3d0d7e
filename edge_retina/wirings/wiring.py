"""How the parts of a detector are connected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wiring:
    """A network that somebody has published, as differences in its connections.

    Attributes:
        taps: by backbone the layers that feed the pyramid, by level; of a backbone that isn't
            named, those of its own.
        top_channels: of the backbone's last convolution; None for its own number.
        has_lateral_bias: the pyramid's 1x1 convolutions have a bias in place of a BatchNorm.
        merges_smoothed: a level gets the next coarser one after its 3x3 convolution, BatchNorm and
            ReLU6; else before.
        smooths_top: the coarsest level that the backbone feeds has a 3x3 convolution too. Else it
            is the 1x1 convolution alone, and may be negative.
        has_final_activation: a level ends with ReLU6; else with its BatchNorm, and may be negative.
        coarsens_before_norm: levels above the backbone's are made of what the next finer one is
            before its BatchNorm.
        shares_tower: both heads use the same convolutions before their last ones.
    """

    taps: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    top_channels: int | None = None
    has_lateral_bias: bool = False
    merges_smoothed: bool = False
    smooths_top: bool = True
    has_final_activation: bool = True
    coarsens_before_norm: bool = False
    shares_tower: bool = False
