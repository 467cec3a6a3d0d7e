"""The page of benchmarks/nms_designs.py, and what it calls shipped."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULT = BENCHMARKS / "results" / "nms_designs.json"

pytestmark = pytest.mark.checkout


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("nms_report")


def test_the_page_is_that_of_the_result(report: Any) -> None:
    assert RESULT.with_suffix(".md").read_text() == report.markdown(json.loads(RESULT.read_text()))


def test_only_a_result_of_the_graph_of_today_calls_it_shipped(report: Any) -> None:
    result = json.loads(RESULT.read_text())
    name = result["shipped"]
    today = report.markdown({**result, "shipped_form": report.SHIPPED_FORM})
    assert f"**shipped** is what `edge-retina export` writes: {report.SHIPPED_FORM}." in today
    older = report.markdown({**result, "shipped_form": "sorting by hand"})
    assert "wrote when this was measured: sorting by hand. Today it writes another" in older
    tables = 2 + 1 + len(result["accuracy"])  # of time by threads, of rows found, of mAP
    for page, said, unsaid in (
        (today, name, name.replace("**shipped**", "**shipped then**")),
        (older, name.replace("**shipped**", "**shipped then**"), name),
    ):
        assert (page.count(f"| {said} |"), page.count(f"| {unsaid} |")) == (tables, 0)


@pytest.mark.tf
@pytest.mark.parametrize("anchors, sorts", [(600, 1), (40_000, 3)])
def test_the_graph_of_today_is_as_it_says(anchors: int, sorts: int) -> None:
    """Whoever changes the graph has to say so in the report, or old results pass for new ones."""
    import numpy as np

    from edge_retina.config import ExportConfig
    from edge_retina.export.detection_graph import postprocess
    from edge_retina.model.keras import tf

    corners = np.linspace(0, 0.5, anchors, dtype=np.float32)[:, None]
    grid = np.concatenate([corners, corners, corners + 0.1, corners + 0.1], axis=1)
    graph = tf.function(
        lambda logits, codes: postprocess(
            [logits], [codes], anchors_norm=grid, export=ExportConfig()
        )
    ).get_concrete_function(
        tf.TensorSpec((1, anchors, 20), tf.float32), tf.TensorSpec((1, anchors, 4), tf.float32)
    )
    names = [operation.type for operation in graph.graph.get_operations()]
    assert names.count("TopKV2") == sorts
    assert names.index("Relu") < names.index("TopKV2"), "what makes low values equal comes before"
