"""The first stage: what is refused before anything is trained, and what is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edge_retina.boxes.fitting import fit_anchors
from edge_retina.config import Config, config_from_dict, load_config
from edge_retina.datasets import Example, load_dataset
from edge_retina.datasets.saving import write_dataset
from edge_retina.errors import ConfigError, DatasetError, RunError
from edge_retina.files import write_text
from edge_retina.input_pipeline.anchor_objects import drawn_objects
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.prepare import open_run, prepare_run, read_data


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
    context = prepare_run(changed(config, "data.path", data.name), run)
    assert context.config.data.path == str(data)
    assert run.load_config() == context.config
    assert context.config.anchors.shapes == (), "what was fitted is no setting"
    assert [len(level) for level in context.grid.shapes] == [2, 2, 2]
    assert run.load_anchors() == context.grid
    assert run.load_labels() == load_dataset(data).labels
    assert [len(split) for split in context.data.splits] == [18, 3, 4]


def test_the_same_again_is_the_same(config: Config, run: RunDirectory) -> None:
    first = prepare_run(config, run)
    pretend_it_is_trained(run)
    again = prepare_run(config, run)
    assert (again.config, again.grid) == (first.config, first.grid)


@pytest.mark.parametrize(
    "key, value",
    [
        ("seed", 1),
        ("data.val_split", "test"),
        ("data.skip_invalid", True),
        ("data.train_images", 17),
        ("model.fpn_channels", 32),
        ("anchors.per_cell", 3),
        ("anchors.fit", False),
        ("anchors.kind", "square"),
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
    # Fitted shapes follow from the settings of the anchors.
    what, them = (
        ("other anchors", "settings")
        if key.startswith("anchors.")
        else (f"another {key}", "setting")
    )
    assert str(caught.value) == (
        f"{run.root}: was begun with {what}; restore the {them}, or train in another directory"
    )
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
    context = prepare_run(changed(config, key, value), run)
    assert run.load_config() == context.config


def test_begun_anchors_are_not_fitted_again(
    config: Config, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version may fit a little differently; the weights are for what is there."""
    prepare_run(config, run)
    pretend_it_is_trained(run)
    begun = run.load_anchors()
    moved = tuple(tuple((h + 1, w) for h, w in level) for level in begun.shapes)
    run.save_anchors(dataclasses.replace(begun, shapes=moved))
    assert prepare_run(config, run).grid.shapes == moved
    with pytest.raises(RunError, match="was begun with other anchors"):
        prepare_run(changed(config, "anchors.evolve", 1), run)


def test_anchors_are_fitted_to_objects_as_training_draws_them(
    config: Config, run: RunDirectory
) -> None:
    context = prepare_run(config, run)
    drawn = drawn_objects(
        context.data.train, image_hw=(64, 64), settings=config.augmentation, seed=config.seed
    )
    expected = fit_anchors(drawn, image_hw=(64, 64), levels=(3, 4, 5), per_cell=2, seed=config.seed)
    assert context.grid == expected.grid


def test_until_something_is_trained_everything_may_change(
    config: Config, run: RunDirectory
) -> None:
    prepare_run(config, run)
    context = prepare_run(changed(config, "model.image_hw", (96, 96)), run)
    assert run.load_config() == context.config
    assert run.load_anchors().image_hw == (96, 96)


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
        f"{run.root}: images or labels in {data} have changed since it was begun; "
        "restore the data, or train in another directory"
    )


def test_other_pixels_under_the_same_labels_are_refused(
    config: Config, run: RunDirectory, data: Path
) -> None:
    """An image was replaced by another one of the same size."""
    prepare_run(config, run)
    pretend_it_is_trained(run)
    image, other = (data / "images" / "train" / f"00000{i}.jpg" for i in (1, 2))
    image.write_bytes(other.read_bytes())
    with pytest.raises(RunError, match=f"images or labels in {data} have changed"):
        prepare_run(config, run)


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
    context = prepare_run(changed(config, "data.skip_invalid", True), run)
    assert len(context.data.train) == 17


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
        open_run(run, overrides=[])
    pretend_it_is_trained(run)
    assert open_run(run, overrides=["export.nms_iou=0.6"]).config.export.nms_iou == 0.6
    with pytest.raises(RunError, match=r"was begun with another model\.image_hw"):
        open_run(run, overrides=["model.image_size=96"])


def test_a_run_made_before_there_were_anchor_files(config: Config, run: RunDirectory) -> None:
    grid = prepare_run(config, run).grid
    pretend_it_is_trained(run)
    run.anchors_file.unlink()
    run.save_config(changed(config, "anchors.shapes", grid.shapes))
    assert prepare_run(config, run).grid == grid


def test_relative_paths_of_overrides_survive_the_saved_config(
    data: Path, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were saved as given, and read back relative to the RUN."""
    monkeypatch.chdir(data.parent)
    write_text(data.parent / "weights.h5", "")
    write_text(data.parent / "recipe.toml", 'weights = "per-tensor"\n')
    overrides = [
        "data.path=data",
        "model.pretrained=weights.h5",
        "quantize.recipe=recipe.toml",
        "model.image_size=64",
        "model.max_level=5",
    ]
    prepare_run(load_config(overrides=overrides), run)
    pretend_it_is_trained(run)
    prepare_run(load_config(overrides=overrides), run)  # resuming is no other setting
    monkeypatch.chdir(run.root)
    context = open_run(run, overrides=[])
    assert context.config.model.pretrained == str(data.parent / "weights.h5")
    assert context.recipe.weights == "per-tensor"


def test_a_dynamic_recipe_with_qat_is_refused_before_the_training(
    config: Config, run: RunDirectory
) -> None:
    config = changed(config, "quantize.recipe", "dynamic_range")
    with pytest.raises(ConfigError, match="no activation ranges to train with; use --method ptq"):
        prepare_run(config, run)
    assert not run.root.exists()
    prepare_run(changed(config, "quantize.method", "ptq"), run)


def test_a_training_on_fewer_images(
    config: Config, run: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    """The anchors are fitted to them alone, and no other split is touched."""
    some = changed(config, "data.train_images", 5)
    context = prepare_run(some, run)
    assert [len(split) for split in context.data.splits] == [5, 3, 4]
    everything = prepare_run(config, RunDirectory(run.root.with_name("all")))
    assert set(map(id_of, context.data.train)) < set(map(id_of, everything.data.train))
    assert context.grid != everything.grid
    assert context.data.fingerprint != everything.data.fingerprint
    assert not any("train_images" in message for message in caplog.messages)
    assert len(read_data(changed(config, "data.train_images", 19)).train) == 18
    assert caplog.messages[-1] == (
        "data.train_images is 19, but split 'train' has only 18 images; all are used"
    )


def id_of(example: Example) -> str:
    return example.image_id


def test_a_run_may_move_to_shards_but_not_to_damaged_ones(
    config: Config, run: RunDirectory, data: Path, tmp_path: Path
) -> None:
    fingerprint = prepare_run(config, run).data.fingerprint
    shards = tmp_path / "shards"
    write_dataset(load_dataset(data), shards, layout="tfrecord")
    moved = changed(config, "data.path", str(shards))
    assert prepare_run(moved, run).data.fingerprint == fingerprint
    path = shards / "train-00000-of-00001.tfrecord"
    content = bytearray(path.read_bytes())
    content[content.index(b"image/filename")] ^= 1  # a feature that nothing looks for any more
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="record 1 at byte 0: its data don't fit their checksum"):
        prepare_run(moved, run)


@pytest.mark.parametrize("field", ["val_split", "test_split"])
def test_a_split_that_a_run_can_do_without(config: Config, run: RunDirectory, field: str) -> None:
    data = dataclasses.replace(config.data, **{field: "valdation"})
    with pytest.raises(DatasetError) as error:
        prepare_run(config.replace(data=data), run)
    assert "no split 'valdation'; " in str(error.value)
    assert str(error.value).endswith(
        f'name another with data.{field}, or set data.{field} = "" to do without one'
    )
