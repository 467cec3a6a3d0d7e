from __future__ import annotations

import pytest

from edge_retina.report.markdown import markdown_table


def test_a_table() -> None:
    assert markdown_table(["model", "mAP"], [("float", "0.5"), ("", "–")]) == (
        "| model | mAP |\n| --- | --- |\n| float | 0.5 |\n|  | – |\n"
    )


def test_no_text_breaks_the_table() -> None:
    table = markdown_table(["a|b", "c"], [("first\nsecond", "x | y")])
    assert table.splitlines() == [r"| a\|b | c |", "| --- | --- |", r"| first second | x \| y |"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 1 cells in 2 columns"):
        markdown_table(["a", "b"], [("1",)])
