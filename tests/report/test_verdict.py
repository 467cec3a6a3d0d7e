"""What the first screen of a report says, by hand-made figures."""

from __future__ import annotations

import dataclasses

import pytest

from edge_retina.report.data import AccuracyRow, LatencyRow, ReportData
from edge_retina.report.verdict import fastest, verdict

FLOAT = LatencyRow("d_float32.tflite", "tflite-xnnpack", 2, 20.0, 21.0, 3_800_000, "float32")
INT8 = LatencyRow("d_int8.tflite", "tflite-xnnpack", 2, 12.5, 13.0, 1_240_000, "int8")
SLOW = LatencyRow("d_int8.tflite", "tflite-builtin", 1, 27.0, 28.0, 1_240_000, "int8")


@pytest.fixture
def data() -> ReportData:
    return ReportData(
        "cells",
        accuracy=(
            AccuracyRow("float Keras", 0.5, 0.8, {"WBC": 0.7, "RBC": 0.3, "never": None}),
            AccuracyRow("int8 QAT", 0.495, 0.79, {"WBC": 0.72, "RBC": 0.27, "never": None}),
        ),
        latency=(FLOAT, SLOW, INT8),
        run="runs/my cells",
        export="runs/my cells/export",
    )


def test_it_tells_what_is_shipped_what_int8_costs_and_the_weakest_class(data: ReportData) -> None:
    assert verdict(data).accuracy == (
        "The int8 QAT model has 0.495 mAP, and 0.790 if boxes only have to overlap by half "
        "(IoU .50).",
        "It keeps 99.0 % of the mAP of float Keras.",
        "The weakest class is RBC (AP 0.270), the best WBC (0.720).",
    )


def test_it_tells_the_fastest_int8_time_beside_float_with_the_same_settings(
    data: ReportData,
) -> None:
    assert verdict(data).speed[:2] == (
        "d_int8.tflite takes 12.5 ms for an image (tflite-xnnpack, 2 threads). The file has "
        "1.24 MB.",
        "float32 takes 20.0 ms there, so int8 takes 0.62 times as long.",
    )
    only_slow_float = dataclasses.replace(FLOAT, threads=1)
    alone = dataclasses.replace(data, latency=(only_slow_float, INT8))
    assert "float32" not in " ".join(verdict(alone).speed), "with other settings it says nothing"


def test_commands_can_be_pasted(data: ReportData) -> None:
    assert [step.command for step in verdict(data).steps] == [
        "edge-retina doctor 'runs/my cells'",
        "edge-retina predict 'runs/my cells/export'/d_int8.tflite IMAGES --out predictions",
        "edge-retina benchmark 'runs/my cells/export' --device ssh:USER@HOST",
    ]


def test_int8_that_loses_is_looked_at_first(data: ReportData) -> None:
    lossy = dataclasses.replace(data.accuracy[1], mAP=0.48)
    steps = verdict(dataclasses.replace(data, accuracy=(data.accuracy[0], lossy))).steps
    assert steps[0].command == "edge-retina doctor 'runs/my cells' --quantization"


def test_nothing_measured_is_nothing_said() -> None:
    assert not verdict(ReportData("empty"))
    unknown = AccuracyRow("float", None, None, {"a": None, "b": None})
    assert verdict(ReportData("no objects", accuracy=(unknown,))).accuracy == ()


def test_int8_counts_even_where_float_is_faster() -> None:
    quick = dataclasses.replace(FLOAT, p50_ms=1.0)
    assert fastest((quick, INT8)) is INT8
    assert fastest((quick,)) is quick
    assert fastest(()) is None
