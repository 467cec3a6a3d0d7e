"""What the families on MobileNetV2 share."""

from __future__ import annotations

from collections.abc import Iterable

# Channels of block_16_project, by which the width is known.
WIDTHS = {112: 0.35, 160: 0.5, 240: 0.75, 320: 1.0}
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def any_of(values: Iterable[object]) -> str:
    """Return values for a message: "1 or 2"."""
    return " or ".join(map(str, values))
