"""The first stage: what is refused before anything is trained, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_retina.config import Config, config_from_dict
from edge_retina.datasets import load_dataset
from edge_retina.errors import ConfigError, DatasetError, RunError
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.prepare import prepare_run, read_data, trained_config


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def changed(config: Config, key: str, value: object) -> Config:
    """Return the config with one field, `section.field` or `field`, set to another value."""
    tree = config.to_dict()
    *sections, name = key.split(".")
    place = tree
    for section in sections:
        place = place[section]
    place[name] = value
    return config_from_dict(tree)


def pretend_it_is_trained(run: RunDirectory) -> None:
    write_text(run.float_weights, "weights")


def test_config_and_labels_are_saved_with_anchors_and_a_whole_path(
    config: Config, run: RunDirectory, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    resolved, prepared = prepare_run(changed(config, "data.path", data.name), run)
    assert resolved.data.path == str(data)
    assert run.load_config() == resolved
    assert [len(level) for level in resolved.anchors.shapes] == [2, 2, 2]
    assert run.load_labels() == load_dataset(data).labels
    assert [len(prepared.train), len(prepared.val), len(prepared.test)] == [6, 3, 4]


def test_the_same_again_is_the_same(config: Config, run: RunDirectory) -> None:
    first, _ = prepare_run(config, run)
    pretend_it_is_trained(run)
    again, _ = prepare_run(config, run)
    assert again == first


@pytest.mark.parametrize(
    "key, value",
    [
        ("seed", 1),
        ("data.val_split", "test"),
        ("data.skip_invalid", True),
        ("model.fpn_channels", 32),
        ("anchors.per_cell", 3),
        ("anchors.fit", False),
        ("matching.positive_iou", 0.6),
        ("augmentation.scale", [0.9, 1.1]),
        ("loss.focal_gamma", 1.5),
        ("train.learning_rate", 0.5),
    ],
)
def test_what_was_trained_with_can_not_change(
    config: Config, run: RunDirectory, key: str, value: object
) -> None:
    prepare_run(config, run)
    before = run.config_file.read_text()
    pretend_it_is_trained(run)
    with pytest.raises(RunError) as caught:
        prepare_run(changed(config, key, value), run)
    # Fitted shapes follow from other anchor settings, so either may be named first.
    named = "anchors." if key.startswith("anchors.") else f"{key};"
    assert str(caught.value).startswith(f"{run.root}: was begun with another {named}")
    assert str(caught.value).endswith("restore the setting, or train in another directory")
    assert run.config_file.read_text() == before


@pytest.mark.parametrize(
    "key, value",
    [
        ("name", "other"),
        ("data.test_split", "val"),
        ("data.cache_mb", 1),
        ("train.checkpoint_minutes", 0.5),
        ("quantize.steps", 7),
        ("export.score_threshold", 0.2),
    ],
)
def test_what_comes_after_the_training_may_change(
    config: Config, run: RunDirectory, key: str, value: object
) -> None:
    prepare_run(config, run)
    pretend_it_is_trained(run)
    resolved, _ = prepare_run(changed(config, key, value), run)
    assert run.load_config() == resolved


def test_until_something_is_trained_everything_may_change(
    config: Config, run: RunDirectory
) -> None:
    prepare_run(config, run)
    resolved, _ = prepare_run(changed(config, "model.image_hw", (96, 96)), run)
    assert run.load_config().model.image_hw == (96, 96)
    assert run.load_config() == resolved


def test_other_labels_on_the_same_pictures_are_refused(
    config: Config, run: RunDirectory, data: Path
) -> None:
    prepare_run(config, run)
    pretend_it_is_trained(run)
    path = data / "annotations" / "instances_train.json"
    tree = json.loads(path.read_text())
    tree["annotations"].pop()
    path.write_text(json.dumps(tree))
    with pytest.raises(RunError) as caught:
        prepare_run(config, run)
    assert str(caught.value) == (
        f"{run.root}: pictures or labels in {data} have changed since it was begun; "
        "restore the data, or train in another directory"
    )


def test_a_broken_picture_is_found_before_the_training(
    config: Config, run: RunDirectory, data: Path
) -> None:
    picture = data / "images" / "train" / "000002.jpg"
    content = picture.read_bytes()
    picture.write_bytes(content[: len(content) // 2])
    with pytest.raises(DatasetError) as caught:
        prepare_run(config, run)
    assert str(caught.value) == (
        f"{picture}: JPEG is cut off (no end marker); copy the file again, "
        "or set data.skip_invalid = true"
    )
    assert not run.root.exists()
    _, prepared = prepare_run(changed(config, "data.skip_invalid", True), run)
    assert len(prepared.train) == 5


def test_a_split_without_objects_is_refused(config: Config, run: RunDirectory, data: Path) -> None:
    path = data / "annotations" / "instances_val.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "annotations": []}))
    with pytest.raises(DatasetError, match="the val split has no objects; check the annotations"):
        prepare_run(config, run)
    assert not run.root.exists()


def test_a_config_without_data() -> None:
    with pytest.raises(ConfigError, match=r"data\.path is empty; set it to the directory"):
        read_data(Config())


def test_overrides_for_a_trained_model(config: Config, run: RunDirectory) -> None:
    prepare_run(config, run)
    with pytest.raises(RunError, match=r"float/best\.h5 is missing; run 'edge-retina train' first"):
        trained_config(run, overrides=[])
    pretend_it_is_trained(run)
    assert trained_config(run, overrides=["export.nms_iou=0.6"]).export.nms_iou == 0.6
    with pytest.raises(RunError, match=r"was begun with another model\.image_hw"):
        trained_config(run, overrides=["model.image_size=96"])
