"""benchmarks/warm_start.toml, and the order in which benchmarks/warm_start.py trains."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_retina.config import load_config, read_toml
from edge_retina.files import write_text
from edge_retina.run_directory import RunDirectory

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PLAN = read_toml(BENCHMARKS / "warm_start.toml")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("warm_start")


def test_variants_differ_by_their_start_only(study: Any) -> None:
    keys = {cell.key for cell in study.cells(PLAN)}
    starts: dict[tuple[str, str, int], set[str]] = {}
    for cell in study.cells(PLAN):
        config = load_config(
            BENCHMARKS / "configs" / f"{cell.set_name}.toml",
            overrides=study.settings_of(cell, PLAN),
        )
        assert (config.data.train_split, config.data.val_split) == ("train", "val")
        if cell.study == "source":
            continue
        assert config.data.train_images == 50
        start = study.start_of(cell, PLAN)
        assert start in keys | {""}
        starts.setdefault((cell.study, cell.set_name, cell.seed), set()).add(start)
        assert study.variant_of(cell, PLAN)["set"] == []
    assert {name for _, name, _ in starts} == {"bccd", "chess"}
    assert all(found == {"", "source/imagenet/vehicles5/0"} for found in starts.values())
    assert len(starts) == 2 * 2 * 3


def test_the_source_is_trained_first_and_once(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where only its result is known, on another machine."""
    results, runs, trained = tmp_path / "results.json", tmp_path / "runs", []

    def train_cell(cell: Any, settings: list[str], run: Path) -> dict[str, Any]:
        init = [text for text in settings if text.startswith("train.init=")]
        trained.append((cell.key, init))
        if cell.key != interrupted:
            write_text(RunDirectory(run).marker("train"), '{"outputs": {}}')
        return {"steps": 1, "mAP": 0.5, "mAP50": 0.7}

    monkeypatch.setattr(study._SCRIPT, "results_file", results)
    monkeypatch.setattr(study, "train_cell", train_cell)
    arguments = ["train", "source", "steps_300", "--runs", str(runs), "--seeds", "0"]

    source = interrupted = "source/imagenet/vehicles5/0"
    done = CliRunner().invoke(study.main, arguments, catch_exceptions=False)
    left_out = f"steps_300/vehicles5/bccd/0 left out: {runs / source} is not trained yet"
    assert left_out in done.output.splitlines()
    from_imagenet = [f"steps_300/imagenet/{name}/0" for name in ("bccd", "chess")]
    assert trained == [(key, []) for key in (source, *from_imagenet)]

    trained.clear()
    interrupted = ""
    CliRunner().invoke(study.main, arguments, catch_exceptions=False)
    from_source = [f"steps_300/vehicles5/{name}/0" for name in ("bccd", "chess")]
    init = [f'train.init="{runs / source}"']
    assert trained == [(source, []), *((key, init) for key in from_source)]
    assert set(json.loads(results.read_text())["results"]) == {
        source,
        *from_imagenet,
        *from_source,
    }

    trained.clear()
    CliRunner().invoke(study.main, arguments, catch_exceptions=False)
    assert trained == []
