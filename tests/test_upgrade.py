"""What earlier versions wrote is read; what later ones write is refused with the way on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_retina.benchmark.baseline import Baseline
from edge_retina.errors import BenchmarkError, EdgeRetinaError, ModelError, RunError
from edge_retina.files import load_json
from edge_retina.report.benchmark_document import read_benchmark
from edge_retina.report.metrics_log import read_metrics_log
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.manifest import load_manifest

ROOT = Path(__file__).resolve().parent
KEPT = ROOT / "kept" / "run_1"
BENCHMARK = ROOT.parent / "benchmarks" / "results" / "suite_bccd.json"
LABELS = ("Platelets", "RBC", "WBC")
SHAPES = json.loads((KEPT / "anchors.json").read_text())["shapes"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(KEPT, tmp_path / "run")))


def change(path: Path, **fields: Any) -> Path:
    """Set fields of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))
    return path


def test_a_run_of_version_1_is_read() -> None:
    run = RunDirectory(KEPT)
    config = run.load_config()
    assert (config.name, config.seed, config.model.backbone_width) == ("bccd", 0, 0.35)
    assert config.data.path == "/data/bccd"
    assert run.load_labels() == LABELS
    grid = run.load_anchors()
    assert grid.image_hw == config.model.image_hw == (256, 256)
    assert [[list(shape) for shape in level] for level in grid.shapes] == SHAPES
    assert run.details("train")["steps"] == 2000
    assert set(run.details("quantize-qat")["outputs"]) == {
        "qat/weights.npz",
        "qat/quantization.json",
    }
    log = read_metrics_log(run.metrics_file)
    assert [point.step for point in log.losses] == [1]
    assert [point.mAP for point in log.accuracy] == [0.5851809316901205]


def test_a_config_of_version_1_may_be_overridden(run: RunDirectory) -> None:
    config = run.load_config(overrides=["export.score_threshold=0.2"])
    assert config.export.score_threshold == 0.2


@pytest.mark.tf
@pytest.mark.parametrize("method", ["ptq", "qat"])
def test_a_quantisation_of_version_1_is_read(method: str) -> None:
    from edge_retina.int8.recipe import recipe_from_dict
    from edge_retina.quantization.state import load_record

    record = load_record(RunDirectory(KEPT), method)
    assert (record.method, record.steps) == (method, 300 if method == "qat" else 0)
    assert recipe_from_dict(record.recipe).description == record.recipe["description"]
    assert len(record.ranges) > 50


def test_a_manifest_of_version_1_is_read() -> None:
    manifest = load_manifest(KEPT / "export")
    assert manifest.schema_version == 1
    assert manifest.labels == LABELS
    assert (manifest.input.height, manifest.input.width) == (256, 256)
    assert sorted(manifest.files) == ["bccd_float32.tflite", "bccd_int8.tflite", "labels.txt"]
    assert manifest.quantization["method"] == "qat"
    assert manifest.layouts == {}, "there were none"


def test_a_benchmark_of_version_1_is_read() -> None:
    document = read_benchmark(BENCHMARK)
    assert len(Baseline.load(BENCHMARK).results) == len(document["results"]) > 0


@pytest.mark.parametrize("version", [2, "1", None, 1.5, [1]])
def test_other_versions_are_refused_with_the_way_on(
    run: RunDirectory, tmp_path: Path, version: object
) -> None:
    change(run.marker("prepare"), schema_version=version)
    with pytest.raises(RunError) as of_run:
        run.load_config()
    assert str(of_run.value) == (
        f"{run.root}: schema_version of the run directory is {version!r}, expected 1; use the "
        "edge-retina that made it, or train in another directory"
    )
    change(run.export_dir / "manifest.json", schema_version=version)
    with pytest.raises(ModelError) as of_manifest:
        load_manifest(run.export_dir)
    assert str(of_manifest.value).endswith(
        f"schema_version is {version!r}, expected 1; use the edge-retina that exported the model, "
        "or export it again"
    )
    document = change(Path(shutil.copy(BENCHMARK, tmp_path)), schema_version=version)
    for read in (read_benchmark, Baseline.load):
        with pytest.raises(BenchmarkError, match="schema_version"):
            read(document)


def test_a_run_without_its_version_is_of_the_first(run: RunDirectory) -> None:
    assert "schema_version" not in run.details("prepare")
    assert run.load_config().name == "bccd"


def test_a_setting_that_a_later_version_added_is_named(run: RunDirectory) -> None:
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("[train]\n", "[train]\nwarp_factor = 9\n"))
    with pytest.raises(EdgeRetinaError, match=r"train\.warp_factor"):
        run.load_config()


def test_fields_that_a_later_version_added_to_a_manifest_are_passed_over(run: RunDirectory) -> None:
    """They don't change what the others mean, or the version would be another one."""
    path = change(run.export_dir / "manifest.json", something_new={"a": 1})
    assert load_manifest(path) == load_manifest(KEPT / "export")


def test_an_op_table_of_another_version(tmp_path: Path) -> None:
    from edge_retina.benchmark.environment import read_environment
    from edge_retina.design.op_table import OpTable, load_table

    empty = OpTable(device="local", environment=read_environment(), backend="xnnpack", threads=1)
    path = tmp_path / "table.json"
    empty.save(path)
    assert load_table(path, empty) == empty
    change(path, schema_version=2)
    with pytest.raises(BenchmarkError, match="schema_version 2, not 1"):
        load_table(path, empty)


def test_kept_files_are_as_they_were_written() -> None:
    """Nobody mends a kept file to make a test pass: the sizes are those of the day."""
    files = [path for path in KEPT.rglob("*") if path.is_file()]
    assert len(files) == 12
    assert load_json(KEPT / "export" / "manifest.json")["edge_retina_version"] == "0.1.0"
