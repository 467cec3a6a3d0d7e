from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_retina.errors import RunError
from edge_retina.report.metrics_log import AccuracyPoint, LossPoint, read_metrics_log

LOSS = '{"step": 10, "loss": 1.5, "cls_loss": 1.0, "box_loss": 0.5, "learning_rate": 0.001}'
ACCURACY = '{"step": 100, "epoch": 5, "mAP": 0.25, "mAP50": 0.5}'


def write(path: Path, *lines: str) -> Path:
    path = path / "metrics.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_both_kinds_of_lines(tmp_path: Path) -> None:
    log = read_metrics_log(write(tmp_path, LOSS, ACCURACY, ""))
    assert log.losses == (LossPoint(10, 1.5, 1.0, 0.5),)
    assert log.accuracy == (AccuracyPoint(100, 0.25, 0.5),)
    assert log.warnings == ()


def test_a_teacher_adds_a_loss(tmp_path: Path) -> None:
    line = LOSS.replace('"box_loss": 0.5', '"box_loss": 0.5, "distance": 0.25')
    assert read_metrics_log(write(tmp_path, line)).losses == (LossPoint(10, 1.5, 1.0, 0.5, 0.25),)


def test_empty_log_is_a_training_that_has_not_logged_yet(tmp_path: Path) -> None:
    log = read_metrics_log(write(tmp_path, ""))
    assert (log.losses, log.accuracy, log.warnings) == ((), (), ())


def test_line_with_both_counts_as_both(tmp_path: Path) -> None:
    log = read_metrics_log(write(tmp_path, '{"step": 1, "loss": 2, "mAP": 0.1, "mAP50": 0.2}'))
    assert log.losses == (LossPoint(1, 2.0, None, None),)
    assert log.accuracy == (AccuracyPoint(1, 0.1, 0.2),)


def test_steps_logged_again_after_a_resume_replace_the_old_ones(tmp_path: Path) -> None:
    lines = [json.dumps({"step": step, "loss": loss}) for step, loss in ((1, 9), (2, 8), (3, 7))]
    again = [json.dumps({"step": step, "loss": loss}) for step, loss in ((2, 6), (3, 5))]
    log = read_metrics_log(write(tmp_path, *lines, *again))
    assert [(point.step, point.total) for point in log.losses] == [(1, 9), (2, 6), (3, 5)]


@pytest.mark.parametrize("text", ["null", "NaN", "Infinity"])
def test_what_is_not_finite_is_no_number(tmp_path: Path, text: str) -> None:
    log = read_metrics_log(write(tmp_path, f'{{"step": 1, "loss": {text}}}'))
    assert log.losses == (LossPoint(1, None, None, None),)


@pytest.mark.parametrize("cut", ['{"step": 20, "lo', "{", '{"step": 20, "loss": 1.4'])
def test_cut_last_line_is_left_out_and_said(tmp_path: Path, cut: str) -> None:
    log = read_metrics_log(write(tmp_path, LOSS, cut))
    assert [point.step for point in log.losses] == [10]
    assert log.warnings == ("metrics.jsonl: the last line was cut off and is left out.",)


def test_last_line_cut_inside_a_character(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(LOSS.encode() + b'\n{"note": "gr\xc3')
    assert len(read_metrics_log(path).losses) == 1


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"step": 20, "lo', r"metrics\.jsonl, line 2: not JSON"),
        ("", r"line 2: not JSON"),
        ("[1, 2]", r"line 2: expected an object with an integer 'step', got \[1, 2\]"),
        ('{"loss": 1}', r"line 2: expected an object with an integer 'step'"),
        ('{"step": true, "loss": 1}', r"line 2: expected an object with an integer 'step'"),
        ('{"step": 1, "lr": 1}', r"line 2: expected a 'loss', a 'mAP' or a 'probe', got step, lr"),
        ('{"step": 1, "loss": "low"}', r"line 2: 'loss' must be a number, got 'low'"),
    ],
)
def test_garbage_elsewhere_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read_metrics_log(write(tmp_path, LOSS, line, ACCURACY))


def test_valid_json_of_the_wrong_form_is_no_cut_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="line 2"):
        read_metrics_log(write(tmp_path, LOSS, '{"step": 1}'))


def test_missing_log(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"metrics\.jsonl: can't be read .*; train first"):
        read_metrics_log(tmp_path / "metrics.jsonl")
