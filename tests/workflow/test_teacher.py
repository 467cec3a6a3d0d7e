"""The teacher of a training: what is refused before anything is trained, and what counts as it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from edge_retina.config import Config, load_config
from edge_retina.errors import RunError
from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.prepare import open_run, prepare_run
from edge_retina.workflow.stages import STAGES


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def teacher(config: Config, tmp_path: Path) -> RunDirectory:
    """A RUN that counts as trained, of another input size."""
    teacher = RunDirectory(tmp_path / "teacher")
    prepare_run(config.replace(model=dataclasses.replace(config.model, image_hw=(96, 96))), teacher)
    pretend_it_is_trained(teacher, "weights")
    return teacher


def pretend_it_is_trained(run: RunDirectory, weights: str, **details: str) -> None:
    write_text(run.float_weights, weights)
    outputs = {"float/best.h5": sha256_file(run.float_weights)}
    run.mark_done("train", {"outputs": outputs, **details})


def taught_by(config: Config, teacher: RunDirectory | None) -> Config:
    path = str(teacher.root) if teacher else ""
    return config.replace(train=dataclasses.replace(config.train, teacher=path))


def refused(config: Config, run: RunDirectory) -> str:
    """Return the message; nothing was written."""
    existed = run.root.exists()
    with pytest.raises(RunError) as caught:
        prepare_run(config, run)
    assert run.root.exists() == existed
    return str(caught.value)


def test_a_path_is_absolute_wherever_it_comes_from(
    config: Config, run: RunDirectory, teacher: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(teacher.root.parent)
    relative = dataclasses.replace(config.train, teacher="teacher")
    assert prepare_run(config.replace(train=relative), run).config.train.teacher == str(
        teacher.root
    )
    override = load_config(overrides=["train.teacher=teacher"])
    assert override.train.teacher == str(teacher.root)


def test_what_is_no_run(config: Config, run: RunDirectory, tmp_path: Path) -> None:
    nothing = RunDirectory(tmp_path / "nothing")
    assert refused(taught_by(config, nothing), run) == (
        f"train.teacher: {nothing.root}: not a run directory (no config.toml); "
        "create one with 'edge-retina train'"
    )


def test_a_run_that_is_not_finished(
    config: Config, run: RunDirectory, teacher: RunDirectory
) -> None:
    teacher.mark_undone("train")  # weights are written at every evaluation
    assert refused(taught_by(config, teacher), run) == (
        f"train.teacher: {teacher.root}: its training is not finished; finish 'edge-retina train'"
    )


def test_the_run_itself(config: Config, teacher: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(teacher.root)
    for root in (teacher.root, tmp_path / "link"):
        message = refused(taught_by(config, teacher), RunDirectory(root))
        assert message == (
            f"train.teacher: {teacher.root} is the run that is to learn; name another one"
        )


def test_other_classes_or_another_order(
    config: Config, run: RunDirectory, teacher: RunDirectory
) -> None:
    ours = teacher.load_labels()
    for theirs in (ours[::-1], ours[:-1], (*ours[:-1], "zebra")):
        teacher.save_labels(theirs)
        assert refused(taught_by(config, teacher), run) == (
            f"train.teacher: {teacher.root} knows the classes {', '.join(theirs)}, the data set "
            f"has {', '.join(ours)}; a teacher needs the same classes in the same order"
        )


def damage_weights(teacher: RunDirectory) -> str:
    teacher.float_weights.write_text("weight")
    return "float/best.h5: damaged or replaced (not what its training wrote); train it again"


def remove_weights(teacher: RunDirectory) -> str:
    teacher.float_weights.unlink()
    return "float/best.h5 is missing; run 'edge-retina train' first"


def age_marker(teacher: RunDirectory) -> str:
    teacher.mark_done("train", {"steps": 1})
    return "stages/train.json: holds no hash of float/best.h5, so it is of another version; train"


def damage_marker(teacher: RunDirectory) -> str:
    teacher.marker("train").write_text("{")
    return "stages/train.json: damaged ("


def damage_config(teacher: RunDirectory) -> str:
    teacher.config_file.write_text("[model")
    return "config.toml: not valid TOML: "


def renew_config(teacher: RunDirectory) -> str:
    text = teacher.config_file.read_text()
    teacher.config_file.write_text(text.replace("fpn_channels", "fpn_channelz"))
    return "config.toml: unknown key 'model.fpn_channelz'; did you mean 'fpn_channels'?"


def damage_anchors(teacher: RunDirectory) -> str:
    teacher.anchors_file.write_text("[")
    return "anchors.json: damaged ("


def remove_anchors(teacher: RunDirectory) -> str:
    teacher.anchors_file.unlink()
    return ": no anchors.json; train first with 'edge-retina train'"


def swap_anchors(teacher: RunDirectory) -> str:
    tree = json.loads(teacher.anchors_file.read_text())
    write_json(teacher.anchors_file, {**tree, "image_hw": [64, 64]})
    return "anchors.json: does not fit config.toml (input size [64, 64], [2, 2, 2] shapes by level"


def thin_anchors(teacher: RunDirectory) -> str:
    tree = json.loads(teacher.anchors_file.read_text())
    tree["shapes"][1].pop()
    write_json(teacher.anchors_file, tree)
    return "anchors.json: damaged (its levels have [1, 2] shapes; expected equally many"


def remove_labels(teacher: RunDirectory) -> str:
    teacher.labels_file.unlink()
    return "no labels.txt; train first with 'edge-retina train'"


@pytest.mark.parametrize(
    "damage",
    [
        damage_weights,
        remove_weights,
        age_marker,
        damage_marker,
        damage_config,
        renew_config,
        damage_anchors,
        remove_anchors,
        swap_anchors,
        thin_anchors,
        remove_labels,
    ],
)
def test_a_damaged_teacher(
    config: Config, run: RunDirectory, teacher: RunDirectory, damage: object
) -> None:
    expected = damage(teacher)  # type: ignore[operator]
    message = refused(taught_by(config, teacher), run)
    assert message.startswith(f"train.teacher: {teacher.root}")
    assert expected in message
    assert "\n" not in message


def test_another_teacher_is_another_training(
    config: Config, run: RunDirectory, teacher: RunDirectory
) -> None:
    """By its content: of other weights or anchors, or none; not by its place."""
    taught = taught_by(config, teacher)
    prepare_run(taught, run)
    pretend_it_is_trained(run, "taught")
    prepare_run(taught, run)
    moved = RunDirectory(teacher.root.with_name("moved"))
    shutil.copytree(teacher.root, moved.root)
    assert prepare_run(taught_by(config, moved), run).config.train.teacher == str(moved.root)

    another = (
        f"{run.root}: was begun with another teacher, or the teacher's weights have changed; "
        "restore train.teacher, or train in another directory"
    )
    assert refused(taught_by(config, None), run) == another
    pretend_it_is_trained(teacher, "other weights")
    assert refused(taught, run) == another
    tree = json.loads(moved.anchors_file.read_text())
    tree["shapes"][0][0][0] += 1
    write_json(moved.anchors_file, tree)
    assert refused(taught_by(config, moved), run) == another


def test_a_teacher_for_a_run_that_was_trained_without(
    config: Config, run: RunDirectory, teacher: RunDirectory
) -> None:
    prepare_run(config, run)
    pretend_it_is_trained(run, "untaught")
    assert "was begun with another teacher" in refused(taught_by(config, teacher), run)


def test_the_marker_of_the_training_knows_the_teacher(
    config: Config, run: RunDirectory, teacher: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = prepare_run(taught_by(config, teacher), run)
    fake_training(run, monkeypatch)
    STAGES.complete(context, ["train"])
    assert run.details("train")["teacher"] == context.teacher_sha256 != ""
    assert STAGES.is_done("train", open_run(run, overrides=[]))
    pretend_it_is_trained(teacher, "other weights")
    assert not STAGES.is_done("train", open_run(run, overrides=[]))
    # What is trained is not in need of its teacher.
    pretend_it_is_trained(teacher, "weights")
    shutil.rmtree(teacher.root)
    assert STAGES.is_done("train", prepare_run(taught_by(config, teacher), run))
    # Until it is trained, it is.
    run.mark_undone("train")
    assert "not a run directory" in refused(taught_by(config, teacher), run)


def test_without_a_teacher_its_weight_is_no_setting(
    config: Config, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a training from before there were teachers is still done."""
    fake_training(run, monkeypatch)
    STAGES.complete(prepare_run(config, run), ["train"])
    assert "teacher" not in run.details("train")
    overrides = ["train.teacher_weight=3"]
    assert STAGES.is_done("train", open_run(run, overrides=overrides))


def fake_training(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the training stage write weights without TensorFlow."""
    import sys
    from types import ModuleType, SimpleNamespace

    def fit() -> dict[str, int]:
        write_text(run.float_weights, "taught")
        return {"steps": 1}

    modules = {
        "edge_retina.training.trainer": {"Trainer": lambda *_, **__: SimpleNamespace(fit=fit)},
        "edge_retina.quantization.quantize": {"check_quantization": lambda *_, **__: None},
    }
    for name, members in modules.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
