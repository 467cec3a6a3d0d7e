"""What a user may say about a device besides its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DeviceOptions:
    """Options of `edge-retina benchmark` that are about the device.

    Attributes:
        python: the Python that runs workers on the other end of ssh, a name or a path there.
        benchmark_binary: the `benchmark_model` to bring to an Android device; None takes one that
            lies there.
    """

    python: str = "python3"
    benchmark_binary: Path | None = None
