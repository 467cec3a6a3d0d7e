"""The Pareto front as an SVG file: time of a detection against capacity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import escape

from edge_retina.design.choice import Choice, predicted
from edge_retina.design.search import Design
from edge_retina.report.charts import nice_ticks, svg_text

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 76, 52
_MACS = 1e6  # the unit of the y axis
# Colours of a viewer's light and dark mode, as in the report's pages
_STYLE = """
svg { background: #fff; font: 13px system-ui, "Segoe UI", Roboto, sans-serif; }
text { fill: #1a2230; } .soft, .tick { fill: #5d6879; }
.title { font-size: 16px; font-weight: 600; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: #dfe3ea; } .axis { stroke: #5d6879; }
.other { fill: #5d6879; fill-opacity: .25; }
.front { fill: #2563c9; } .line { fill: none; stroke: #2563c9; stroke-width: 1.8; }
.measured { fill: none; stroke: #e07b12; stroke-width: 2.5; } .error { stroke: #e07b12; }
.chosen { fill: #e07b12; } .budget { stroke: #b3378d; stroke-width: 1.5; stroke-dasharray: 5 4; }
@media (prefers-color-scheme: dark) {
  svg { background: #181e28; } text { fill: #e6eaf1; } .soft, .tick { fill: #97a3b6; }
  .grid { stroke: #2a3342; } .axis { stroke: #97a3b6; } .other { fill: #97a3b6; }
  .front { fill: #7eb0ff; } .line { stroke: #7eb0ff; }
  .measured, .error { stroke: #f5a657; } .chosen { fill: #f5a657; } .budget { stroke: #e884c6; }
}
"""


@dataclass(frozen=True)
class _Scale:
    """Maps values low..high to drawing units start..end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def front_picture(design: Design) -> str:
    """Return an SVG document.

    Every network is a dot at its predicted time, those of the Pareto front are joined. A ring is
    the measured time of a file that was exported, with a line to what was predicted.
    """
    times = [predicted(choice) for choice in design.choices]
    times += [choice.measured_ms for choice in design.measured if choice.measured_ms is not None]
    x_ticks = nice_ticks(0.0, max(*times, design.budget_ms), count=8)
    most = max(choice.capacity_macs for choice in design.choices) / _MACS
    y_ticks = nice_ticks(0.0, most, count=6)
    x = _Scale(x_ticks[0], x_ticks[-1], _LEFT, _WIDTH - _RIGHT)
    y = _Scale(y_ticks[0], y_ticks[-1], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        *_axes(x, y, x_ticks, y_ticks),
        *_titles(design),
        *_budget(design.budget_ms, x),
        *_dots(design, x, y),
        *_measured(design, x, y),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="Pareto front of networks">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _axes(
    x: _Scale, y: _Scale, x_ticks: Sequence[float], y_ticks: Sequence[float]
) -> Iterator[str]:
    bottom = _HEIGHT - _BOTTOM
    for tick in y_ticks:
        place = y(tick)
        yield _line("grid", _LEFT, place, _WIDTH - _RIGHT, place)
        yield svg_text(_LEFT - 8, place + 4, f"{tick:g}", "tick end")
    for tick in x_ticks:
        yield _line("axis", x(tick), bottom, x(tick), bottom + 5)
        yield svg_text(x(tick), bottom + 20, f"{tick:g}", "tick middle")
    yield _line("axis", _LEFT, bottom, _WIDTH - _RIGHT, bottom)
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield svg_text(middle, _HEIGHT - 10, "one detection, ms", "tick middle")


def _titles(design: Design) -> Iterator[str]:
    threads = f"{design.threads} thread{'' if design.threads == 1 else 's'}"
    title = f"Networks for {design.budget_ms:g} ms: {design.environment.cpu}, {design.backend}, "
    yield svg_text(_LEFT, 20, title + threads, "title")
    yield svg_text(_LEFT, 40, "million MACs, without the last convolutions", "soft")
    legend = "dots: predicted; line: Pareto front; ring: measured, with a line from its prediction"
    yield svg_text(_LEFT, 56, legend, "soft")


def _budget(budget_ms: float, x: _Scale) -> Iterator[str]:
    yield _line("budget", x(budget_ms), _TOP, x(budget_ms), _HEIGHT - _BOTTOM)
    yield svg_text(x(budget_ms) - 6, _TOP + 12, f"{budget_ms:g} ms", "end")


def _dots(design: Design, x: _Scale, y: _Scale) -> Iterator[str]:
    front = {choice.title for choice in design.front}
    for choice in design.choices:
        if choice.title not in front:
            yield _circle("other", choice, predicted(choice), x, y, radius=2.5)
    best: list[Choice] = []  # with a data set, some of the front have less capacity than others
    for choice in design.front:
        if not best or choice.capacity_macs > best[-1].capacity_macs:
            best.append(choice)
    places = " ".join(f"{x(predicted(c)):.1f},{y(c.capacity_macs / _MACS):.1f}" for c in best)
    yield f'<polyline class="line" points="{places}"/>'
    for choice in design.front:
        yield _circle("front", choice, predicted(choice), x, y, radius=3.5)


def _measured(design: Design, x: _Scale, y: _Scale) -> Iterator[str]:
    for choice in design.measured:
        if choice.measured_ms is None:
            continue
        height = y(choice.capacity_macs / _MACS)
        yield _line("error", x(predicted(choice)), height, x(choice.measured_ms), height)
        yield _circle("measured", choice, choice.measured_ms, x, y, radius=6)
        if choice.title == design.chosen.title:
            yield _circle("chosen", choice, choice.measured_ms, x, y, radius=4)
            text = f"{choice.title}: {choice.measured_ms:.2f} ms"
            right = x(choice.measured_ms) > _WIDTH / 2
            side, css = (-12, "end") if right else (12, "")
            yield svg_text(x(choice.measured_ms) + side, height - 8, text, css)


def _circle(css: str, choice: Choice, ms: float, x: _Scale, y: _Scale, *, radius: float) -> str:
    place = f'cx="{x(ms):.1f}" cy="{y(choice.capacity_macs / _MACS):.1f}" r="{radius}"'
    hint = escape(f"{choice.title}: {ms:.2f} ms, {choice.capacity_macs / _MACS:.0f} million MACs")
    return f'<circle class="{css}" {place}><title>{hint}</title></circle>'


def _line(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
