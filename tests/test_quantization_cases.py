"""benchmarks/quantization_cases.toml, and what benchmarks/quantization_cases.py makes of it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_retina.config import load_config, read_toml
from edge_retina.files import write_json
from edge_retina.int8.recipe import load_recipe

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PLAN = read_toml(BENCHMARKS / "quantization_cases.toml")
SOURCE = "float/plain/bccd/0"


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    found = importlib.import_module("quantization_cases")
    monkeypatch.setattr(found._SCRIPT, "results_file", tmp_path / "results.json")
    return found


def test_no_state_is_chosen_by_the_pictures_that_are_measured(study: Any) -> None:
    from ablation import cells

    for cell in cells(PLAN):
        source = study.source_of(cell, PLAN)
        of = cell if not source else next(c for c in cells(PLAN) if c.key == source)
        settings = study.settings_of(of, PLAN)
        if source:
            settings += study.case_settings(cell, PLAN)
        config = load_config(BENCHMARKS / "configs" / f"{cell.set_name}.toml", overrides=settings)
        data = config.data
        splits = (
            ("train", "", "train") if cell.set_name == "coco_tiny" else ("train", "test", "val")
        )
        assert (data.train_split, data.val_split, data.test_split) == splits
        assert config.seed == cell.seed
        load_recipe(config.quantize.recipe)
        assert config.quantize.calibration_set == ""


def test_every_case_has_its_ptq_and_known_methods(study: Any) -> None:
    from ablation import cells

    keys = {cell.key for cell in cells(PLAN)}
    for cell in cells(PLAN):
        content = PLAN["studies"][cell.study]
        if "of" not in content:
            continue
        baseline = content.get("baseline", f"{cell.study}/ptq")
        assert f"{baseline}/{cell.set_name}/{cell.seed}" in keys
        assert study.variant_of(cell, PLAN)["method"] in {"ptq", "qat", "tfmot", "litert"}


class Source:
    """In place of a trained model: says what was asked of it."""

    asked: list[tuple[str, str]]

    def __init__(self, run: Path, settings: list[str]) -> None:
        self._run, self._settings = run, settings

    def measure_int8(self, method: str, *, litert_python: Path | None) -> dict[str, Any]:
        self.asked.append((method, self._settings[-2]))
        return {"mAP": 0.4, "mAP50": 0.6}


def test_what_is_measured_left_out_and_not_done_again(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Source.asked = []
    monkeypatch.setattr(study, "Source", Source)
    arguments = ["int8", "relu/ptq", "relu/litert", "--sets", "bccd", "--seeds", "0"]
    arguments += ["--runs", str(tmp_path / "runs")]

    def invoke(*more: str) -> list[str]:
        done = CliRunner().invoke(study.main, [*arguments, *more], catch_exceptions=False)
        return done.output.splitlines()

    assert invoke()[0] == f"relu/ptq/bccd/0 left out: {SOURCE} is not trained yet"
    write_json(study._SCRIPT.results_file, {"schema_version": 1, "results": {SOURCE: {"mAP": 0.5}}})
    assert "relu/litert/bccd/0 left out: it needs --litert-python PYTHON" in invoke()
    assert Source.asked == [("ptq", "quantize.relu=relu")]
    invoke("--litert-python", "python3")
    assert Source.asked[1:] == [("litert", "quantize.relu=relu")]
    invoke("--litert-python", "python3")
    assert len(Source.asked) == 2
    assert set(json.loads(study._SCRIPT.results_file.read_text())["results"]) == {
        SOURCE,
        "relu/ptq/bccd/0",
        "relu/litert/bccd/0",
    }


@pytest.mark.parametrize(
    "value, ptq, reference, share",
    [
        (0.45, 0.4, 0.5, 0.5),
        (0.5, 0.4, 0.5, 1.0),
        (0.3, 0.4, 0.5, -1.0),
        (0.5, 0.5, 0.5, None),  # nothing was lost
        (0.6, 0.55, 0.5, None),
        (0.6, 0.496, 0.5, None),  # less than 1 %
    ],
)
def test_the_share_that_is_won_back(
    study: Any, value: float, ptq: float, reference: float, share: float | None
) -> None:
    assert study.won_back(value, ptq=ptq, reference=reference) == (
        None if share is None else pytest.approx(share)
    )


def test_a_row_of_the_table(study: Any) -> None:
    results = {
        SOURCE: {"mAP": 0.5},
        "relu/ptq/bccd/0": {"mAP": 0.4},
        "relu/qat/bccd/0": {"mAP": 0.475},
    }
    tables = study._case_tables("relu", PLAN["studies"]["relu"], PLAN, results)
    text = "".join(tables)
    assert "| bccd | 0 | 0.500 | 0.400 (80.0%) | 0.475 (95.0%); 75% | – | – |" in text
