from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tf


def steps_in(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A log of steps 20, 40, 60 whose last line was cut."""
    path = tmp_path / "metrics.jsonl"
    lines = [f'{{"step": {step}, "loss": 1.5}}\n' for step in (20, 40, 60)]
    path.write_text("".join(lines) + '{"step": 80, "lo')
    return path


def test_one_object_a_line(tmp_path: Path):
    from edge_retina.training.metrics_log import MetricsLog

    path = tmp_path / "run" / "metrics.jsonl"
    log = MetricsLog(path, tensorboard=None)
    log.write(20, loss=1.5, note="warm-up")
    assert path.read_text() == '{"step": 20, "loss": 1.5, "note": "warm-up"}\n'  # at once
    log.write(40, loss=1.0)
    log.close()
    assert steps_in(path) == [20, 40]


@pytest.mark.parametrize(
    "first_step, kept",
    [
        (0, []),  # from the start
        (30, [20]),
        (40, [20, 40]),  # forty steps were done: what was logged of them stays
        (60, [20, 40, 60]),
        (100, [20, 40, 60]),  # the line that was cut is gone
    ],
)
def test_a_resumed_run_drops_later_lines(interrupted: Path, first_step: int, kept: list[int]):
    from edge_retina.training.metrics_log import MetricsLog

    log = MetricsLog(interrupted, tensorboard=None, first_step=first_step)
    assert steps_in(interrupted) == kept
    log.write(500, loss=0.1)
    log.close()
    assert steps_in(interrupted) == [*kept, 500]


def test_a_training_from_the_start_keeps_nothing(tmp_path: Path):
    """Not even what was measured at step 0, before an earlier QAT."""
    from edge_retina.training.metrics_log import MetricsLog

    path = tmp_path / "metrics.jsonl"
    for _ in range(2):
        log = MetricsLog(path)
        log.write(0, mAP=0.5)
        log.close()
    assert steps_in(path) == [0]


def test_without_a_path_nothing_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from edge_retina.training.metrics_log import MetricsLog

    monkeypatch.chdir(tmp_path)
    log = MetricsLog(None)
    log.write(20, loss=1.5)
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_numbers_go_to_tensorboard(tmp_path: Path):
    from edge_retina.model.keras import tf
    from edge_retina.training.metrics_log import MetricsLog

    log = MetricsLog(tmp_path / "metrics.jsonl", tensorboard=tmp_path / "events")
    log.write(
        20,
        loss=1.5,
        note="words are for the file only",
        positives_by_level=[3.0, 0.5],
        probe={"val": {"cls_loss": 0.25}},
        mAP=None,
    )
    log.close()
    (file,) = (tmp_path / "events").iterdir()
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            found[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    assert found == {
        (20, "loss"): 1.5,
        (20, "positives_by_level/0"): 3.0,
        (20, "positives_by_level/1"): 0.5,
        (20, "probe/val/cls_loss"): 0.25,
    }


def test_without_tensorboard_training_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    from edge_retina.training.metrics_log import MetricsLog

    monkeypatch.setitem(sys.modules, "tensorboard", None)  # as if it weren't installed
    with caplog.at_level(logging.WARNING):
        log = MetricsLog(tmp_path / "metrics.jsonl", tensorboard=tmp_path / "events")
    log.write(20, loss=1.5)
    log.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 20, "loss": 1.5}
    assert not (tmp_path / "events").exists()
    (record,) = caplog.records
    assert "tensorboard is not installed" in record.getMessage()
    assert "pip install tensorboard" in record.getMessage()
