"""benchmarks/recipe.toml and the table that benchmarks/recipe.py makes of its results."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from edge_retina.config import load_config, read_toml

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PLAN = read_toml(BENCHMARKS / "recipe.toml")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("recipe")


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("ablation")


@pytest.mark.parametrize("study", PLAN["studies"])
def test_every_variant_is_a_config(study: str, recipe: Any, ablation: Any):
    """A misspelt setting would only be found hours later, when its turn comes."""
    content = PLAN["studies"][study]
    for set_name in ablation.sets_of(content, PLAN):
        for variant in content["variants"]:
            cell = recipe.Cell(study, variant["name"], set_name, seed=0)
            settings = recipe.settings_of(cell, PLAN)
            config = load_config(BENCHMARKS / "configs" / f"{set_name}.toml", overrides=settings)
            on_test = ("trainval" if set_name == "bccd" else "train", "test")
            splits = on_test if content.get("split") == "test" else ("train", "val")
            assert (config.data.train_split, config.data.val_split) == splits
            assert config.train.steps == variant.get("steps", content["steps"])
            larger = "model.image_size=384" in variant["set"]
            assert config.model.image_hw == ((384, 384) if larger else (256, 256))
            assert config.train.batch_size == 8


def test_a_table_by_hand(ablation: Any):
    study = {
        "seeds": [0, 1],
        "variants": [
            {"name": "old", "label": "before"},
            {"name": "new", "label": "after"},
            {"name": "planned", "label": "not trained yet"},
        ],
    }
    values = {"old/a/0": 0.5, "old/a/1": 0.52, "old/b/0": 0.3, "new/a/0": 0.53, "new/b/0": 0.31}
    results = {f"study/{key}": {"mAP": value} for key, value in values.items()}
    plan = {"sets": {"a": {}, "b": {}}}
    lines = ablation.study_table("study", study, plan, results).splitlines()
    assert lines[0] == "|  | a | b | points gained |"
    assert lines[2] == "| before | 0.510 ± 0.014 | 0.300 |  |"
    assert lines[3] == "| after | 0.530 | 0.310 | +2.0 (2) |"  # pairs of 3 and 1 points
    assert len(lines) == 4
    lines = ablation.study_table("study", {**study, "by_set": True}, plan, results).splitlines()
    assert lines[4:] == ["| *points gained* | +3.0 (1) | +1.0 (1) |  |"]


def test_what_int8_keeps(recipe: Any):
    study = {"seeds": [0, 1], "variants": [{"name": "new", "label": "after"}]}
    figures = {"float32": 0.5, "ptq": 0.495, "qat": 0.5}
    results = {"study/new/a/1": {"mAP": 0.5, "int8": figures}, "study/new/a/0": {"mAP": 0.5}}
    _, table = recipe._int8_tables("study", study, {"sets": {"a": {}}}, results)
    assert table.splitlines()[2:] == ["| a | 1 | 0.500 | 0.495 (99.0%) | 0.500 (100.0%) |"]


@pytest.mark.parametrize(
    "pairs, text",
    [
        ([], ""),
        ([1.25], "+1.2 (1)"),
        ([-1.0, 0.5], "-0.2 (2)"),
        # mean 2, deviation 1, over the root of 3 times t(2) = 4.30
        ([1.0, 2.0, 3.0], "+2.0 ± 2.5 (3)"),
        # mean 2, deviation sqrt(2 / 3), over 2 times t(3) = 3.18
        ([1.0, 2.0, 2.0, 3.0], "+2.0 ± 1.3 (4)"),
    ],
)
def test_intervals(ablation: Any, pairs: list[float], text: str):
    assert ablation.interval(pairs) == text


def test_one_process_has_a_cell(ablation: Any, tmp_path: Path):
    lock = tmp_path / "runs" / "cell.lock"
    with ablation.claim(lock) as first, ablation.claim(lock) as second:
        assert (first, second) == (True, False)
    with ablation.claim(lock) as again:
        assert again
