from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from edge_retina.report.charts import (
    HEIGHT,
    WIDTH,
    BarGroup,
    Chart,
    Series,
    bar_chart,
    line_chart,
    log_ticks,
    nice_ticks,
    thin,
)
from edge_retina.report.pages import environment


def polylines(chart: Chart) -> list[list[tuple[float, float]]]:
    """Points of each line, in drawing units."""
    return [
        [tuple(map(float, point.split(","))) for point in points.split()]
        for points in re.findall(r'<polyline [^>]*points="([^"]*)"', chart.svg)
    ]


def bar_widths(chart: Chart) -> list[float]:
    return [float(width) for width in re.findall(r'<rect [^>]*width="([^"]*)"', chart.svg)]


@pytest.mark.parametrize(
    "low, high, count, ticks",
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 0.79, 5, [0, 0.2, 0.4, 0.6, 0.8]),
        (0, 1800, 6, [0, 500, 1000, 1500, 2000]),
        (3, 17, 5, [0, 5, 10, 15, 20]),
        (-1, 1, 4, [-1, -0.5, 0, 0.5, 1]),
        (0, 0, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),  # nothing to scale by
        (0, 0.003, 3, [0, 0.001, 0.002, 0.003]),
    ],
)
def test_nice_ticks(low: float, high: float, count: int, ticks: list[float]) -> None:
    assert nice_ticks(low, high, count=count) == pytest.approx(ticks)


@pytest.mark.parametrize(
    "low, high, ticks",
    [
        (0.25, 3.4, [0.2, 0.5, 1, 2, 5]),
        (1, 10, [1, 2, 5, 10]),
        (1, 1, [1, 2]),  # an axis needs two ends
        (0.0011, 0.0019, [0.001, 0.002]),
    ],
)
def test_log_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


thousandths = st.integers(-(10**9), 10**9).map(lambda n: n / 1000)


@given(thousandths, thousandths.map(abs), st.integers(2, 9))
def test_ticks_enclose_the_range_and_are_not_too_many(low: float, size: float, count: int) -> None:
    ticks = nice_ticks(low, low + size, count=count)
    assert ticks[0] <= low + 1e-6 * abs(low)
    assert ticks[-1] >= (low + size) - 1e-6 * abs(low + size)
    assert 2 <= len(ticks) <= count + 2


@given(st.floats(1e-6, 1e6), st.floats(1, 1e6))
def test_log_ticks_enclose_the_range(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert ticks[0] <= low * 1.000001
    assert ticks[-1] >= low * factor * 0.999999


def test_thin_keeps_few_points_and_averages_many() -> None:
    points = [(float(x), 2.0 * x) for x in range(10)]
    assert thin(points, 10) == tuple(points)
    assert thin(points, 5) == ((0.5, 1), (2.5, 5), (4.5, 9), (6.5, 13), (8.5, 17))
    assert thin(points, 4) == ((1, 2), (4, 8), (7, 14), (9, 18)), "the last chunk is smaller"
    assert thin([], 4) == ()


def test_line_chart_places_equal_steps_equally_and_higher_values_higher() -> None:
    chart = line_chart("t", [Series("a", ((0, 0), (50, 0.5), (100, 1)))], x_label="step")
    ((x0, y0), (x1, y1), (x2, y2)), *_ = polylines(chart)
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(y1 - y2)
    assert 0 < x0 < x2 < WIDTH
    assert 0 < y2 < y0 < HEIGHT


def test_log_axis_places_equal_ratios_equally() -> None:
    series = [Series("a", ((0, 0.1), (1, 1), (2, 10)))]
    ((_, y0), (_, y1), (_, y2)), *_ = polylines(line_chart("t", series, x_label="", log_y=True))
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)  # rounded to a tenth of a unit


def test_log_axis_leaves_out_what_it_can_not_show() -> None:
    series = [Series("a", ((0, 0.0), (1, 1), (2, 2))), Series("zero", ((0, 0.0),))]
    chart = line_chart("t", series, x_label="", log_y=True)
    assert [len(line) for line in polylines(chart)] == [2]
    assert chart.legend == ("a",)


def test_all_points_of_all_lines_are_inside_the_drawing() -> None:
    series = [Series("a", ((5, -3), (900, 12))), Series("b", ((1000, 40), (1200, 41)))]
    for line in polylines(line_chart("t", series, x_label="")):
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


@pytest.mark.parametrize("series", [[], [Series("a", ())]])
def test_nothing_to_draw_is_no_chart(series: list[Series]) -> None:
    assert line_chart("t", series, x_label="step") is None


def test_no_groups_is_no_bar_chart() -> None:
    assert bar_chart("t", [], ["a"], value_format=".1f") is None


def test_single_point_is_a_dot() -> None:
    chart = line_chart("t", [Series("a", ((100, 0.5),))], x_label="step")
    assert chart.svg.count("<circle") == 1


def test_bars_are_as_long_as_their_values() -> None:
    groups = [BarGroup("x", (1.0, 2.0)), BarGroup("y", (4.0, None))]
    chart = bar_chart("t", groups, ["a", "b"], value_format=".2f")
    one, two, four = bar_widths(chart)
    assert (two / one, four / one) == pytest.approx((2, 4), rel=1e-2)
    assert [text in chart.svg for text in (">1.00<", ">2.00<", ">4.00<", ">–<")] == [True] * 4


def test_a_missing_value_can_be_left_out() -> None:
    groups = [BarGroup("x", (None, 2.0))]
    dashed, left_out = (
        bar_chart("t", groups, ["a", "b"], value_format=".2f", missing=missing)
        for missing in ("–", "")
    )
    assert "–" in dashed.svg
    assert "–" not in left_out.svg
    assert len(bar_widths(left_out)) == 1
    assert 'class="bar c1"' in left_out.svg, "the colour is still that of its series"
    assert left_out.height < dashed.height


def test_bars_of_zero_are_drawn_without_dividing_by_it() -> None:
    assert bar_widths(bar_chart("t", [BarGroup("x", (0.0,))], ["a"], value_format=".1f")) == [1.0]


@pytest.mark.parametrize(
    "chart",
    [
        line_chart("<b>&", [Series('<i>"', ((0, 1), (1, 2)))], x_label="<u>"),
        bar_chart("<b>&", [BarGroup("<i>", (1.0, 2.0))], ["<u>", '"'], value_format=".1f"),
        Chart("<b>&", Markup("<g/>"), 9, ('<i>"',), fold="<u>"),
    ],
)
def test_texts_are_escaped_and_the_markup_is_well_formed(chart: Chart) -> None:
    parts = environment().get_template("parts.html.j2").module
    page = ET.fromstring(f"<div>{parts.chart(chart)}</div>")
    assert not {"b", "i", "u"} & {node.tag for node in page.iter()}
    assert "".join(page.find(".//figcaption").itertext()) == "<b>&"
