"""Two charts that the report doesn't have: a histogram, and object shapes beside anchors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edge_retina.report.charts import (
    COLOURS,
    HEIGHT,
    WIDTH,
    Chart,
    drawing,
    log_ticks,
    nice_ticks,
    svg_text,
)

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 18, 10, 40  # margins of the plot area
_MAX_DOTS = 2000  # more only make the page larger: the eye sees a cloud by then
_ANCHOR_SIDE = 5  # half, of the mark


def histogram(
    title: str,
    values: np.ndarray,
    edges: Sequence[float],
    *,
    x_label: str,
    marks: Sequence[float] = (),
) -> Chart:
    """Return counts between edges as bars of equal width, whatever the edges' distances.

    Args:
        title: caption above the chart.
        values: (N,) numbers; those beyond the edges count in the first or last bar.
        edges: ascending, at least two; written under the bars.
        x_label: under the x axis.
        marks: edges with a dashed line.
    """
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], edges[0]))
    counts, _ = np.histogram(inside, bins=np.asarray(edges, float))
    ticks = nice_ticks(0.0, float(max(counts.max(), 1)), count=4)
    step = (WIDTH - _LEFT - _RIGHT) / len(counts)
    parts = []
    for tick in ticks:
        y = _place(tick, 0.0, ticks[-1], HEIGHT - _BOTTOM, _TOP)
        parts.append(_line("grid", _LEFT, y, WIDTH - _RIGHT, y))
        parts.append(svg_text(_LEFT - 6, y + 4, f"{tick:g}", "tick end"))
    for index, count in enumerate(counts):
        y = _place(float(count), 0.0, ticks[-1], HEIGHT - _BOTTOM, _TOP)
        x = _LEFT + index * step
        hint = f"{edges[index]:g} to {edges[index + 1]:g}: {count}"
        parts.append(
            f'<rect class="bar c0" x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" '
            f'height="{HEIGHT - _BOTTOM - y:.1f}"><title>{hint}</title></rect>'
        )
    every = math.ceil(len(edges) / 12)  # as many labels as there is room for
    for index, edge in enumerate(edges):
        x = _LEFT + index * step
        if edge in marks:
            parts.append(_line("mark", x, _TOP, x, HEIGHT - _BOTTOM))
        if index % every == 0:
            parts.append(svg_text(x, HEIGHT - _BOTTOM + 17, f"{edge:g}", "tick middle"))
    parts.append(svg_text((_LEFT + WIDTH) / 2, HEIGHT - 6, x_label, "tick middle"))
    return Chart(title, drawing(parts), HEIGHT)


def shape_scatter(
    title: str, shapes_hw: np.ndarray, anchors: Mapping[str, np.ndarray], *, seed: int = 0
) -> Chart:
    """Return object shapes as dots and anchor shapes as squares, both axes logarithmic.

    Args:
        title: caption above the chart.
        shapes_hw: (N, 2) heights and widths in pixels; of more than 2,000 a sample is drawn.
        anchors: by name, (K, 2) heights and widths in pixels.
        seed: of the sample.
    """
    if len(shapes_hw) > _MAX_DOTS:
        shapes_hw = np.random.default_rng(seed).choice(shapes_hw, _MAX_DOTS, replace=False)
    # Axes fit the objects; anchors far from all of them would only shrink the cloud.
    ticks = log_ticks(*(float(side) for side in np.percentile(np.maximum(shapes_hw, 1), (0, 100))))
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    parts = _log_grid(ticks, low, high)
    dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in _places(shapes_hw, low, high))
    parts.append(f'<path class="dots c0" d="{dots}"/>')
    for index, shapes in enumerate(anchors.values(), 1):
        shown = shapes[((shapes >= ticks[0]) & (shapes <= ticks[-1])).all(axis=1)]
        for x, y in _places(shown, low, high):
            parts.append(
                f'<rect class="anchor c{index % COLOURS}" x="{x - _ANCHOR_SIDE:.1f}" '
                f'y="{y - _ANCHOR_SIDE:.1f}" width="{2 * _ANCHOR_SIDE}" '
                f'height="{2 * _ANCHOR_SIDE}"/>'
            )
    return Chart(title, drawing(parts), HEIGHT, ("objects", *anchors))


def _log_grid(ticks: Sequence[float], low: float, high: float) -> list[str]:
    parts = []
    for tick in ticks:
        x = _place(math.log(tick), low, high, _LEFT, WIDTH - _RIGHT)
        y = _place(math.log(tick), low, high, HEIGHT - _BOTTOM, _TOP)
        parts.append(_line("grid", _LEFT, y, WIDTH - _RIGHT, y))
        parts.append(_line("grid", x, _TOP, x, HEIGHT - _BOTTOM))
        parts.append(svg_text(_LEFT - 6, y + 4, f"{tick:g}", "tick end"))
        parts.append(svg_text(x, HEIGHT - _BOTTOM + 17, f"{tick:g}", "tick middle"))
    axes = "width (across) and height (up), pixels"
    parts.append(svg_text((_LEFT + WIDTH) / 2, HEIGHT - 6, axes, "tick middle"))
    return parts


def _places(shapes_hw: np.ndarray, low: float, high: float) -> list[tuple[float, float]]:
    logs = np.log(np.maximum(shapes_hw, 1.0))
    return [
        (
            _place(width, low, high, _LEFT, WIDTH - _RIGHT),
            _place(height, low, high, HEIGHT - _BOTTOM, _TOP),
        )
        for height, width in logs.tolist()
    ]


def _place(value: float, low: float, high: float, start: float, end: float) -> float:
    return start + (value - low) / (high - low) * (end - start)


def _line(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
