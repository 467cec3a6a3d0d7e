"""Work that is cut short leaves nothing half-written and goes on where it stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_retina.cli.main import main
from edge_retina.config import Config
from edge_retina.errors import ExportError
from edge_retina.files import sha256_file
from edge_retina.run_directory import RunDirectory
from tests.training.tiny_backbone import use_tiny_backbone

pytestmark = [pytest.mark.slow, pytest.mark.tf]

TIMEOUT_S = 240  # of what takes 20 s on a quiet machine


def start_training(source: Path, out: Path) -> subprocess.Popen[str]:
    """Start the command `train`, with a backbone that takes little time to build."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.worker", "train", str(source), "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, "no checkpoint in time"
        time.sleep(0.02)


@pytest.fixture
def long_config(config_file, tmp_path: Path) -> Path:
    """A training of 80 steps with an evaluation, and so a checkpoint, every 20.

    Those by time would come at any step.
    """
    return config_file(
        tmp_path / "long.toml",
        "train.steps=80",
        "train.eval_every_epochs=20",
        "train.checkpoint_minutes=0",
    )


def test_a_killed_training_goes_on_from_its_checkpoint(long_config: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    process = start_training(long_config, run.root)
    wait_for(lambda: any(run.checkpoint_dir.glob("*.index")), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not run.marker("train").exists(), "killed before its end; else the test says nothing"

    process = start_training(long_config, run.root)
    _, log = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, log
    (first,) = [int(line.split()[-1]) for line in log.splitlines() if "going on from step" in line]
    assert first >= 20
    assert first % 20 == 0
    assert run.details("train")["steps"] == 80
    lines = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    steps = list(range(20, 81, 20))
    assert [line["step"] for line in lines if "loss" in line] == [1, *steps]
    assert [line["step"] for line in lines if "mAP" in line] == steps


def test_a_conversion_that_fails_leaves_the_old_export(
    run_copy: RunDirectory, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.export import artefact
    from edge_retina.model.predictor import load_float_model

    def refuse(_function: object, *, int8: bool, **settings: bool) -> bytes:
        if int8:  # the float file is written by then
            raise ExportError("the TFLite converter refused the model: for the test")
        return convert(_function, int8=int8, **settings)

    convert = artefact.convert
    monkeypatch.setattr(artefact, "convert", refuse)
    before = {path: sha256_file(path) for path in run_copy.export_dir.iterdir()}
    listing = sorted(run_copy.root.iterdir())
    trained = load_float_model(run_copy)
    for out in (run_copy.export_dir, run_copy.root / "fresh"):
        with pytest.raises(ExportError, match="for the test"):
            artefact.export_run(run_copy, out, config=run_copy.load_config(), trained=trained)
    assert {path: sha256_file(path) for path in run_copy.export_dir.iterdir()} == before
    assert sorted(run_copy.root.iterdir()) == listing


def test_a_loss_that_is_not_finite_stops_the_training(
    config_file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.training import trainer
    from edge_retina.training.step import StepResult

    def make_failing_step(_trainer: object):
        losses = iter([0.5, 0.25, float("inf")])
        return lambda *_, learning_rate: StepResult(
            {"cls_loss": next(losses), "box_loss": 0.125}, gradient_norm=1.0
        )

    use_tiny_backbone(monkeypatch)
    monkeypatch.setattr(trainer.Trainer, "make_step", make_failing_step)
    out = tmp_path / "run"
    result = CliRunner().invoke(
        main, ["train", str(config_file(tmp_path / "c.toml")), "--out", str(out)]
    )
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: step 3: cls_loss is inf; lower train.learning_rate, raise train.warmup_steps or "
        "lower train.clip_norm"
    )
    assert "Traceback" not in result.stderr
    run = RunDirectory(out)
    assert not run.float_weights.exists()
    assert not run.marker("train").exists()
