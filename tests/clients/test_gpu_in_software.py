from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.clients.gpu_in_software import BEGIN, END, _row, table

PRINTED = """INFO: something
169 operations will run on the GPU, and the remaining 17 operations will run on the CPU.
"""
REFUSED = """Traceback (most recent call last):
RuntimeError: ERROR: [./litert/cc/litert_compiled_model.h:1961]
└ Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu to the compilation accelerator set.
INFO: [accelerator_registry.cc:43] DestroyAccelerator
"""
BOX = {"label": "cat", "score": 0.9, "box_px": [0.0, 0.0, 10.0, 10.0]}
MOVED = {**BOX, "box_px": [0.0, 0.0, 10.0, 12.0]}
ON_CPU = {"version": "2.3.0", "pictures": {"a.png": [BOX]}}


def row(printed: str, *, failed: bool = False, rows: Any = (BOX,)) -> dict[str, Any]:
    found = {"version": "", "pictures": {"a.png": list(rows)}, "printed": printed}
    return _row("LiteRT CompiledModel", "NMS inside", "gpu", {**found, "failed": failed}, ON_CPU)


def test_operators_are_counted_and_detections_compared() -> None:
    found = row(PRINTED, rows=[MOVED])
    assert found["operators"] == "169 of 186"
    assert found["agreement"]["agreed"] == 0
    assert found["agreement"]["same"] == 2  # IoU 100/120, seen from either side
    line = table({"rows": [found]}).splitlines()[2]
    assert line.startswith("| LiteRT CompiledModel 2.3.0 | NMS inside | gpu | 169 of 186 |")
    assert line.endswith("| 0 of 2 (2 with IoU ≥ 0.75) |")


def test_a_file_that_is_taken_whole() -> None:
    found = row("INFO: all is well\n")
    assert (found["operators"], found["error"]) == ("all", "")
    assert table({"rows": [found]}).splitlines()[2].endswith("| gpu | all | 2 of 2 |")


def test_a_refusal_is_the_reason_that_litert_gives() -> None:
    found = row(PRINTED + REFUSED, failed=True)
    assert found["error"].startswith("Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu")
    assert "| none: `Some ops are not" in table({"rows": [found]})


def test_the_table_in_the_documents_is_the_recorded_one(repository: Path) -> None:
    recorded = json.loads((repository / "benchmarks/results/gpu_in_software.json").read_text())
    text = (repository / "docs" / "clients.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0] == "\n" + table(recorded)
