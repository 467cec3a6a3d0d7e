"""A finished stage is not done again; what is missing, and what follows from it, is."""

from __future__ import annotations

import dataclasses
import time

import pytest

from edge_retina.config import Config
from edge_retina.errors import RunError
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.stages import run_all

pytestmark = [pytest.mark.slow, pytest.mark.tf]


def times(run: RunDirectory) -> dict[str, int]:
    """Modification time of every marker and result, in nanoseconds."""
    directories = (run.marker("train").parent, run.export_dir, run.results_file("x").parent)
    paths = [run.float_weights, run.report_file, *(p for d in directories for p in d.iterdir())]
    return {str(path.relative_to(run.root)): path.stat().st_mtime_ns for path in paths}


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    assert before.keys() == after.keys()
    # The data are looked at anew each time; what was found is written again.
    return {name for name in before if before[name] != after[name]} - {"stages/prepare.json"}


def test_a_second_run_does_nothing(config: Config, run_copy: RunDirectory) -> None:
    before = times(run_copy)
    started = time.monotonic()
    run_all(config, run_copy)
    assert changed(before, times(run_copy)) == set()
    assert time.monotonic() - started < 10


def test_a_stage_without_marker_is_done_again_and_what_reads_its_result_too(
    config: Config, run_copy: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only the files are measured: a process with Keras would take most of the test's time.
    monkeypatch.setattr("edge_retina.workflow.measuring.run_candidates", lambda *_, **__: [])
    before = times(run_copy)
    run_copy.marker("benchmark").unlink()
    run_all(config, run_copy)
    assert changed(before, times(run_copy)) == {
        "stages/benchmark.json",
        "results/benchmark.json",
        "stages/report.json",
        "results/quantization.json",
        "report.html",
    }


def test_other_training_settings_are_refused(config: Config, run_copy: RunDirectory) -> None:
    before = times(run_copy)
    train = dataclasses.replace(config.train, learning_rate=0.001)
    with pytest.raises(RunError, match=r"was begun with another train\.learning_rate"):
        run_all(config.replace(train=train), run_copy)
    assert changed(before, times(run_copy)) == set()
