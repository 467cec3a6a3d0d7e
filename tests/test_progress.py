"""Progress where there is no terminal: when a line is printed, and what it promises."""

from __future__ import annotations

import pytest

from edge_retina.progress import show_progress


class Clock:
    """A clock that is set by hand."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("edge_retina.progress.time", clock)
    return clock


def test_a_line_every_fifteen_seconds_and_at_the_end(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_progress("train", 100) as progress:
        for done in range(1, 101):
            progress(done)
            clock.now_s += 1
    # The first is not printed: there is no speed to tell yet.
    assert capsys.readouterr().err.splitlines() == [
        "train: 16/100, 1:24 left",
        "train: 31/100, 1:09 left",
        "train: 46/100, 0:54 left",
        "train: 61/100, 0:39 left",
        "train: 76/100, 0:24 left",
        "train: 91/100, 0:09 left",
        "train: 100/100, 0:00 left",
    ]


def test_the_slow_first_piece_does_not_count(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_progress("train", 11) as progress:
        clock.now_s += 600  # compiling
        progress(1)
        clock.now_s += 20
        progress(2)
    assert capsys.readouterr().err == "train: 2/11, 3:00 left\n"


def test_resumed_work_is_measured_from_where_it_goes_on(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_progress("train", 1000) as progress:
        progress(900)
        clock.now_s += 20
        progress(910, "loss 1.25")
    assert capsys.readouterr().err == "train: 910/1000, 3:00 left  loss 1.25\n"


def test_the_total_may_come_later(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("benchmark") as progress:
        progress(1)
        clock.now_s += 30
        progress(2)
        clock.now_s += 30
        progress(3, total=4)
    assert capsys.readouterr().err.splitlines() == [
        "benchmark: 2/?",
        "benchmark: 3/4, 0:30 left",
    ]


def test_work_of_one_piece_has_no_time_left_to_tell(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_progress("evaluate", 1) as progress:
        progress(1)
    assert capsys.readouterr().err == "evaluate: 1/1\n"


def test_standard_output_stays_free(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("evaluate", 1) as progress:
        progress(1)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    with show_progress("train") as progress:
        progress(3, "loss 1.25", total=7)
    shown = capsys.readouterr().err
    assert "train" in shown
    assert "3/7" in shown
    assert "loss 1.25" in shown
