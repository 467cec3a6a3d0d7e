"""The commands that use a model, on detectors one can compute by hand (see tests/golden)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.files import sha256_file
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
LABELS = ("disc", "square")
BRIEF = ("--min-seconds", 0, "--max-warmup", 0)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One picture with a disc over all of it, which the tiny detectors find, as split "test"."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    cv2.imwrite(str(root / "images" / "grey.png"), np.full((40, 60, 3), 128, np.uint8))
    document = {
        "images": [{"id": 7, "file_name": "grey.png", "height": 40, "width": 60}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 60, 40]}],
        "categories": [{"id": 1, "name": "disc"}, {"id": 2, "name": "square"}],
    }
    (root / "annotations" / "test.json").write_text(json.dumps(document))
    return root


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export directory with both precisions."""
    directory = tmp_path / "export"
    directory.mkdir()
    shutil.copy(GOLDEN / "tiny_float32.tflite", directory / "tiny_float32.tflite")
    shutil.copy(GOLDEN / "tiny_uint8.tflite", directory / "tiny_int8.tflite")
    names = ("tiny_float32.tflite", "tiny_int8.tflite")
    Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(32, 32, dict(zip(names, ("float32", "uint8"), strict=True)), 128.0, 128.0),
        outputs=(),
        labels=LABELS,
        anchors={},
        thresholds={},
        quantization={},
        metrics={},
        files={name: FileEntry.of(directory / name) for name in names},
        config={},
    ).save(directory)
    return directory


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments])


def test_evaluate_prints_a_table_and_writes_json(data: Path, export: Path, tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    result = run("evaluate", export / "tiny_float32.tflite", data, "--json", target)
    assert result.exit_code == 0, result.output
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines())
    assert (rows["mAP"], rows["AP disc"], rows["AP square"]) == ("1.0000", "1.0000", "-")
    assert (rows["images"], rows["detections"], rows["mAP_large"]) == ("1", "2", "-")
    document = json.loads(target.read_text())
    assert result.stderr.splitlines()[-1] == "evaluate: 1/1"
    assert document["per_class"]["square"] is None
    assert document["backend"] == "tflite-xnnpack"
    assert document["model"]["sha256"] == sha256_file(export / "tiny_float32.tflite")
    assert (document["data"]["path"], document["data"]["split"]) == (str(data), "test")


def test_json_on_standard_output_stands_alone(data: Path, export: Path) -> None:
    result = run("evaluate", export / "tiny_int8.tflite", data, "--json", "-")
    assert json.loads(result.stdout)["images"] == 1


@pytest.mark.parametrize("backend", ["xnnpack", "builtin"])
def test_of_an_export_directory_the_int8_file_is_taken(
    data: Path, export: Path, backend: str
) -> None:
    result = run("evaluate", export, data, "--json", "-", "--backend", backend)
    document = json.loads(result.stdout)
    assert document["model"]["path"] == str(export / "tiny_int8.tflite")
    assert document["backend"] == f"tflite-{backend}"
    assert f"using {export / 'tiny_int8.tflite'}" in result.stderr


def test_a_wrong_split_is_one_line(data: Path, export: Path) -> None:
    result = run("evaluate", export, data, "--split", "tset")
    assert result.exit_code == 1
    assert result.stderr.endswith(f"Error: {data}: no split 'tset'; did you mean 'test'?\n")
    assert result.stdout == ""


def test_labels_of_another_data_set_are_one_line(data: Path, export: Path) -> None:
    annotations = data / "annotations" / "test.json"
    annotations.write_text(annotations.read_text().replace('"disc"', '"ring"'))
    result = run("evaluate", export, data)
    assert result.exit_code == 1
    assert "Error: class 0 is 'disc' in the model but 'ring' in the data set" in result.stderr


def test_a_directory_that_is_no_model(data: Path, tmp_path: Path) -> None:
    result = run("evaluate", tmp_path, data)
    assert result.exit_code == 1
    assert f"Error: {tmp_path}: not a model: neither a run directory" in result.stderr


def test_predict_draws_and_describes(data: Path, export: Path, tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "boxes.json"
    result = run("predict", export, data / "images", "--out", out, "--json", target)
    assert result.exit_code == 0, result.output
    source = data / "images" / "grey.png"
    assert result.stdout == f"{source}: 1 square -> {out / 'grey.png'}\n"
    (picture,) = json.loads(target.read_text())["predictions"]
    assert picture["path"] == str(source)
    (found,) = picture["detections"]
    assert (found["label"], found["score"]) == ("square", 0.5)
    np.testing.assert_allclose(found["box_px"], [4, 12, 20, 36], rtol=1e-6)
    assert cv2.imread(str(out / "grey.png")).std() > 0


def test_predict_does_not_overwrite_unasked(data: Path, export: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    (drawn / "grey.png").write_bytes(b"mine")
    result = run("predict", export, data / "images", "--out", drawn)
    assert result.exit_code == 1
    assert f"{drawn / 'grey.png'} already exists" in result.stderr
    assert (drawn / "grey.png").read_bytes() == b"mine"
    assert run("predict", export, data / "images", "--out", drawn, "--force").exit_code == 0
    assert (drawn / "grey.png").read_bytes() != b"mine"


def test_predict_never_overwrites_what_it_reads(data: Path, export: Path, tmp_path: Path) -> None:
    images = data / "images"
    before = (images / "grey.png").read_bytes()
    (tmp_path / "link").symlink_to(images)
    for out in (images, tmp_path / "link"):
        result = run("predict", export, images, "--out", out, "--force")
        assert result.exit_code == 1
        assert "is one of the inputs, which are never overwritten; choose another" in result.stderr
    assert (images / "grey.png").read_bytes() == before


def test_predict_goes_on_after_a_broken_picture(data: Path, export: Path, tmp_path: Path) -> None:
    broken, target = data / "images" / "broken.png", tmp_path / "boxes.json"
    broken.write_bytes(b"no picture")
    result = run("predict", export, data / "images", "--out", tmp_path / "out", "--json", target)
    assert result.exit_code == 1
    assert f"Error: {broken}: " in result.stderr
    assert result.stderr.endswith("Error: 1 of 2 files could not be used; they are named above\n")
    document = json.loads(target.read_text())
    assert [item["path"] for item in document["failures"]] == [str(broken)]
    assert [Path(item["path"]).name for item in document["predictions"]] == ["grey.png"]
    assert (tmp_path / "out" / "grey.png").exists()


def test_benchmark_of_an_export_directory(data: Path, export: Path, tmp_path: Path) -> None:
    target, page = tmp_path / "benchmark.json", tmp_path / "benchmark.html"
    tables = tmp_path / "benchmark.md"
    arguments: tuple[Any, ...] = ("--data", data, "--runs", 2, "--rounds", 2, *BRIEF)
    pages = ("--html", page, "--markdown", tables, "--title", "Tiny")
    result = run("benchmark", export, *arguments, "--json", target, *pages)
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    assert [(Path(item["model"]).name, item["backend"]) for item in document["results"]] == [
        ("tiny_float32.tflite", "tflite-xnnpack"),
        ("tiny_float32.tflite", "tflite-builtin"),
        ("tiny_int8.tflite", "tflite-xnnpack"),
        ("tiny_int8.tflite", "tflite-builtin"),
    ]
    assert {round(item["mAP"], 6) for item in document["results"]} == {1.0}
    assert len(document["comparisons"]) == 2
    assert result.stdout.count("1.0000  1.0000") == 4
    text = page.read_text()
    assert "tiny_int8.tflite, xnnpack, 1 thread" in text
    assert "<h1>Tiny</h1>" in text
    assert "tiny_float32.tflite, xnnpack and" in text  # both found the same objects
    assert document["data"]["images"] == document["results"][0]["images"]
    assert {item["mAP_difference"] for item in document["comparisons"]} == {0.0}
    assert "| tiny_int8.tflite | builtin | 1 |" in tables.read_text()


def test_benchmark_without_data(export: Path) -> None:
    model = export / "tiny_int8.tflite"
    result = run(
        "benchmark", model, "--runs", 1, "--rounds", 1, *BRIEF, "--threads", "2,1,2", "--json", "-"
    )
    results = json.loads(result.stdout)["results"]
    assert [item["threads"] for item in results] == [2, 2, 1, 1]
    assert {item["mAP"] for item in results} == {None}


def test_a_thread_count_that_would_starve_the_machine(export: Path) -> None:
    result = run("benchmark", export, "--threads", "1,100000")
    assert result.exit_code == 1
    assert "at most 256 threads, got 100000" in result.stderr


@pytest.mark.parametrize("threads", ["0", "1,x", "", "-1", "1.5"])
def test_thread_counts_must_be_positive_integers(export: Path, threads: str) -> None:
    result = run("benchmark", export, "--threads", threads)
    assert result.exit_code == 1
    assert "is not a list of positive integers such as 1,2" in result.stderr


def test_benchmark_of_a_missing_model(tmp_path: Path) -> None:
    result = run("benchmark", tmp_path / "gone.tflite", "--runs", 1)
    assert result.exit_code == 1
    assert f"{tmp_path / 'gone.tflite'}: no such file" in result.stderr
    assert "Traceback" not in result.stderr
