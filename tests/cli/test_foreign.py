"""predict, evaluate and benchmark take other frameworks' files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark.backends import BUILTIN
from edge_retina.benchmark.candidate import tflite_candidates
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.task import WorkerTask
from edge_retina.benchmark.worker import measure
from edge_retina.cli.main import main
from edge_retina.datasets import load_dataset
from edge_retina.datasets.generated import generate_dataset
from edge_retina.runtime.foreign import foreign_settings
from edge_retina.runtime.foreign_settings import ForeignChoices
from tests.runtime.formats.stand_in import Output, stand_in

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
YOLO = stand_in([Output("o", (1, 7, 84))], input_hw=(64, 64))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("foreign") / "data"
    generate_dataset(root, images={"train": 1, "val": 1, "test": 3}, image_hw=(96, 128), seed=1)
    return root


@pytest.fixture
def model(data: Path, tmp_path: Path) -> Path:
    """A YOLO that knows two of the data set's classes, and another one."""
    labels = load_dataset(data).labels
    path = tmp_path / "yolo.tflite"
    path.write_bytes(YOLO)
    (tmp_path / "labels.txt").write_text(f"unicorn\n{labels[1].upper()}\n{labels[0]}\n")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments])


def error_of(result: Result) -> str:
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error:"))
    return line.removeprefix("Error: ")


def test_evaluate_is_over_the_shared_classes(data: Path, model: Path) -> None:
    labels = load_dataset(data).labels
    result = run("evaluate", model, data, "--errors", "--json", "-")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert list(document["per_class"]) == list(labels[:2])
    assert document["classes"] == {
        "shared": list(labels[:2]),
        "only_data": list(labels[2:]),
        "only_model": ["unicorn"],
    }
    assert document["model"]["form"] == "yolov8, letterbox, pixels as 0..1"
    shown = run("evaluate", model, data)
    assert "mAP is over the 2 classes that model and data set share; " in shown.stdout


def test_evaluate_names_the_data_as_for_other_models(data: Path, model: Path) -> None:
    """Objects left out of the measurement don't make it another data set."""
    from edge_retina.datasets.schema import annotations_sha256

    document = json.loads(run("evaluate", model, data, "--json", "-").stdout)
    whole = load_dataset(data).split("test")
    assert document["data"]["sha256"] == annotations_sha256(whole)


def test_two_foreign_models_are_compared(data: Path, model: Path) -> None:
    result = run("evaluate", model, data, "--against", model, "--json", "-")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["against"]["mAP"] == document["mAP"]


def test_predict_draws(data: Path, model: Path, tmp_path: Path) -> None:
    (picture,) = sorted((data / "images" / "val").iterdir())
    target = tmp_path / "boxes.json"
    result = run("predict", model, picture, "--out", tmp_path / "out", "--json", target)
    assert result.exit_code == 0, result.output
    assert "taken as yolov8, letterbox, pixels as 0..1" in result.stderr
    document = json.loads(target.read_text())
    assert document["form"] == "yolov8, letterbox, pixels as 0..1"
    assert (tmp_path / "out" / picture.name).is_file()
    other = run("predict", model, picture, "--out", tmp_path / "b", "--resize", "stretch")
    assert "taken as yolov8, stretch, pixels as 0..1" in other.stderr


def test_benchmark_beside_our_own(data: Path, model: Path, tmp_path: Path) -> None:
    result = run(
        "benchmark",
        model,
        "--data",
        data,
        "--runs",
        1,
        "--rounds",
        1,
        "--min-seconds",
        0,
        "--max-warmup",
        0,
        "--json",
        tmp_path / "b.json",
    )
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "b.json").read_text())
    evaluated = json.loads(run("evaluate", model, data, "--json", "-").stdout)
    for item in document["results"]:
        assert item["mAP"] == pytest.approx(evaluated["mAP"], abs=1e-6)
        assert "classes" in item["warning_codes"]
    assert re.search(r"warning: .*mAP is over the 2 classes that model and", result.stdout)


def test_a_worker_needs_only_the_task_and_the_file(model: Path, tmp_path: Path) -> None:
    """Labels and anchors are in the task, for they may not be where the worker runs."""
    settings = foreign_settings(model, ForeignChoices())
    candidate = next(
        item
        for item in tflite_candidates(model, threads=[1], foreign=settings)
        if item.backend == BUILTIN
    )
    picture = write_noise_image(tmp_path / "p.png", seed=0)
    task = WorkerTask.from_json(candidate.task([picture], runs=1, warmup=0).to_json())
    (model.parent / "labels.txt").unlink()
    assert measure(task).precision == "float32"


def test_our_own_export_is_not_taken_for_another_framework(
    data: Path, tmp_path: Path, model: Path
) -> None:
    """In a benchmark, --labels is for the other files."""
    from tests.runtime.test_model_file import manifest_listing

    own = tmp_path / "export" / "tiny_float32.tflite"
    own.parent.mkdir()
    shutil.copy(GOLDEN / "tiny_float32.tflite", own)
    manifest_listing(own.name).save(own.parent)
    assert foreign_settings(own, ForeignChoices(labels="coco80"), spare_exports=True) is None
    assert foreign_settings(own, ForeignChoices(labels="coco80")) is not None


@pytest.mark.parametrize("command", ["predict", "evaluate", "benchmark"])
@pytest.mark.parametrize(
    "options, labels, message",
    [
        (("--format", "ssd_raw"), None, "--format ssd_raw: {model} has the outputs o [1,7,84]"),
        ((), "a\n", "{labels}: 1 class names, but {model} has scores of 3 classes"),
        (("--labels", "coco80"), None, "--labels coco80: 80 class names, but {model} has scores"),
        (("--labels", "gone.txt"), None, "--labels gone.txt: can't be read"),
        (("--normalise", "2"), None, "--normalise 2: expected 0..1, -1..1, 0..255, imagenet, or"),
        (("--anchors", "gone.json"), None, "--anchors gone.json: can't be read"),
    ],
)
def test_one_clear_line(
    command: str,
    options: tuple[str, ...],
    labels: str | None,
    message: str,
    data: Path,
    model: Path,
    tmp_path: Path,
) -> None:
    if labels is not None:
        (model.parent / "labels.txt").write_text(labels)
    rest = {
        "predict": [data / "images" / "val", "--out", tmp_path / "out"],
        "evaluate": [data],
        "benchmark": ["--data", data],
    }[command]
    said = error_of(run(command, model, *rest, *options))
    assert said.startswith(message.format(model=model, labels=model.parent / "labels.txt"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["predict", "evaluate", "benchmark"])
def test_an_unknown_form(command: str, data: Path, model: Path, tmp_path: Path) -> None:
    model.write_bytes(stand_in([Output("o", (1, 10, 10, 3))], input_hw=(64, 64)))
    rest = {
        "predict": [data / "images" / "val", "--out", tmp_path / "out"],
        "evaluate": [data],
        "benchmark": [],
    }[command]
    said = error_of(run(command, model, *rest))
    assert said.startswith(
        f"{model}: its outputs o [1,10,10,3] float32 are of no known form; known"
    )


def test_no_class_in_common(data: Path, model: Path) -> None:
    (model.parent / "labels.txt").write_text("x\ny\nz\n")
    for command in (("evaluate", model, data), ("benchmark", model, "--data", data, "--runs", 1)):
        said = error_of(run(*command))
        assert "model and data set share no class: the model has x, y, z, the data set " in said


def test_options_of_other_frameworks_are_not_for_runs(data: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("")
    said = error_of(run("evaluate", tmp_path / "run", data, "--labels", "coco80"))
    assert said == (
        f"{tmp_path / 'run'}: a run directory; --format, --labels, --normalise, --resize and "
        "--anchors are for .tflite files of other frameworks"
    )


def test_a_format_that_does_not_exist(model: Path, tmp_path: Path) -> None:
    result = run("predict", model, tmp_path, "--out", tmp_path / "out", "--format", "yolov99")
    assert result.exit_code == 1
    assert "'yolov99' is not one of 'task_library'" in result.stderr
