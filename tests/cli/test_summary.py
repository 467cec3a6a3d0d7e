from __future__ import annotations

from pathlib import Path

import pytest

from edge_retina.cli.summary import print_summary
from edge_retina.run_directory import RunDirectory


def test_accuracy_and_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(tmp_path)
    run.export_dir.mkdir()
    model = run.export_dir / "cells_int8.tflite"
    model.touch()
    print_summary(
        run,
        {"float Keras": {"mAP": 0.5, "mAP50": 0.8}, "int8 QAT": {"mAP": 0.4949, "mAP50": None}},
    )
    assert capsys.readouterr().out.splitlines() == [
        "model          mAP  mAP50",
        "float Keras  0.500  0.800",
        "int8 QAT     0.495      –",
        "",
        f"int8 model: {model}",
        f"report:     {run.report_file}",
        f"next:       edge-retina predict {run.export_dir} IMAGE... --out drawn",
    ]
