"""`doctor RUN --quantization` on the command line; what it finds is tested elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_retina.boxes.anchors import AnchorGrid, default_shapes
from edge_retina.cli.main import main
from edge_retina.config import load_config
from edge_retina.doctor.int8.diagnosis import diagnose_quantization
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.context import RunContext
from tests.doctor.int8.test_diagnosis import layer
from tests.doctor.made import VocSet


@pytest.fixture
def data(tmp_path: Path) -> Path:
    voc = VocSet(tmp_path / "data")
    voc.add_sound(3)
    voc.add_sound(2, split="val", first=3)
    voc.add_sound(1, split="test", first=5)
    return voc.root


@pytest.fixture
def run(tmp_path: Path, data: Path) -> RunDirectory:
    """A RUN that is trained, as far as its files tell."""
    run = RunDirectory(tmp_path / "run")
    run.save_config(load_config(overrides=["name=cells", f'data.path="{data}"']))
    run.save_labels(("cat",))
    run.save_anchors(AnchorGrid((256, 256), 3, default_shapes((3, 4, 5, 6, 7))))
    write_text(run.float_weights, "weights")
    return run


def doctor(*args: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, args)])


def one_line(result: Result) -> str:
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_a_data_set_with_the_option(data: Path) -> None:
    assert one_line(doctor(data, "--quantization")) == (
        f"Error: {data}: not a run directory (no config.toml); create one with 'edge-retina train'"
    )


def test_a_run_that_is_not_trained(run: RunDirectory) -> None:
    run.float_weights.unlink()
    assert one_line(doctor(run.root, "--quantization")) == (
        f"Error: {run.root}: float/best.h5 is missing; run 'edge-retina train' first"
    )


@pytest.mark.tf
@pytest.mark.parametrize("options, method", [((), "qat"), (("--method", "ptq"), "ptq")])
def test_a_run_that_is_not_quantised(
    run: RunDirectory, options: tuple[str, ...], method: str
) -> None:
    assert one_line(doctor(run.root, "--quantization", *options)) == (
        f"Error: {run.root}: {method}/quantization.json is missing; "
        f"run 'edge-retina quantize --method {method}' first"
    )


@pytest.mark.parametrize("option", ["--pictures", "--method"])
def test_values_that_are_not_allowed(run: RunDirectory, option: str) -> None:
    assert doctor(run.root, "--quantization", option, "0").exit_code == 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the examination was asked for; a stand-in answers."""
    asked: list[dict[str, Any]] = []

    def examine(context: RunContext, **options: Any) -> Any:
        asked.append({"run": context.run.root, "config": context.config, **options})
        return diagnose_quantization(
            [layer("sound"), layer("cut", channel_spread=200.0, channel_snr_db=-3.0)],
            method="ptq",
            pictures=len(options["images"]),
            ablation={"cut": 0.75} if options["ablate"] else {},
        )

    monkeypatch.setattr("edge_retina.workflow.examination.examine_quantization", examine)
    return asked


def test_the_first_pictures_of_the_validation_split(
    run: RunDirectory, asked: list[dict[str, Any]]
) -> None:
    result = doctor(run.root, "--quantization", "--set", "export.score_threshold=0.2")
    assert result.exit_code == 0, result.output
    (call,) = asked
    assert (call["run"], call["method"], call["ablate"]) == (run.root, None, False)
    assert [path.name for path in call["images"]] == ["sound3.jpg", "sound4.jpg"]
    assert call["config"].export.score_threshold == 0.2
    assert result.stdout.startswith("int8 by ptq, 2 quantised outputs on 2 pictures\n")
    assert "ERROR outlier-channel" in result.stdout
    assert "ablation" not in result.stdout


def test_options_reach_the_examination(run: RunDirectory, asked: list[dict[str, Any]]) -> None:
    doctor(run.root, "--quantization", "--method", "ptq", "--pictures", "1", "--ablate")
    (call,) = asked
    assert (call["method"], len(call["images"]), call["ablate"]) == ("ptq", 1, True)


def test_without_a_validation_split_the_training_pictures(
    run: RunDirectory, asked: list[dict[str, Any]]
) -> None:
    doctor(run.root, "--quantization", "--set", 'data.val_split=""')
    assert [path.name for path in asked[0]["images"]] == [f"sound{i}.jpg" for i in range(3)]


@pytest.mark.usefixtures("asked")
def test_all_results_go_where_they_are_wanted(run: RunDirectory, tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    result = doctor(run.root, "--quantization", "--ablate", "--json", "-", "--html", page)
    assert result.exit_code == 0, result.output
    tree = json.loads(result.stdout)
    assert set(tree) == {
        "schema_version",
        "method",
        "pictures",
        "findings",
        "ranked",
        "layers",
        "ablation",
    }
    assert tree["schema_version"] == 1
    assert [finding["code"] for finding in tree["findings"]] == ["outlier-channel"]
    assert tree["ablation"] == {"cut": 0.75}
    assert [item["name"] for item in tree["layers"]] == ["sound", "cut"]
    assert "cells: where int8 loses" in page.read_text()


def test_a_model_without_quantised_activations(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edge_retina.workflow.examination.examine_quantization", lambda *_, **__: None
    )
    line = one_line(doctor(run.root, "--quantization"))
    assert line.startswith(f"Error: {run.root}: its int8 model has no quantised activations (")
    assert line.endswith("); there is nothing to compare")


def test_there_is_no_config_to_write(
    run: RunDirectory, tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    patch = tmp_path / "patch.toml"
    result = doctor(run.root, "--quantization", "--write-config", patch)
    assert result.exit_code == 2
    assert "--write-config goes with DATA, not with RUN" in result.stderr
    assert not patch.exists()
    assert asked == []  # it is said before the work is done
