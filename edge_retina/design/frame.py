"""What a detection costs besides its network: preparing the picture, decoding and NMS.

It is measured on files that have next to no network, a few of them, because it grows evenly with
the pixels of the input and with the scores that are looked through.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edge_retina.design.grid import Network

_MOST_FRAMES = 5  # measured; three numbers are fitted to them
_BOTH, _MOST = (min, max), (max,)


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
    """Return the frames that tell about all others: the ends of both causes, and a middle."""
    if len(frames) <= _MOST_FRAMES:
        return sorted(frames)
    pixels = sorted({frame.height * frame.width for frame in frames})
    ends = set()
    for size, picks in ((pixels[0], _BOTH), (pixels[len(pixels) // 2], _MOST), (pixels[-1], _BOTH)):
        alike = [frame for frame in frames if frame.height * frame.width == size]
        ends |= {pick(alike, key=lambda frame: (frame.anchors, frame)) for pick in picks}
    return sorted(ends)


def frame_ms(frame: Frame, measured_ms: Mapping[Frame, float]) -> float:
    """Return the time of a frame: as measured, or else by a line through those that were.

    Args:
        frame: any; of the same classes, candidates and detections as some measured ones.
        measured_ms: of `frames_to_measure`, and more.
    """
    if frame in measured_ms:
        return measured_ms[frame]
    known = {item: ms for item, ms in measured_ms.items() if item._kind == frame._kind}
    causes = np.array([item._causes for item in known])
    factors = _nonnegative_fit(causes, np.array(list(known.values())))
    return float(np.dot(factors, frame._causes))


def _nonnegative_fit(causes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the factors (C,) >= 0 of the least squares fit of (N, C) causes to (N,) values.

    Nothing takes less time because there is more of it. And without that rule noise would be blown
    up, since anchors grow almost as pixels do.
    """
    count = causes.shape[1]
    best, least = np.zeros(count), float(np.sum(values**2))
    for size in range(1, count + 1):
        for used in map(list, itertools.combinations(range(count), size)):
            factors, *_ = np.linalg.lstsq(causes[:, used], values, rcond=None)
            error = float(np.sum((causes[:, used] @ factors - values) ** 2))
            if (factors >= 0).all() and error < least * (1 - 1e-9):
                best, least = np.zeros(count), error
                best[used] = factors
    return best
