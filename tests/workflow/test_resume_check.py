"""The check that kills trainings, on one that takes a second."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.config import load_config
from edge_retina.errors import TrainingError
from edge_retina.workflow import resume_check
from edge_retina.workflow.resume_check import Kill, ResumeCheck, verify_resume


@pytest.fixture(autouse=True)
def _fake_training(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (sys.executable, str(Path(__file__).with_name("fake_training.py")))
    monkeypatch.setattr(resume_check, "PROGRAM", program)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def check(out: Path, *, name: str = "good", kills: int = 2, steps: int = 60) -> ResumeCheck:
    told: list[Kill] = []
    found = verify_resume(
        load_config(overrides=[f"name={name}", f"train.steps={steps}"]),
        out,
        kills=kills,
        checkpoint_seconds=0.2,
        seed=0,
        on_kill=told.append,
    )
    assert found.kills == tuple(told)
    return found


def test_a_training_that_goes_on_is_identical(tmp_path: Path) -> None:
    found = check(tmp_path / "out")
    assert found.is_identical
    assert found.different == ()
    assert found.sha256 == found.sha256_killed
    assert found.steps == 60
    assert len(found.kills) == 2
    assert all(0 <= kill.lost_seconds <= kill.seconds for kill in found.kills)
    steps = [kill.checkpoint for kill in found.kills]
    assert steps == sorted(steps)
    assert all(step % 5 == 0 for step in steps)
    assert found.to_dict()["identical"] is True


def test_what_differs_is_named(tmp_path: Path) -> None:
    found = check(tmp_path / "out", name="forgets")
    assert max(kill.checkpoint for kill in found.kills) > 0, "else there was nothing to forget"
    assert found.different == ("layer/kernel",)
    assert not found.is_identical


def test_a_training_that_ends_before_all_kills(tmp_path: Path) -> None:
    found = check(tmp_path / "out", kills=100, steps=10)
    assert len(found.kills) < 100
    assert found.is_identical


def test_the_error_of_a_failed_training_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"undisturbed failed: Error: nothing to train on"):
        check(tmp_path / "out", name="fails")


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(TrainingError, match=r"is not empty; give another --out"):
        check(tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


def call(tmp_path: Path, *overrides: str) -> Result:
    settings = [part for text in ("data.path=data", *overrides) for part in ("--set", text)]
    config = tmp_path / "c.toml"
    config.write_text("")
    arguments = ["verify-resume", str(config), "--checkpoint-seconds", "0.2", *settings]
    return CliRunner().invoke(main, arguments)


def test_the_verdict_is_printed(tmp_path: Path) -> None:
    result = call(tmp_path)
    assert result.exit_code == 0, result.stderr
    *kills, verdict = result.stdout.splitlines()
    assert len(kills) == 1
    assert verdict.startswith("identical: 40 steps with 1 kills end with the weights of an")


def test_a_difference_is_an_error(tmp_path: Path) -> None:
    result = call(tmp_path, "name=forgets")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        "Error: the killed training ended differently in 1 tensors or logs (layer/kernel); on a "
        "GPU, set train.deterministic = true"
    )
