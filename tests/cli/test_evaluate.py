"""`evaluate` with --errors, --html and --against, on detectors one can compute by hand.

The tiny detectors of tests/golden say of every picture: a disc over all of it with a score of .25,
and a square at .1 .2 .5 .6 (yxyx) with .5 + .25 m, where m is the mean of the picture in -1..1.
"""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.benchmark.backends import KERAS
from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.cli.main import main
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest
from edge_retina.workflow.opening import OpenedModel

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
DISC = [0, 0, 60, 40]  # xywh: all of the picture
SQUARE = [12, 4, 24, 16]  # where the square is found


def write_data(root: Path, objects: list[list[tuple[int, list[float]]]]) -> Path:
    """Write a split "test" of 60 × 40 pictures, ever brighter; objects are class and box."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    images, annotations = [], []
    for number, of_picture in enumerate(objects, 1):
        name = f"{number}.png"
        grey = np.full((40, 60, 3), 40 * number, np.uint8)
        cv2.imwrite(str(root / "images" / name), grey)
        images.append({"id": number, "file_name": name, "height": 40, "width": 60})
        for label, box in of_picture:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": box,
                }
            )
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "disc"}, {"id": 2, "name": "square"}],
    }
    (root / "annotations" / "test.json").write_text(json.dumps(document))
    return root


def write_export(directory: Path, labels: tuple[str, ...]) -> Path:
    directory.mkdir()
    shutil.copy(GOLDEN / "tiny_float32.tflite", directory / "tiny_float32.tflite")
    name = "tiny_float32.tflite"
    Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(32, 32, {name: "float32"}, 128.0, 128.0),
        outputs=(),
        labels=labels,
        anchors={},
        thresholds={},
        quantization={},
        metrics={},
        files={name: FileEntry.of(directory / name)},
        config={},
    ).save(directory)
    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Discs in three pictures; squares in two of them, and one that is labelled as a disc."""
    both = [(1, DISC), (2, SQUARE)]
    return write_data(tmp_path / "data", [both, both, [(1, DISC), (1, SQUARE)]])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return write_export(tmp_path / "export", ("disc", "square"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(item) for item in arguments])


def test_intervals_follow_the_metrics(data: Path, export: Path, tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    result = run("evaluate", export, data, "--json", target)
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    low, high = document["intervals"]["mAP"]
    assert low < document["mAP"] < high
    assert document["intervals"]["resamples"] == 1000
    assert list(document["intervals"]["per_class"]) == ["disc", "square"]
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines())
    assert rows["mAP 95 % interval"] == f"{low:.4f}..{high:.4f}"
    low, high = document["intervals"]["per_class"]["square"]
    assert rows["AP square 95 % interval"] == f"{low:.4f}..{high:.4f}"
    assert "errors" not in document
    assert "against" not in document


def test_the_seed_is_that_of_the_draws(data: Path, export: Path) -> None:
    one, again, other = (
        json.loads(run("evaluate", export, data, "--json", "-", "--seed", seed).stdout)
        for seed in (1, 1, 2)
    )
    assert one == again
    assert one["intervals"]["seed"] == 1
    assert one["mAP"] == other["mAP"]


def test_errors(data: Path, export: Path, tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    result = run("evaluate", export, data, "--errors", "--json", target)
    assert result.exit_code == 0, result.output
    errors = json.loads(target.read_text())["errors"]
    counts = {name: kind["count"] for name, kind in errors["decomposition"]["kinds"].items()}
    assert counts == {
        "classification": 1,  # the square that is labelled as a disc
        "localization": 0,
        "both": 0,
        "duplicate": 0,
        "background": 0,
        "missed": 0,
    }
    # At the network's 32 × 32 input all of the picture is 32 px, the square .4 × .4 of it
    sizes = {item["name"]: item["objects"] for item in errors["slices"]["size"]["bins"]}
    assert sizes == {"8-16": 3, "32-64": 3}
    assert sum(item["objects"] for item in errors["slices"]["brightness"]["bins"]) == 6
    assert "anchor_coverage" not in errors["slices"]
    # The best threshold takes the discs in
    assert errors["operating_point"]["threshold"] == pytest.approx(0.25)
    assert errors["confusion"]["counts"] == [[3, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert "\nclassification       wrong class, good box" in result.stdout
    assert re.search(r"^disc +square +1 +25%$", result.stdout, re.MULTILINE)
    assert "expected calibration error" in result.stdout


def test_the_page_stands_alone(data: Path, export: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "errors.html"
    result = run("evaluate", export, data, "--errors", "--html", page)
    assert result.exit_code == 0, result.output
    text = html.unescape(page.read_text())
    for heading in (
        "What each kind of error costs",
        "Confusion matrix",
        "disc (4 objects, AP50 0.752)",
    ):
        assert heading in text
    assert not re.findall(r'(?:src|href)="(?!data:)[^"]*"', text)
    assert '<meta name="viewport"' in text


def test_against_another_model(data: Path, export: Path, tmp_path: Path) -> None:
    """The uint8 file rounds the same detector: its metrics are the same, so nothing is told."""
    target, page = tmp_path / "metrics.json", tmp_path / "page.html"
    other = GOLDEN / "tiny_uint8.tflite"
    arguments = ("--against", other, "--errors", "--html", page, "--json", target)
    result = run("evaluate", export, data, *arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(target.read_text())
    against = document["against"]
    assert against["model"]["path"] == str(other)
    assert against["mAP"] == pytest.approx(document["mAP"])
    assert against["difference"]["mAP"] == {
        "value": 0.0,
        "low": 0.0,
        "high": 0.0,
        "distinguishable": False,
    }
    assert result.stdout.count("not distinguishable") == 4  # mAP, mAP50 and two classes
    assert page.read_text().count("not distinguishable") == 4
    assert result.stderr.splitlines()[-1].startswith("against: 3/3")


def test_the_anchors_of_a_run_are_known(
    data: Path, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A RUN's directory with the tiny detector in it: Keras is not needed to read anchors."""
    run_directory = RunDirectory(tmp_path / "run")
    run_directory.save_anchors(AnchorGrid((32, 32), 5, (((32.0, 32.0),),)))
    file = export / "tiny_float32.tflite"

    def open_run(model: Path, **_options: object) -> OpenedModel:
        assert model == run_directory.root
        return OpenedModel(TFLiteDetector(file), file, KERAS)

    monkeypatch.setattr("edge_retina.workflow.evaluating.open_predictor", open_run)
    result = run("evaluate", run_directory.root, data, "--errors", "--json", "-")
    assert result.exit_code == 0, result.output
    coverage = json.loads(result.stdout)["errors"]["slices"]["anchor_coverage"]
    # The anchor is all of the picture, of which the squares are .4 × .4
    assert [(item["name"], item["objects"]) for item in coverage["bins"]] == [
        ("< 0.4", 3),
        (">= 0.8", 3),
    ]


def test_json_on_standard_output_stands_alone(data: Path, export: Path) -> None:
    result = run("evaluate", export, data, "--errors", "--against", export, "--json", "-")
    assert set(json.loads(result.stdout)) >= {"mAP", "intervals", "errors", "against"}


def refused(result: Result) -> str:
    """The one line that says why."""
    assert result.exit_code == 1, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert lines == result.stderr.splitlines()[-1:]
    assert "Traceback" not in result.output
    return lines[0]


def test_a_split_without_objects(tmp_path: Path, export: Path) -> None:
    data = write_data(tmp_path / "data", [[], []])
    result = run("evaluate", export, data, "--errors")
    assert refused(result) == (
        "Error: no labelled object in the 2 images to evaluate on: average precision is undefined; "
        "choose another split"
    )
    assert result.stdout == ""


def test_against_a_model_with_other_classes(data: Path, export: Path, tmp_path: Path) -> None:
    other = write_export(tmp_path / "other", ("ring", "square"))
    result = run("evaluate", export, data, "--against", other)
    assert refused(result).startswith(
        f"Error: --against {other}: class 0 is 'ring' in the model but 'disc' in the data set"
    )
    assert result.stdout == ""


def test_against_a_model_that_is_gone(data: Path, export: Path, tmp_path: Path) -> None:
    result = run("evaluate", export, data, "--against", tmp_path / "gone.tflite")
    assert refused(result).startswith(f"Error: {tmp_path / 'gone.tflite'}: no such file")


def test_a_page_that_can_not_be_written(data: Path, export: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    page = tmp_path / "file" / "page.html"
    result = run("evaluate", export, data, "--errors", "--html", page)
    assert refused(result).startswith(f"Error: --html {page}: can't be written (")
    assert "mAP50 that mending" in result.stdout, "the results are not lost"


def test_a_page_needs_errors(data: Path, export: Path, tmp_path: Path) -> None:
    result = run("evaluate", export, data, "--html", tmp_path / "page.html")
    assert result.exit_code == 2
    assert "--html goes with --errors" in result.stderr
