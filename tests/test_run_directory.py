"""A RUN: what it holds and when a stage counts as done."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.errors import ConfigError, RunError
from edge_retina.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def test_nothing_is_done_in_a_new_run(run: RunDirectory) -> None:
    assert run.details("train") == {}
    assert not run.root.exists(), "asking makes nothing"


def test_a_marker_keeps_its_details(run: RunDirectory) -> None:
    run.mark_done("train", {"fingerprint": "abc", "seconds": 12.5})
    assert run.details("train") == {"fingerprint": "abc", "seconds": 12.5}
    assert run.details("quantize-ptq") == {}
    run.mark_done("train", {"fingerprint": "def"})
    assert run.details("train") == {"fingerprint": "def"}


def test_marking_undone_forgets_and_may_be_repeated(run: RunDirectory) -> None:
    run.mark_done("train", {"fingerprint": "abc"})
    run.mark_undone("train")
    run.mark_undone("train")
    assert run.details("train") == {}


@pytest.mark.parametrize("text", ['{"fingerp', "[]", "\xff\xfe"])
def test_a_damaged_marker_is_refused(run: RunDirectory, text: str) -> None:
    run.mark_done("train", {})
    run.marker("train").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"train\.json: damaged .*; delete it to redo the stage"):
        run.details("train")


def test_anchors_round_trip(run: RunDirectory) -> None:
    grid = AnchorGrid((192, 320), 4, (((8.5, 9.0),), ((16.0, 20.25),)))
    run.save_anchors(grid)
    assert run.load_anchors() == grid


def test_config_and_labels_round_trip(run: RunDirectory) -> None:
    config = Config(name="cells", seed=3)
    run.save_config(config)
    run.save_labels(("red cell", "größer", "<b>"))
    assert run.load_config() == config
    assert run.load_labels() == ("red cell", "größer", "<b>")


def test_no_labels_is_an_empty_file(run: RunDirectory) -> None:
    run.save_labels(())
    assert run.load_labels() == ()


def test_directory_that_is_not_a_run_is_refused(run: RunDirectory) -> None:
    with pytest.raises(RunError, match=r"not a run directory \(no config\.toml\)"):
        run.load_config()
    with pytest.raises(RunError, match=r"no labels\.txt; train first"):
        run.load_labels()


def test_damaged_config_names_its_file(run: RunDirectory) -> None:
    run.root.mkdir()
    run.config_file.write_text("[train]\nepoch = 3\n")
    with pytest.raises(ConfigError, match=r"config\.toml: unknown key 'train\.epoch'"):
        run.load_config()


def test_require_says_which_command_makes_it(run: RunDirectory) -> None:
    with pytest.raises(RunError, match=r"float/best\.h5 is missing; run 'edge-retina train'"):
        run.require(run.float_weights, "train")
    run.save_labels(("a",))
    assert run.require(run.labels_file, "train") == run.labels_file


def test_everything_lies_inside_the_run(run: RunDirectory) -> None:
    paths = [
        run.config_file,
        run.labels_file,
        run.float_weights,
        run.checkpoint_dir,
        run.metrics_file,
        run.tensorboard_dir,
        run.quantized_dir("qat"),
        run.export_dir,
        run.report_file,
        run.results_file("evaluate"),
        run.marker("train"),
    ]
    assert all(path.is_relative_to(run.root) for path in paths)
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("path", ["file", "file/run", "file/runs/run"])
def test_a_file_in_the_way_is_named(tmp_path: Path, path: str):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError) as caught:
        RunDirectory(tmp_path / path).require_directory()
    assert caught.value.filename == str(tmp_path / "file")
    RunDirectory(tmp_path / "new" / "run").require_directory()
    RunDirectory(tmp_path).require_directory()
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_labels_that_are_no_text_are_one_line(run: RunDirectory) -> None:
    run.root.mkdir()
    run.labels_file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(RunError, match=r"labels\.txt: damaged .*; expected one class name a line"):
        run.load_labels()


def test_a_result_that_was_changed_is_refused(run: RunDirectory) -> None:
    run.float_weights.parent.mkdir(parents=True)
    run.float_weights.write_bytes(b"weights")

    def take() -> Path:
        return run.require_unchanged(run.float_weights, stage="train", made_by="train")

    assert take() == run.float_weights  # of a training that goes on
    sha256 = hashlib.sha256(b"weights").hexdigest()
    run.mark_done("train", {"outputs": {"float/best.h5": sha256}})
    assert take() == run.float_weights
    run.float_weights.write_bytes(b"weighty")
    with pytest.raises(RunError, match=r"damaged or replaced .not what 'edge-retina train' wrote"):
        take()
