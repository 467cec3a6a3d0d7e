"""Which stages are done and which are skipped; the stages themselves are stand-ins here."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from edge_retina.config import Config
from edge_retina.errors import ConfigError
from edge_retina.files import write_json, write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow import stages
from edge_retina.workflow.stages import STAGES, run_all

AFTER_TRAINING = ["quantize-ptq", "quantize-qat", "export", "evaluate", "benchmark", "report"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in its order; each stand-in leaves the files that its stage leaves."""
    done: list[str] = []

    class Trainer:
        def __init__(self, _config: Config, *, run: RunDirectory, **_: Any) -> None:
            self.run = run

        def fit(self) -> dict[str, Any]:
            done.append("train")
            write_text(self.run.float_weights, "weights")
            return {"steps": 1}

    def quantize_run(run: RunDirectory, _config: Config, *, method: str, **_: Any) -> Any:
        done.append(f"quantize-{method}")
        write_text(run.quantized_dir(method) / "weights.npz", method)
        return SimpleNamespace(method=method, steps=0)

    def export_run(_run: RunDirectory, out: Path, *, config: Config, **_: Any) -> Any:
        done.append("export")
        for precision in ("float32", "int8"):
            write_text(out / f"{config.name}_{precision}.tflite", precision)
        return SimpleNamespace(files={})

    def step(stage: str) -> Any:
        def work(workflow: stages.Workflow) -> dict[str, Any]:
            done.append(stage)
            write_json(workflow.run.results_file(stage), {})
            return {}

        return work

    def write_run_report(run: RunDirectory, _config: Config, **_: Any) -> None:
        done.append("report")
        write_text(run.report_file, "<html>")

    stand_ins = {
        "edge_retina.training.trainer": {"Trainer": Trainer},
        "edge_retina.quantization.quantize": {
            "quantize_run": quantize_run,
            "check_recipe": lambda _config, num_classes: None,
        },
        "edge_retina.export.artefact": {"export_run": export_run},
    }
    for name, members in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(stages.Workflow, "_evaluate", step("evaluate"))
    monkeypatch.setattr(stages.Workflow, "_benchmark", step("benchmark"))
    diagnosis = SimpleNamespace(layers=(), to_dict=dict)
    monkeypatch.setattr(stages, "examine_quantization", lambda *_, **__: diagnosis)
    monkeypatch.setattr(stages, "write_run_report", write_run_report)
    return done


def once(stages_done: list[str]) -> list[str]:
    """Return the stages without repeats; export makes two directories."""
    return list(dict.fromkeys(stages_done))


def test_all_stages_in_their_order(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    assert once(done) == list(STAGES)


def test_ptq_alone(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config.replace(quantize=dataclasses.replace(config.quantize, method="ptq")), run)
    assert done == ["train", "quantize-ptq", "export", "evaluate", "benchmark", "report"]


def test_a_second_run_does_nothing(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    done.clear()
    run_all(config, run)
    assert done == []


@pytest.mark.parametrize("stage", STAGES)
def test_without_its_marker_a_stage_and_what_follows_are_done_again(
    config: Config, run: RunDirectory, done: list[str], stage: str
) -> None:
    run_all(config, run)
    done.clear()
    run.marker(stage).unlink()
    run_all(config, run)
    assert once(done) == list(STAGES[STAGES.index(stage) :])


@pytest.mark.parametrize(
    "file, first",
    [
        ("float/best.h5", "train"),
        ("export/detector_int8.tflite", "export"),
        ("ptq/export/detector_int8.tflite", "export"),
        ("results/evaluate.json", "evaluate"),
        ("results/benchmark.json", "benchmark"),
        ("report.html", "report"),
    ],
)
def test_without_its_files_a_stage_is_not_done(
    config: Config, run: RunDirectory, done: list[str], file: str, first: str
) -> None:
    run_all(config, run)
    done.clear()
    (run.root / file).unlink()
    run_all(config, run)
    assert once(done) == list(STAGES[STAGES.index(first) :])


@pytest.mark.parametrize(
    "section, change, expected",
    [
        ("export", {"score_threshold": 0.1}, AFTER_TRAINING),
        ("quantize", {"steps": 7}, AFTER_TRAINING),
        ("data", {"test_split": "val"}, ["evaluate", "benchmark", "report"]),
        ("data", {"cache_mb": 1}, []),
    ],
)
def test_what_a_changed_setting_makes_be_done_again(
    config: Config,
    run: RunDirectory,
    done: list[str],
    section: str,
    change: dict[str, Any],
    expected: list[str],
) -> None:
    run_all(config, run)
    done.clear()
    run_all(
        config.replace(**{section: dataclasses.replace(getattr(config, section), **change)}), run
    )
    assert once(done) == expected


def test_another_name_is_another_export(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    done.clear()
    run_all(config.replace(name="other"), run)
    assert once(done) == ["export", "evaluate", "benchmark", "report"]


def test_a_stage_that_fails_is_not_done(
    config: Config, run: RunDirectory, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(config, run)
    with monkeypatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no space left")

        patch.setattr(sys.modules["edge_retina.export.artefact"], "export_run", fail)
        run.marker("export").unlink()
        with pytest.raises(RuntimeError, match="no space left"):
            run_all(config, run)
    left = {path.stem for path in run.marker("train").parent.iterdir()}
    assert left == {"prepare", "train", "quantize-ptq", "quantize-qat"}
    done.clear()
    run_all(config, run)
    assert once(done) == ["export", "evaluate", "benchmark", "report"]


def test_tensorflow_is_not_needed_to_find_everything_done(
    config: Config, run: RunDirectory, done: list[str]
) -> None:
    """The stand-ins above hide the modules that import it, so nothing else may."""
    import subprocess

    run_all(config, run)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from edge_retina.run_directory import RunDirectory\n"
        "from edge_retina.workflow.stages import run_all\n"
        f"run = RunDirectory(Path({str(run.root)!r}))\n"
        "run_all(run.load_config(), run)\n"
        "print('tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert result.stdout == "False\n", result.stderr


def with_recipe(config: Config, recipe: Path) -> Config:
    return config.replace(quantize=dataclasses.replace(config.quantize, recipe=str(recipe)))


def test_an_edited_recipe_is_another_recipe(
    config: Config, run: RunDirectory, done: list[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    write_text(recipe, 'weights = "per-tensor"\n')
    config = with_recipe(config, recipe)
    run_all(config, run)
    del done[:]
    write_text(recipe, 'weights = "per-channel"\n')
    run_all(config, run)
    assert once(done)[:2] == ["quantize-ptq", "quantize-qat"]


def test_a_bad_recipe_stops_before_anything_is_done(
    config: Config, run: RunDirectory, done: list[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    write_text(recipe, 'weight = "per-tensor"\n')
    config = with_recipe(config, recipe)
    with pytest.raises(ConfigError, match="unknown key 'weight'; did you mean 'weights'"):
        run_all(config, run)
    assert done == []
