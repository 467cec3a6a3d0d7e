from __future__ import annotations

from pathlib import Path

import pytest

from edge_retina.config import Config, load_config
from edge_retina.doctor.advice import Advice
from edge_retina.doctor.data.advice.config_file import config_file
from edge_retina.doctor.data.examine import examine
from edge_retina.workflow.anchors import resolve_anchors
from edge_retina.workflow.prepare import check_data, read_data
from tests.doctor.made import BOX, VocSet, encode, photo


def test_advice_goes_over_what_was_given_and_that_over_the_defaults(tmp_path: Path) -> None:
    given = load_config(
        overrides=["seed=3", "train.steps=100", "train.optimizer=sgd", "model.max_level=6"]
    )
    advice = (Advice("train.steps", 4000, "more is better"), Advice("anchors.per_cell", 5, "knee"))
    text = config_file(advice, given, data_path="../cells")
    path = tmp_path / "advice.toml"
    path.write_text(text)
    config = load_config(path)
    assert config.seed == 3
    assert config.data.path == str(tmp_path.parent / "cells")
    assert (config.train.steps, config.train.optimizer) == (4000, "sgd")
    assert (config.model.max_level, config.anchors.per_cell) == (6, 5)
    assert "# more is better\nsteps = 4000\n" in text
    assert "batch_size" not in text, "defaults are not repeated"


def test_given_shapes_are_not_kept_because_levels_may_change() -> None:
    given = load_config(
        overrides=[
            *("model.min_level=3", "model.max_level=4"),
            "anchors.shapes=[[[8.0, 8.0]], [[16.0, 16.0]]]",
        ]
    )
    assert "shapes" not in config_file((), given, data_path="data")


def _only_a_training_split(voc: VocSet) -> None:
    voc.add_sound(3)
    voc.add("flawed.jpg", BOX, ("cat", 20, 30, 20, 70))


def _a_picture_cut_off(voc: VocSet) -> None:
    cut = encode(photo(9))
    voc.add("cut.jpg", BOX, data=cut[: len(cut) * 2 // 3])
    for number, split in enumerate(("train", "val", "test")):
        voc.add_sound(2, split=split, first=2 * number)


def _splits_of_other_names(voc: VocSet) -> None:
    voc.add_sound(3, split="photos")
    voc.add_sound(2, split="val", first=3)


@pytest.mark.parametrize(
    "build", [_only_a_training_split, _a_picture_cut_off, _splits_of_other_names]
)
@pytest.mark.parametrize("image_hw", [(96, 96), (64, 128)])
def test_the_file_is_enough_to_start_a_training(
    tmp_path: Path, build: object, image_hw: tuple[int, int]
) -> None:
    voc = VocSet(tmp_path / "data")
    build(voc)
    config = load_config(overrides=["model.max_level=5"])
    diagnosis = examine(voc.root, image_hw=image_hw, config=config)
    path = tmp_path / "advice.toml"
    path.write_text(config_file(diagnosis.advice, diagnosis.survey.config, data_path="data"))
    written = load_config(path)
    for item in diagnosis.advice:
        section, _, name = item.key.partition(".")
        assert written.to_dict()[section][name] == item.value
    data = check_data(read_data(written), skip_invalid=written.data.skip_invalid)
    assert len(data.train) >= 2
    grid = resolve_anchors(written, data.train)
    assert grid.levels == written.model.levels
    assert written != Config()
