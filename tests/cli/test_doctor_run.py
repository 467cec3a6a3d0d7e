"""`doctor RUN` on the command line: whole, unfinished, older and damaged RUNs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.cli.main import main
from edge_retina.config import load_config
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory
from tests.doctor.made import VocSet
from tests.doctor.run.made import evaluation, steps

SETTINGS = ("name=cells", "model.image_hw=[64, 64]", "model.max_level=4", "model.head_depth=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A RUN whose network is random and whose log is made up."""
    from edge_retina.model.retinanet import build_retinanet

    root = tmp_path_factory.mktemp("doctor_run")
    voc = VocSet(root / "data")
    voc.add_sound(4)
    voc.add_sound(3, split="val", first=4)
    voc.add_sound(1, split="test", first=7)
    run = RunDirectory(root / "run")
    config = load_config(overrides=[*SETTINGS, f'data.path="{voc.root}"'])
    grid = AnchorGrid((64, 64), 3, square_shapes((3, 4)))
    run.save_config(config)
    run.save_labels(("cat",))
    run.save_anchors(grid)
    run.float_weights.parent.mkdir(parents=True)
    build_retinanet(config.model, num_classes=1, anchors=grid).save_weights(str(run.float_weights))
    last = {**evaluation(), "errors": {"missed": 0.3, "background": 0.1}}
    lines = [*steps(update_ratio_fpn=0.3, loss=1.8), evaluation(500), last]
    write_text(run.metrics_file, "".join(json.dumps(line) + "\n" for line in lines))
    return run


@pytest.fixture
def run(trained: RunDirectory, tmp_path: Path) -> RunDirectory:
    """A copy that a test may change; the data stay where they are."""
    shutil.copytree(trained.root, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def doctor(*args: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, args)])


def found(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def codes(tree: Any) -> list[str]:
    return [item["code"] for item in tree["suspicions"]]


pytestmark = pytest.mark.tf


def test_causes_come_with_evidence_and_a_command(run: RunDirectory, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = doctor(run.root, "--html", page)
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "1. The learning rate is too high (broken); costs about 60 points" in text
    assert "steps changed the weights by up to 0.3 of their norm" in text
    assert f"edge-retina train {run.root}/config.toml --out {run.root}-mended" in text
    html = page.read_text()
    assert "The learning rate is too high" in html
    assert html.count("data:image/jpeg") == 3  # every picture of val is wrong
    assert "Change of the weights by a step" in html
    assert "mAP50 that each kind of error costs" in html
    assert "Class loss on fixed images" in html


def test_the_json_has_the_same(run: RunDirectory) -> None:
    tree = found(doctor(run.root, "--json", "-"))
    assert codes(tree)[0] == "learning-rate-high"
    assert tree["measured"]["val"]["images"] == 3
    assert tree["proofs"] == []
    assert tree["missing"] == {}


def test_an_unfinished_run_is_judged_by_its_log(run: RunDirectory) -> None:
    run.float_weights.unlink()
    tree = found(doctor(run.root, "--json", "-"))
    assert codes(tree)[0] == "learning-rate-high"
    reasons = {item["reason"] for item in tree["unjudged"]}
    assert reasons == {f"no trained weights ({run.float_weights}); finish 'edge-retina train'"}


def test_a_run_of_an_older_version(run: RunDirectory) -> None:
    lines = [{"step": 20, "loss": 1.0, "cls_loss": 0.6, "box_loss": 0.4}, {"step": 20, "mAP": 0.1}]
    write_text(run.metrics_file, "".join(json.dumps(line) + "\n" for line in lines))
    result = doctor(run.root)
    assert result.exit_code == 0, result.output
    assert (
        "  - The learning rate is too high\n"
        "  - The learning rate is too low\n"
        "    why: no update ratios: an older version"
    ) in result.stdout


def test_a_run_without_a_log(run: RunDirectory) -> None:
    run.metrics_file.unlink()
    tree = found(doctor(run.root, "--json", "-"))
    assert tree["steps"] == 0
    assert tree["missing"]["log"].startswith(f"{run.metrics_file}: can't be read")


def test_a_run_whose_data_have_gone(run: RunDirectory, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    tree = found(doctor(run.root, "--json", "-", "--set", f'data.path="{gone}"'))
    assert codes(tree) == ["learning-rate-high"]
    assert str(gone) in tree["missing"]["data"]
    assert tree["measured"] == {}


def test_damaged_weights(run: RunDirectory) -> None:
    write_text(run.float_weights, "weights")
    tree = found(doctor(run.root, "--json", "-"))
    assert codes(tree)[0] == "learning-rate-high"
    assert tree["missing"]["train"].startswith(f"{run.float_weights}: can't be read")


def test_proving_needs_a_run(trained: RunDirectory) -> None:
    result = doctor(trained.root.parent / "data", "--prove")
    assert result.exit_code == 2
    assert "--prove goes with a RUN" in result.stderr


def test_a_config_goes_with_data_only(run: RunDirectory, tmp_path: Path) -> None:
    result = doctor(run.root, "--write-config", tmp_path / "config.toml")
    assert result.exit_code == 2
    assert "--write-config goes with DATA" in result.stderr


def test_proving_needs_data(run: RunDirectory, tmp_path: Path) -> None:
    result = doctor(run.root, "--prove", "--set", f'data.path="{tmp_path / "gone"}"')
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: {run.root}: --prove can't train and measure: the data can't")
