from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.document import BEGIN, END, full_table, write_table
from tests.clients.run import _updated


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
    ],
    "class_names": [
        cell("names_float32.tflite", "green", objects=agreement(50, 50)),
        cell("names_int8.tflite", "green", objects=agreement(50, 50)),
    ],
}
OFF_BY_ONE = cell("names_int8.tflite", "red", objects=agreement(0, 50), error="printed: bus")


def test_a_row_has_both_precisions_and_a_red_cell_its_error() -> None:
    assert full_table(DOCUMENT).splitlines()[2] == (
        "| C | 1.0 | green: 4/4 | red: `no metadata` | green: 100/100 | "
        "3/4 (4 with IoU ≥ 0.75; median 0.2 px) | – |"
    )


def test_wrong_names_in_one_file_are_seen() -> None:
    document = {**DOCUMENT, "class_names": [DOCUMENT["class_names"][0], OFF_BY_ONE]}
    assert "| red: `printed: bus` |" in full_table(document)
    assert "| red: `no metadata` | – |" in full_table({**DOCUMENT, "class_names": []})


def test_a_compiler_s_cell_counts_operators() -> None:
    counts = {"NPU": 97, "CPU": 2}
    document = {"cells": [cell("m_int8.tflite", "red", operators=counts)], "class_names": []}
    assert full_table(document).splitlines()[2] == (
        "| C | 1.0 | – | red: 97 of 99 operators on the NPU | – | – | – |"
    )


def test_an_update_keeps_other_models_and_the_known_classes() -> None:
    before = {**DOCUMENT, "models": {"m_float32.tflite": "a", "m_int8.tflite": "b"}}
    new = cell("m_int8.tflite", "green", network=agreement(4, 4), original=agreement(4, 4))
    document = {"models": {"m_int8.tflite": "c"}, "cells": [new], "class_names": []}
    assert _updated(before, document) == {
        "models": {"m_float32.tflite": "a", "m_int8.tflite": "c"},
        "cells": [DOCUMENT["cells"][0], new],
        "class_names": DOCUMENT["class_names"],
    }


def test_only_what_is_between_the_marks_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "clients.md"
    path.write_text(f"head\n{BEGIN}\nold\n{END}\ntail\n")
    write_table(path, "| new |\n")
    assert path.read_text() == f"head\n{BEGIN}\n| new |\n{END}\ntail\n"


@pytest.mark.parametrize("text", ["text", BEGIN, END, f"{END} {BEGIN}"])
def test_a_file_without_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clients.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="marks"):
        write_table(path, "| new |\n")
    assert path.read_text() == text


def test_the_table_is_that_of_the_recorded_run(repository: Path) -> None:
    recorded = json.loads((repository / "benchmarks/results/clients.json").read_text())
    text = (repository / "docs" / "clients.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == "\n" + full_table(recorded)
