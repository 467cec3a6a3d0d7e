from __future__ import annotations

import pytest

from edge_retina.report.pages import environment
from edge_retina.report.tables import (
    Column,
    Figure,
    Table,
    megabytes,
    milliseconds,
    percent,
    score,
)


@pytest.mark.parametrize("value, text", [(0.5, "0.500"), (0.0, "0.000"), (1, "1.000"), (None, "–")])
def test_score(value: float | None, text: str) -> None:
    assert score(value) == text


@pytest.mark.parametrize(
    "value, of, text",
    [
        (0.495, 0.5, "99.0 %"),
        (0.51, 0.5, "102.0 %"),
        (0.0, 0.5, "0.0 %"),
        (None, 0.5, "–"),
        (0.5, None, "–"),
        (0.5, 0.0, "–"),
    ],
)
def test_percent(value: float | None, of: float | None, text: str) -> None:
    assert percent(value, of=of) == text


@pytest.mark.parametrize(
    "value, text", [(0.123, "0.12"), (6.449, "6.45"), (10.44, "10.4"), (123.4, "123")]
)
def test_milliseconds(value: float, text: str) -> None:
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    "size, text", [(1_240_000, "1.24 MB"), (999_499, "999 kB"), (1_000_000, "1.00 MB")]
)
def test_megabytes(size: int, text: str) -> None:
    assert megabytes(size) == text


def show(macro: str, data: object) -> str:
    return str(getattr(environment().get_template("parts.html.j2").module, macro)(data))


def test_table_escapes_and_marks_the_final_row() -> None:
    columns = [Column("<b>", text=True), Column("n")]
    html = show("table", Table(columns, [("a&b", "1"), ("c", "2")], final_row=True))
    assert '<th class="text">&lt;b&gt;</th><th>n</th>' in html
    assert '<tr><td class="text">a&amp;b</td><td>1</td></tr>' in html
    assert '<tr class="final"><td class="text">c</td><td>2</td></tr>' in html


def test_a_single_row_is_not_final() -> None:
    assert "final" not in show("table", Table([Column("n")], [("1",)], final_row=True))


def test_a_table_without_headings_has_no_head() -> None:
    assert "<thead>" not in show("table", Table([Column("")], [("1",)]))


def test_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 2 cells in 1 columns"):
        Table([Column("n")], [("1", "2")])


def test_cards_are_escaped() -> None:
    assert "<dd>&lt;1 ms</dd>" in show("cards", [Figure("Latency", "<1 ms", "x")])
