"""The Python API on a whole RUN: the same files and figures as the stages of `run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edge_retina as er
from edge_retina.config import Config
from edge_retina.datasets import Dataset
from edge_retina.run_directory import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.tf]


def test_a_finished_run_is_not_done_again(whole_run: RunDirectory, config: Config) -> None:
    before = whole_run.details("train")
    run = er.run(config, out=whole_run.root)
    assert run.path == whole_run.root
    assert whole_run.details("train") == before
    assert er.train(config, out=whole_run.root).is_trained
    assert run.results() == json.loads(whole_run.results_file("evaluate").read_text())


def test_the_float_model_has_the_accuracy_that_was_recorded(
    whole_run: RunDirectory, dataset: Dataset
) -> None:
    run = er.Run(whole_run.root)
    recorded = run.results()["float Keras"]
    assert run.evaluate().mAP == pytest.approx(recorded["mAP"], abs=1e-6)
    found = run.detector()(dataset.split("test")[0].path)
    assert found.labels == run.labels == dataset.labels


def test_quantised_and_exported_again(
    run_copy: RunDirectory, whole_run: RunDirectory, tmp_path: Path, dataset: Dataset
) -> None:
    run = er.Run(run_copy.root)
    model = run.quantize("ptq", pin=tmp_path / "pinned.json")
    assert (model.method, model.steps) == ("ptq", 0)
    assert json.loads((tmp_path / "pinned.json").read_text())
    export = run.export(tmp_path / "export", precisions=("int8",), method="ptq")
    assert list(export.files) == ["int8"]
    assert json.loads((export.directory / "manifest.json").read_text()) == json.loads(
        json.dumps(export.manifest.to_dict())
    )
    before = er.Detector(whole_run.root / "ptq" / "export" / "tiny_int8.tflite")
    picture = dataset.split("test")[0].path
    one, other = export.detector()(picture), before(picture)
    assert len(one) > 0
    assert one.scores[:5] == pytest.approx(other.scores[:5], abs=0.02)
    with pytest.raises(er.ModelError, match=r"no float32 file; allowed: int8"):
        export.file("float32")
    with pytest.raises(er.ConfigError, match="precision 'int4': did you mean 'int8'"):
        run.export(tmp_path / "other", precisions=("int4",))


def test_a_run_is_diagnosed(whole_run: RunDirectory) -> None:
    found = er.Run(whole_run.root).diagnose()
    assert {"suspicions", "proofs", "measured"} <= set(found.to_dict())
    assert str(found)
