from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.clients.document import table, write_table


def cell(model: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {"client": "C", "model": model, "version": "1.0", "verdict": verdict, **more}


def agreement(agreed: int, rows: int) -> dict[str, Any]:
    return {
        "agreed": agreed,
        "rows": rows,
        "same": rows,
        "median_box_px": 0.25,
        "is_full": agreed == rows,
    }


DOCUMENT = {
    "cells": [
        cell("m_float32.tflite", "green", network=agreement(4, 4), original=agreement(3, 4)),
        cell("m_int8.tflite", "red", error="no metadata"),
    ]
}


def test_a_row_has_both_precisions_and_a_red_cell_its_error() -> None:
    assert table(DOCUMENT).splitlines()[2] == (
        "| C | 1.0 | green: 4/4 | red: `no metadata` | 3/4 (4 the same object; median 0.2 px) | – |"
    )


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "clients.md"
    path.write_text("head\n<!-- clients: begin -->\nold\n<!-- clients: end -->\ntail\n")
    write_table(path, DOCUMENT)
    text = path.read_text()
    assert text.startswith("head\n<!-- clients: begin -->\n| client |")
    assert text.endswith("|\n<!-- clients: end -->\ntail\n")
    assert "old" not in text


def test_a_file_without_marks_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "clients.md"
    path.write_text("text")
    with pytest.raises(ValueError, match="marks"):
        write_table(path, DOCUMENT)
    assert path.read_text() == "text"
