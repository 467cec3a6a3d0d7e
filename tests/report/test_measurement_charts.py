from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from edge_retina.report.charts import LEFT, RIGHT, WIDTH, Chart
from edge_retina.report.measurement_charts import (
    Mark,
    Marks,
    Stack,
    Strip,
    distribution_chart,
    scatter_chart,
    stacked_chart,
)


def drawn(chart: Chart | None) -> ET.Element:
    assert chart is not None
    return ET.fromstring(f"<svg>{chart.svg}</svg>")


def ticks(chart: Chart | None) -> list[str]:
    return [
        item.text or "" for item in drawn(chart).iter("text") if item.get("class") == "tick middle"
    ]


def test_points_stand_at_their_values() -> None:
    chart = scatter_chart(
        "t",
        [Marks("a", (Mark(10, 0.5), Mark(20, 0.6))), Marks("b", (Mark(15, 0.55),))],
        x_label="ms",
    )
    dots = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in drawn(chart).iter("circle")]
    (x1, y1), (x2, y2), (x3, y3) = dots
    assert x3 == pytest.approx((x1 + x2) / 2, abs=0.2)
    assert y3 == pytest.approx((y1 + y2) / 2, abs=0.2)
    assert x1 < x2
    assert y1 > y2  # more is higher
    assert chart is not None
    assert chart.legend == ("a", "b")


def test_whiskers_reach_the_ends_of_the_interval() -> None:
    chart = scatter_chart(
        "t", [Marks("a", (Mark(1, 0.5, 0.4, 0.7, "2"), Mark(2, 0.4), Mark(2, 0.7)))], x_label="MB"
    )
    root = drawn(chart)
    (whisker,) = (x for x in root.iter("line") if "whisker" in x.get("class", ""))
    dots = [float(item.get("cy", "")) for item in root.iter("circle")]
    assert [float(whisker.get(name, "")) for name in ("y1", "y2")] == dots[1:]
    assert "95 % 0.4 to 0.7" in "".join(root.itertext())
    assert "2" in [item.text for item in root.iter("text") if item.get("class") == "tick"]


def test_values_that_differ_by_much_share_a_logarithmic_axis() -> None:
    near = scatter_chart("t", [Marks("a", (Mark(3, 0.5), Mark(5, 0.5)))], x_label="ms")
    far = scatter_chart("t", [Marks("a", (Mark(3, 0.5), Mark(300, 0.5)))], x_label="ms")
    assert ticks(near)[:-1] == ["3", "3.5", "4", "4.5", "5"]
    assert ticks(far)[:-1] == ["2", "5", "10", "20", "50", "100", "200", "500"]


def test_a_single_point_has_a_chart() -> None:
    assert (
        len(
            list(
                drawn(scatter_chart("t", [Marks("a", (Mark(3, 0.5),))], x_label="ms")).iter(
                    "circle"
                )
            )
        )
        == 1
    )
    assert scatter_chart("t", [Marks("a", ())], x_label="ms") is None


def test_a_strip_is_high_where_values_are_many() -> None:
    strip = Strip("a, 1 thread", [1.0] * 6 + [2.0] * 3, 1.0, 2.0, colour=3)
    chart = distribution_chart("t", [strip], x_label="ms")
    root = drawn(chart)
    (path,) = root.iter("path")
    assert path.get("class") == "bar faint c3"
    shape = path.get("d", "")
    bottom = float(re.match(r"M[\d.]+,([\d.]+)", shape)[1])  # type: ignore[index]
    tops = [float(value) for value in re.findall(r"V([\d.]+)H", shape)]
    heights = sorted({round(bottom - top, 1) for top in tops})
    assert heights == [0.0, 11.0, 22.0]
    (middle,) = root.iter("rect")
    high = next(item for item in root.iter("line") if "whisker" in item.get("class", ""))
    assert float(middle.get("x", "")) + 1.25 == pytest.approx(RIGHT, abs=0.1)
    assert float(high.get("x1", "")) == pytest.approx(WIDTH - RIGHT)


def test_values_that_were_not_kept_leave_the_middle() -> None:
    root = drawn(distribution_chart("t", [Strip("a", [], 5.0, None)], x_label="ms"))
    assert not list(root.iter("path"))
    assert len(list(root.iter("rect"))) == 1
    assert distribution_chart("t", [], x_label="ms") is None


def test_parts_follow_each_other() -> None:
    stacks = [Stack("a", (1.0, 2.0, 1.0)), Stack("b", (None, 2.0, None))]
    chart = stacked_chart("t", stacks, ("x", "y", "z"), value_format=".1f")
    bars = [
        (item.get("class"), float(item.get("x", "")), float(item.get("width", "")))
        for item in drawn(chart).iter("rect")
    ]
    whole = WIDTH - 60
    assert bars == [
        ("bar c0", 0.0, whole / 4),
        ("bar c1", whole / 4, whole / 2),
        ("bar c2", whole * 3 / 4, whole / 4),
        ("bar c1", 0.0, whole / 2),
    ]
    sums = [item.text for item in drawn(chart).iter("text") if item.get("class") == "value"]
    assert sums == ["4.0", "2.0"]
    assert stacked_chart("t", [], ("x",), value_format=".1f") is None


def test_labels_can_not_become_markup() -> None:
    assert "<b>" not in drawn_text(
        scatter_chart("t", [Marks("<b>", (Mark(1, 1, 0, 2, "<b>"),))], x_label="<b>")
    )
    assert "<b>" not in drawn_text(
        distribution_chart("t", [Strip("<b>", [1], 1, 1)], x_label="<b>")
    )
    assert "<b>" not in drawn_text(
        stacked_chart("t", [Stack("<b>", (1.0,))], ("<b>",), value_format="g")
    )


def drawn_text(chart: Chart | None) -> str:
    assert chart is not None
    return str(chart.svg)


def test_nothing_is_drawn_left_of_the_canvas() -> None:
    chart = scatter_chart("t", [Marks("a", (Mark(0.5, 0.1), Mark(40, 0.9)))], x_label="ms")
    places = [float(item.get("cx", "")) for item in drawn(chart).iter("circle")]
    assert min(places) >= LEFT
    assert max(places) <= WIDTH - RIGHT
