from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.tf


def result(cls: float, box: float, norm: float):
    from edge_retina.training.step import StepResult

    return StepResult({"cls_loss": cls, "box_loss": box}, norm)


def test_means_since_the_last_time():
    from edge_retina.training.loss_window import LossWindow

    window = LossWindow()
    window.add(result(1.0, 0.5, 10.0), images=8)
    window.add(result(3.0, 0.0, 20.0), images=8)
    assert window.note() == "cls_loss 2.000 box_loss 0.250"
    taken = window.take()
    speed = taken.pop("images_per_second")
    assert taken == {"loss": 2.25, "cls_loss": 2.0, "box_loss": 0.25, "gradient_norm": 15.0}
    assert speed > 0
    window.add(result(5.0, 1.0, 1.0), images=8)  # of a new window
    assert window.take()["loss"] == 6.0


def test_the_speed_is_counted_from_the_restart(monkeypatch: pytest.MonkeyPatch):
    from edge_retina.training.loss_window import LossWindow

    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    window = LossWindow()
    window.add(result(1.0, 1.0, 1.0), images=8)
    now[0] += 2
    assert window.take()["images_per_second"] == 4.0
    window.add(result(1.0, 1.0, 1.0), images=8)
    now[0] += 60  # an evaluation
    window.restart_clock()
    window.add(result(3.0, 1.0, 1.0), images=6)
    now[0] += 2
    taken = window.take()
    assert taken["images_per_second"] == 3.0
    assert taken["cls_loss"] == 2.0, "losses from before the restart count"


def test_figures_are_averaged_without_those_that_are_no_numbers():
    from edge_retina.training.loss_window import LossWindow
    from edge_retina.training.step import StepResult

    window, nan = LossWindow(), float("nan")
    for score, counts in ((0.5, [1.0, 0.0]), (nan, [3.0, 1.0]), (0.7, [2.0, 2.0])):
        figures = {"score": score, "counts": counts, "never": nan}
        window.add(StepResult({"cls_loss": 1.0}, 1.0, figures), images=8)
    taken = window.take()
    assert taken["score"] == pytest.approx(0.6)
    assert taken["counts"] == [2.0, 1.0]
    assert "never" not in taken
    assert taken["loss"] == 1.0, "figures are no losses"
    assert window.figures == {}
