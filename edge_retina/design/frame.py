"""What a detection costs besides its network: preparing the picture, decoding and NMS.

It is measured on files that have next to no network, a few of them, because it grows evenly with
the pixels of the input and with the scores that are looked through.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edge_retina.design.grid import Network

_MOST_FRAMES = 4  # measured; three numbers are fitted to them


@dataclass(frozen=True, order=True)
class Frame:
    """What the time of everything but the network depends on.

    Attributes:
        height: of the input in pixels.
        width: of the input in pixels.
        min_level: finest level.
        max_level: coarsest level.
        anchors: of all levels together.
        num_classes: K.
        candidates: `export.candidates`.
        max_detections: `export.max_detections`.
    """

    height: int
    width: int
    min_level: int
    max_level: int
    anchors: int
    num_classes: int
    candidates: int
    max_detections: int

    @classmethod
    def of(cls, network: Network, *, num_classes: int) -> Frame:
        """Return the frame of a network."""
        config = network.config
        return cls(
            *config.model.image_hw,
            config.model.min_level,
            config.model.max_level,
            sum(network.anchors.level_counts()),
            num_classes,
            config.export.candidates,
            config.export.max_detections,
        )

    @property
    def _causes(self) -> tuple[float, float, float]:
        return 1.0, self.height * self.width / 1e5, self.anchors * self.num_classes / 1e4

    @property
    def _kind(self) -> tuple[int, int, int]:
        return self.num_classes, self.candidates, self.max_detections


def frames_to_measure(frames: Collection[Frame]) -> list[Frame]:
    """Return the frames that tell about all others: those at the ends of both causes."""
    if len(frames) <= _MOST_FRAMES:
        return sorted(frames)
    ends = {
        pick(frames, key=key)
        for pick in (min, max)
        for key in (
            lambda frame: (frame.height * frame.width, frame.anchors, frame),
            lambda frame: (frame.anchors, -frame.height * frame.width, frame),
        )
    }
    return sorted(ends)


def frame_ms(frame: Frame, measured_ms: Mapping[Frame, float]) -> float:
    """Return the time of a frame: as measured, or else by a line through those that were.

    Args:
        frame: any; of the same classes, candidates and detections as the measured ones.
        measured_ms: of `frames_to_measure`, and more.
    """
    if frame in measured_ms:
        return measured_ms[frame]
    known = {item: ms for item, ms in measured_ms.items() if item._kind == frame._kind}
    causes = np.array([item._causes for item in known])
    factors, *_ = np.linalg.lstsq(causes, np.array(list(known.values())), rcond=None)
    value = float(np.dot(factors, frame._causes))
    # A fit through noise must not leave what was measured
    return min(max(value, min(known.values())), max(known.values()))
