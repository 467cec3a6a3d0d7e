"""What is around the network: a line through a few measurements."""

from __future__ import annotations

import dataclasses

import pytest

from edge_retina.config import Config
from edge_retina.design.frame import Frame, frame_ms, frames_to_measure
from edge_retina.design.grid import networks

FRAMES = sorted(
    {Frame.of(network, num_classes=3) for network in networks(Config(), fixed=(), with_data=True)}
)


def line(frame: Frame) -> float:
    return 0.3 + 2e-6 * frame.height * frame.width + 5e-5 * frame.anchors * frame.num_classes


def test_few_measurements_tell_about_all() -> None:
    measured = {frame: line(frame) for frame in frames_to_measure(FRAMES)}
    assert len(measured) == 5
    for frame in FRAMES:
        assert frame_ms(frame, measured) == pytest.approx(line(frame))


def test_as_few_as_there_are_are_all_measured() -> None:
    assert frames_to_measure(FRAMES[:5][::-1]) == FRAMES[:5]
    assert frames_to_measure([]) == []


def test_what_was_measured_is_taken_as_it_is() -> None:
    measured = {frame: line(frame) for frame in frames_to_measure(FRAMES)}
    first = next(iter(measured))
    assert frame_ms(first, {**measured, first: 7.0}) == 7.0


def test_frames_of_other_classes_tell_nothing() -> None:
    measured = {frame: line(frame) for frame in frames_to_measure(FRAMES)}
    others = {dataclasses.replace(frame, num_classes=80): 99.0 for frame in measured}
    inner = next(frame for frame in FRAMES if frame not in measured)
    assert frame_ms(inner, {**others, **measured}) == pytest.approx(line(inner))


def test_noise_is_not_blown_up() -> None:
    """Without data anchors grow almost exactly as pixels do."""
    frames = {
        Frame.of(network, num_classes=3)
        for network in networks(Config(), fixed=(), with_data=False)
    }
    ends = frames_to_measure(frames)
    signs = (1.05, 0.95, 1.05)
    measured = {frame: line(frame) * sign for frame, sign in zip(ends, signs, strict=True)}
    for frame in frames:
        assert frame_ms(frame, measured) == pytest.approx(line(frame), rel=0.25)


def test_anchors_are_counted_over_all_levels() -> None:
    network = next(
        n
        for n in networks(Config(), fixed=(), with_data=False)
        if n.config.model.image_hw == (160, 160)
    )
    assert Frame.of(network, num_classes=2).anchors == 20 * 20 + 10 * 10 + 5 * 5
