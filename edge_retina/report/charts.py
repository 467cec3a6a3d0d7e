"""Charts as inline SVG, coloured by the page's style sheet so that they follow light and dark mode.

The drawing is 480 units wide: about one unit per pixel in a column of the page, and still readable
on a phone. Title and legend are HTML (see `chart` in parts.html.j2), because they have to wrap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from edge_retina.report.tables import MISSING

Point = tuple[float, float]

WIDTH = 480
HEIGHT = 280
LEFT, RIGHT, TOP, BOTTOM = 46, 18, 10, 40  # margins of the plot area
_LABEL_HEIGHT, _BAR_HEIGHT, _BAR_GAP, _GROUP_GAP = 18, 14, 3, 8
_MAX_POINTS = 300  # of a line; more than the eye or the screen can tell apart
COLOURS = 6  # that the style sheet has: .c0 ... .c5


@dataclass(frozen=True)
class Chart:
    """A drawing with its caption.

    Attributes:
        title: caption, also read out by screen readers.
        svg: elements on a canvas of WIDTH by `height`; texts in it are escaped.
        height: of the canvas.
        legend: names of the series, in the order of the colours.
        fold: if not empty, the chart is large and folded away under this line.
    """

    title: str
    svg: Markup
    height: int
    legend: tuple[str, ...] = ()
    fold: str = ""

    @property
    def width(self) -> int:
        """Width of the canvas."""
        return WIDTH


@dataclass(frozen=True)
class Series:
    """A named line; `points` are (x, y) by ascending x, finite."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class BarGroup:
    """Bars under one label, a value for each series; None where there is none."""

    label: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Axis:
    """Maps values low..high to drawing units start..end."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value is drawn."""
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def line_chart(
    title: str, series: Sequence[Series], *, x_label: str, log_y: bool = False
) -> Chart | None:
    """Return a chart with one line for each series; None where there is nothing to draw.

    Args:
        title: caption above the chart.
        series: lines; one of a single point is drawn as a dot, an empty one is left out.
        x_label: under the x axis.
        log_y: logarithmic y axis; values <= 0 can't be shown and are left out.
    """
    lines = [_drawable(line, log_y=log_y) for line in series]
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    x_ticks = nice_ticks(min(0.0, *xs), max(xs), count=6)
    y_ticks = log_ticks(min(ys), max(ys)) if log_y else nice_ticks(min(0.0, *ys), max(ys), count=5)
    x_axis = Axis(*span(min(0.0, *xs), max(xs)), LEFT, WIDTH - RIGHT)
    y_axis = Axis(*span(y_ticks[0], y_ticks[-1]), HEIGHT - BOTTOM, TOP, log=log_y)
    parts = [
        *y_grid(y_axis, y_ticks),
        *x_grid(x_axis, [tick for tick in x_ticks if x_axis.low <= tick <= x_axis.high], x_label),
        *(_line(line, index, x_axis, y_axis) for index, line in enumerate(lines)),
    ]
    return Chart(title, drawing(parts), HEIGHT, tuple(line.name for line in lines))


def bar_chart(
    title: str,
    groups: Sequence[BarGroup],
    series_names: Sequence[str],
    *,
    value_format: str,
    missing: str = MISSING,
    fold: str = "",
) -> Chart | None:
    """Return a chart of horizontal bars from 0, each with its value, grouped under labels.

    Args:
        title: caption above the chart.
        groups: in the order shown, from the top; None is returned if there are none.
        series_names: for the legend, in the order of each group's values.
        value_format: for `format`, such as ".3f".
        missing: in the place of a value that is None; if empty, the bar is left out.
        fold: see `Chart`.
    """
    if not groups:
        return None
    longest = max((v for group in groups for v in group.values if v is not None), default=0.0)
    axis = Axis(0.0, longest or 1.0, 0, WIDTH - 60)  # room for the value beside the longest bar
    parts, top = [], 0
    for group in groups:
        parts.append(svg_text(0, top + 13, shorten(group.label, 64), "label"))
        top += _LABEL_HEIGHT
        for index, value in enumerate(group.values):
            if value is not None:
                parts.append(_bar(top, value, index, axis, value_format))
            elif missing:
                parts.append(svg_text(0, top + 11, missing, "value"))
            else:
                continue
            top += _BAR_HEIGHT + _BAR_GAP
        top += _GROUP_GAP
    legend = tuple(series_names) if len(series_names) > 1 else ()
    return Chart(title, drawing(parts), top, legend, fold)


def nice_ticks(low: float, high: float, *, count: int) -> list[float]:
    """Return about `count` round values (1, 2 or 5 times a power of ten) that enclose low..high."""
    low, high = span(low, high)
    raw = (high - low) / count
    exponent = math.floor(math.log10(raw))
    power = 10.0**exponent
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 3 - exponent) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten that enclose low..high, both above 0."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    first = max(index for index, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
    last = min(index for index, tick in enumerate(ticks) if tick >= high * (1 - 1e-9))
    return ticks[first : max(last, first + 1) + 1]


def thin(points: Sequence[Point], limit: int) -> tuple[Point, ...]:
    """Return at most `limit` points: means of equally many neighbours where there are more."""
    if len(points) <= limit:
        return tuple(points)
    size = math.ceil(len(points) / limit)
    chunks = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple(
        (sum(x for x, _ in chunk) / len(chunk), sum(y for _, y in chunk) / len(chunk))
        for chunk in chunks
    )


def _drawable(line: Series, *, log_y: bool) -> Series:
    points = [(x, y) for x, y in line.points if y > 0 or not log_y]
    return Series(line.name, thin(points, _MAX_POINTS))


def span(low: float, high: float) -> tuple[float, float]:
    """Widen an empty range, which has no scale."""
    return (low, high) if high > low else (low, low + (abs(low) or 1.0))


def y_grid(axis: Axis, ticks: Iterable[float]) -> list[str]:
    """Return horizontal lines with their numbers."""
    parts = []
    for tick in ticks:
        y = axis.place(tick)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(svg_text(LEFT - 6, y + 4, f"{tick:g}", "tick end"))
    return parts


def x_grid(axis: Axis, ticks: Iterable[float], label: str, *, height: int = HEIGHT) -> list[str]:
    """Return the x axis at the bottom of a canvas with its ticks, numbers and label."""
    bottom = height - BOTTOM
    parts = [f'<line class="axis" x1="{axis.start}" x2="{axis.end}" y1="{bottom}" y2="{bottom}"/>']
    for tick in ticks:
        x = axis.place(tick)
        parts.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        )
        parts.append(svg_text(x, bottom + 17, f"{tick:g}", "tick middle"))
    parts.append(svg_text((axis.start + axis.end) / 2, height - 6, label, "tick middle"))
    return parts


def _line(line: Series, index: int, x_axis: Axis, y_axis: Axis) -> str:
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline class="line c{index % COLOURS}" points="{path}"/>']
    if len(places) <= 30:  # few enough to be told apart, e.g. evaluations
        for (x, y), (x_value, y_value) in zip(places, line.points, strict=True):
            hint = escape(f"{line.name} {y_value:.4g} at {x_value:g}")
            parts.append(
                f'<circle class="dot c{index % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
                f"<title>{hint}</title></circle>"
            )
    return "".join(parts)


def _bar(top: int, value: float, index: int, axis: Axis, value_format: str) -> str:
    length = max(axis.place(value), 1.0)
    return (
        f'<rect class="bar c{index % COLOURS}" x="0" y="{top}" width="{length:.1f}" '
        f'height="{_BAR_HEIGHT}" rx="2"/>'
    ) + svg_text(length + 6, top + 11, format(value, value_format), "value")


def drawing(parts: Iterable[str]) -> Markup:
    """Return SVG elements as one text that templates take as it is."""
    return Markup("".join(parts))


def svg_text(x: float, y: float, text: str, css: str) -> str:
    """Return an SVG text element of a CSS class; `text` is escaped here."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def shorten(text: str, limit: int) -> str:
    """Return the beginning of a text that is longer than `limit`."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
