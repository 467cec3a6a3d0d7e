"""Keyword arguments as config overrides, and errors in the words of Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import edge_retina as er
from edge_retina.api.settings import overrides_of, python_errors
from edge_retina.config import load_config


def test_settings_become_fields_of_the_config() -> None:
    settings: dict[str, Any] = {
        "seed": 3,
        "name": "cells = 1",
        "model": {"image_hw": (128, 192), "pretrained": "none"},
        "train.learning_rate": 1e-3,
        "data": {"path": Path("/tmp/a b"), "skip_invalid": True},
    }
    config = load_config(overrides=overrides_of(settings))
    assert (config.seed, config.name, config.model.image_hw) == (3, "cells = 1", (128, 192))
    assert (config.model.pretrained, config.train.learning_rate) == ("none", 1e-3)
    assert (config.data.path, config.data.skip_invalid) == ("/tmp/a b", True)


@pytest.mark.parametrize("value", [None, object(), [1, None], {1}])
def test_values_that_no_field_has(value: Any) -> None:
    with pytest.raises(er.ConfigError, match=r"settings: train\.epochs is .* expected true or"):
        overrides_of({"train": {"epochs": value}})


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"train": {"epochs": -1}}, r"settings: train\.epochs must be 0 or more, got -1"),
        ({"trin": {"epochs": 1}}, "settings: unknown key 'trin'; did you mean 'train'"),
        ({"train": 3}, "settings: 'train' must be a section, got 3"),
    ],
)
def test_errors_name_settings(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(er.ConfigError, match=message):
        er.train(tmp_path, out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_a_missing_extra_is_named_and_other_imports_are_left_alone() -> None:
    with pytest.raises(er.EdgeRetinaError) as caught, python_errors("training"):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    assert str(caught.value) == (
        'training needs the training extra: pip install "edge-retina[train]"'
    )
    with pytest.raises(ModuleNotFoundError, match="sklearn"), python_errors("training"):
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    dataset = er.Dataset("x", tmp_path, ("a",), {}, "voc")
    with pytest.raises(er.ConfigError, match=r"got a Dataset, expected its path; write it with"):
        er.train(dataset, out=tmp_path / "run")  # type: ignore[arg-type]
    with pytest.raises(er.ConfigError, match="seed can't be given with a Config"):
        er.train(er.Config(), out=tmp_path / "run", seed=1)
    with pytest.raises(er.ConfigError, match=r"data\.path is empty"):
        er.train(er.Config(), out=tmp_path / "run")
