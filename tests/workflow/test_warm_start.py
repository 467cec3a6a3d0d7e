"""The start of a training: what is refused before anything is trained, and what counts as it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from edge_retina.config import Config, load_config
from edge_retina.errors import RunError
from edge_retina.files import sha256_file
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.prepare import open_run, prepare_run
from edge_retina.workflow.stages import STAGES
from tests.training.weights_file import write_weights
from tests.workflow.test_teacher import fake_training

pytest.importorskip("h5py", reason="comes with TensorFlow")


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def source(config: Config, tmp_path: Path) -> RunDirectory:
    """A RUN that counts as trained."""
    source = RunDirectory(tmp_path / "source")
    prepare_run(config, source)
    pretend_it_is_trained(source)
    return source


def pretend_it_is_trained(run: RunDirectory, *, scale: float = 1.0) -> None:
    write_weights(run.float_weights, classes=len(run.load_labels()), scale=scale)
    run.mark_done("train", {"outputs": {"float/best.h5": sha256_file(run.float_weights)}})


def started_from(config: Config, path: Path | str) -> Config:
    return config.replace(train=dataclasses.replace(config.train, init=str(path)))


def refused(config: Config, run: RunDirectory) -> str:
    """Return the message; nothing was written."""
    existed = run.root.exists()
    with pytest.raises(RunError) as caught:
        prepare_run(config, run)
    assert run.root.exists() == existed
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_path_is_absolute_wherever_it_comes_from(
    config: Config, run: RunDirectory, source: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source.root.parent)
    context = prepare_run(started_from(config, "source"), run)
    assert context.config.train.init == str(source.root)
    assert run.load_config().train.init == str(source.root)
    assert load_config(overrides=["train.init=source"]).train.init == str(source.root)


def test_what_is_no_run(config: Config, run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refused(started_from(config, tmp_path / "empty"), run) == (
        f"train.init: {tmp_path}/empty: not a run directory (no config.toml); "
        "create one with 'edge-retina train'"
    )
    assert refused(started_from(config, tmp_path / "gone"), run) == (
        f"train.init: {tmp_path}/gone: no such file or directory; expected a RUN or a weights file"
    )


def test_a_file_that_is_no_weights(config: Config, run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "notes.h5").write_text("weights")
    message = refused(started_from(config, tmp_path / "notes.h5"), run)
    assert message.startswith(f"train.init: {tmp_path}/notes.h5: not a Keras weights file (")


def test_a_run_that_is_not_finished(config: Config, run: RunDirectory, source: RunDirectory):
    source.mark_undone("train")
    assert refused(started_from(config, source.root), run) == (
        f"train.init: {source.root}: its training is not finished; finish 'edge-retina train'"
    )
    # Its weights may be named themselves: they are those of its last evaluation.
    prepare_run(started_from(config, source.float_weights), run)


def test_a_run_of_another_version(config: Config, run: RunDirectory, source: RunDirectory):
    source.mark_done("train", {"steps": 1})
    assert refused(started_from(config, source.root), run) == (
        f"train.init: {source.root}/stages/train.json: holds no hash of float/best.h5, so it is of "
        "another version; train it again"
    )
    text = source.config_file.read_text()
    source.config_file.write_text(text.replace("fpn_channels", "fpn_channelz"))
    assert refused(started_from(config, source.root), run).startswith(
        f"train.init: {source.root}/config.toml: unknown key 'model.fpn_channelz'"
    )


def test_a_damaged_run(config: Config, run: RunDirectory, source: RunDirectory) -> None:
    write_weights(source.float_weights, classes=2)
    assert refused(started_from(config, source.root), run) == (
        f"train.init: {source.root}/float/best.h5: damaged or replaced (not what its training "
        "wrote); train it again"
    )


def test_another_backbone(config: Config, run: RunDirectory, source: RunDirectory) -> None:
    wide = config.replace(model=dataclasses.replace(config.model, backbone_width=0.5))
    assert refused(started_from(wide, source.root), run) == (
        f"train.init: {source.root}: its backbone is mobilenet_v2 of width 0.35, the config wants "
        "mobilenet_v2 of width 0.5; change model.backbone and model.backbone_width, or start from "
        "another detector"
    )


def test_the_run_itself(config: Config, source: RunDirectory) -> None:
    for path in (source.root, source.float_weights):
        assert refused(started_from(config, path), source) == (
            f"train.init: {path} is the run that is to be trained; name another one"
        )


OTHER = (
    "was begun from other weights, or they have changed; restore train.init (--init), or train in "
    "another directory"
)


def test_another_start_is_another_training(
    config: Config, run: RunDirectory, source: RunDirectory
) -> None:
    """By its content: other weights or names of classes, or none; not by its place."""
    started = started_from(config, source.root)
    prepare_run(started, run)
    pretend_it_is_trained(run, scale=2.0)
    prepare_run(started, run)
    prepare_run(started_from(config, source.float_weights), run)
    moved = RunDirectory(source.root.with_name("moved"))
    shutil.copytree(source.root, moved.root)
    prepare_run(started_from(config, moved.root), run)
    assert run.load_config().train.init == str(moved.root)

    assert refused(config, run) == f"{run.root}: {OTHER}"
    pretend_it_is_trained(source, scale=3.0)
    assert refused(started, run) == f"{run.root}: {OTHER}"
    labels = moved.load_labels()
    moved.save_labels(labels[::-1])
    assert refused(started_from(config, moved.root), run) == f"{run.root}: {OTHER}"


def test_a_start_for_a_run_that_was_begun_without(
    config: Config, run: RunDirectory, source: RunDirectory
) -> None:
    prepare_run(config, run)
    run.checkpoint_dir.mkdir(parents=True)
    (run.checkpoint_dir / "step-1.index").touch()
    assert refused(started_from(config, source.root), run) == f"{run.root}: {OTHER}"


def test_what_has_begun_needs_its_start_no_more(
    config: Config, run: RunDirectory, source: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = started_from(config, source.root)
    context = prepare_run(started, run)
    fake_training(run, monkeypatch)
    STAGES.complete(context, ["train"])
    assert run.details("train")["init"] == run.details("prepare")["init"] == context.init_sha256
    assert context.init_sha256 != ""
    assert STAGES.is_done("train", open_run(run, overrides=[]))
    shutil.rmtree(source.root)
    again = prepare_run(started, run)
    assert STAGES.is_done("train", again)
    assert run.details("prepare")["init"] == context.init_sha256
    elsewhere = started_from(config, source.root.with_name("elsewhere"))
    assert "no such file or directory" in refused(elsewhere, run), "a misspelt path is one"
    # Until it has begun, it does need it.
    run.float_weights.unlink()
    assert "no such file or directory" in refused(started, run)


def test_without_a_start_nothing_is_said_of_it(
    config: Config, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a training from before there was `train.init` is still done."""
    fake_training(run, monkeypatch)
    STAGES.complete(prepare_run(config, run), ["train"])
    assert "init" not in run.details("train")
    assert "init" not in run.details("prepare")
