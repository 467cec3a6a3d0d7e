"""Charts of a benchmark: points with intervals, distributions of times, and bars of parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape

from edge_retina.report.charts import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Chart,
    drawing,
    log_ticks,
    nice_ticks,
    shorten,
    span,
    svg_text,
    x_grid,
    y_grid,
)

_LABEL_HEIGHT, _STRIP_HEIGHT, _BAR_HEIGHT, _GAP = 20, 22, 14, 10
_BINS = 96  # of a distribution: five drawing units each
_LOG_FROM = 5.0  # times that differ by more than this share an axis only if it is logarithmic
_LABEL_LETTERS = 64


@dataclass(frozen=True)
class Mark:
    """A point, with an interval of y where it has one, and a few letters beside it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Marks:
    """Points of one name and colour."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Strip:
    """Measured values under one label.

    Attributes:
        label: above the strip.
        samples: all values; none where they were not kept.
        middle: drawn as a line.
        high: drawn as a thinner line, e.g. the 90th percentile; None if it isn't known.
        colour: index of its colour, the same as that of the series it belongs to.
    """

    label: str
    samples: Sequence[float]
    middle: float
    high: float | None
    colour: int = 0


@dataclass(frozen=True)
class Stack:
    """Parts of a whole, under one label; None for a part that is not known."""

    label: str
    parts: tuple[float | None, ...]


def scatter_chart(title: str, groups: Sequence[Marks], *, x_label: str) -> Chart | None:
    """Return points in one colour for each group, with whiskers for their intervals.

    The axes need not start at 0, so that small differences can be seen; that of x is logarithmic
    where the values differ by much. None is returned if there is no point.
    """
    marks = [mark for group in groups for mark in group.marks]
    if not marks:
        return None
    x_axis, x_ticks = _x_axis([mark.x for mark in marks], WIDTH - RIGHT)
    low = min(mark.y if mark.low is None else mark.low for mark in marks)
    high = max(mark.y if mark.high is None else mark.high for mark in marks)
    y_ticks = nice_ticks(low, high, count=5)
    y_axis = Axis(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [
        *y_grid(y_axis, y_ticks),
        *x_grid(x_axis, x_ticks, x_label),
        *(
            _mark(mark, group.name, index, x_axis, y_axis)
            for index, group in enumerate(groups)
            for mark in group.marks
        ),
    ]
    return Chart(title, drawing(parts), HEIGHT, tuple(group.name for group in groups))


def distribution_chart(title: str, strips: Sequence[Strip], *, x_label: str) -> Chart | None:
    """Return how often each value was measured, a strip for each series on one axis.

    Each strip is as high as its own most frequent value. Lines stand at its middle and at its high
    end. None is returned if there is no strip.
    """
    if not strips:
        return None
    values = [
        value
        for strip in strips
        for value in (*strip.samples, strip.middle, *(() if strip.high is None else (strip.high,)))
    ]
    axis, ticks = _x_axis(values, WIDTH - RIGHT, start=RIGHT)
    parts, top = [], 0
    for strip in strips:
        parts.append(svg_text(0, top + 13, shorten(strip.label, _LABEL_LETTERS), "label"))
        top += _LABEL_HEIGHT
        parts.append(_strip(strip, top, axis))
        top += _STRIP_HEIGHT + _GAP
    height = top + BOTTOM
    return Chart(title, drawing([*parts, *x_grid(axis, ticks, x_label, height=height)]), height)


def stacked_chart(
    title: str, stacks: Sequence[Stack], names: Sequence[str], *, value_format: str
) -> Chart | None:
    """Return horizontal bars of parts that follow each other, with their sum; None without any.

    Args:
        title: caption above the chart.
        stacks: in the order shown, from the top.
        names: of the parts, for the legend.
        value_format: of the sum, for `format`, such as ".2f".
    """
    if not stacks:
        return None
    sums = [sum(part for part in stack.parts if part is not None) for stack in stacks]
    axis = Axis(0.0, max(sums) or 1.0, 0, WIDTH - 60)  # room for the sum beside the longest bar
    parts, top = [], 0
    for stack, total in zip(stacks, sums, strict=True):
        parts.append(svg_text(0, top + 13, shorten(stack.label, _LABEL_LETTERS), "label"))
        top += _LABEL_HEIGHT
        done = 0.0
        for index, part in enumerate(stack.parts):
            if part:
                hint = f"{names[index]} {part:{value_format}}"
                parts.append(_piece(axis.place(done), axis.place(done + part), top, index, hint))
                done += part
        end = axis.place(total) + 6
        parts.append(svg_text(end, top + 11, format(total, value_format), "value"))
        top += _BAR_HEIGHT + _GAP
    return Chart(title, drawing(parts), top, tuple(names))


def _x_axis(
    values: Sequence[float], end: float, *, start: float = LEFT
) -> tuple[Axis, list[float]]:
    """Return an axis for values above 0 and its ticks."""
    low, high = min(values), max(values)
    log = low > 0 and high / low > _LOG_FROM
    ticks = log_ticks(low, high) if log else nice_ticks(*span(low, high), count=6)
    return Axis(ticks[0], ticks[-1], start, end, log=log), ticks


def _mark(mark: Mark, name: str, index: int, x_axis: Axis, y_axis: Axis) -> str:
    x, y = x_axis.place(mark.x), y_axis.place(mark.y)
    colour = f"c{index % COLOURS}"
    parts = []
    hint = f"{name}: {mark.y:.4g} at {mark.x:.4g}"
    if mark.low is not None and mark.high is not None:
        low, high = y_axis.place(mark.low), y_axis.place(mark.high)
        parts.append(
            f'<line class="whisker {colour}" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" '
            f'y2="{high:.1f}"/>'
        )
        hint += f", 95 % {mark.low:.4g} to {mark.high:.4g}"
    parts.append(
        f'<circle class="dot {colour}" cx="{x:.1f}" cy="{y:.1f}" r="4.5">'
        f"<title>{escape(hint)}</title></circle>"
    )
    if mark.label:
        parts.append(svg_text(x + 7, y + 4, mark.label, "tick"))
    return "".join(parts)


def _strip(strip: Strip, top: int, axis: Axis) -> str:
    colour, bottom = f"c{strip.colour % COLOURS}", top + _STRIP_HEIGHT
    parts = [_line("grid", axis.start, axis.end, bottom, bottom)]
    if len(strip.samples):
        parts.append(f'<path class="bar faint {colour}" d="{_outline(strip, bottom, axis)}"/>')
    if strip.high is not None:
        x = axis.place(strip.high)
        parts.append(_line(f"whisker {colour}", x, x, top + _STRIP_HEIGHT / 2, bottom))
    x = axis.place(strip.middle)
    hint = escape(f"{strip.label}: {strip.middle:.4g}")
    parts.append(
        f'<rect class="bar {colour}" x="{x - 1.25:.1f}" y="{top}" width="2.5" '
        f'height="{_STRIP_HEIGHT}"><title>{hint}</title></rect>'
    )
    return "".join(parts)


def _outline(strip: Strip, bottom: float, axis: Axis) -> str:
    """Return the path around a histogram of the samples, in bins of equal width as drawn."""
    places = [axis.place(value) for value in strip.samples]
    counts, edges = np.histogram(places, bins=_BINS, range=(axis.start, axis.end))
    heights = bottom - counts / counts.max() * _STRIP_HEIGHT
    steps: Iterable[str] = (
        f"V{height:.1f}H{edge:.1f}" for height, edge in zip(heights, edges[1:], strict=True)
    )
    return f"M{edges[0]:.1f},{bottom}{''.join(steps)}V{bottom}Z"


def _line(css: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _piece(start: float, end: float, top: int, index: int, hint: str) -> str:
    return (
        f'<rect class="bar c{index % COLOURS}" x="{start:.1f}" y="{top}" '
        f'width="{max(end - start, 0.5):.1f}" height="{_BAR_HEIGHT}">'
        f"<title>{escape(hint)}</title></rect>"
    )
