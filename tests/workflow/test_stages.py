"""Which stages are done and which are skipped; the stages themselves are stand-ins here."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
import tomli_w

from edge_retina.config import Config, load_config
from edge_retina.errors import ConfigError, RunError
from edge_retina.files import write_json, write_text
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.manifest import Manifest
from edge_retina.workflow import stages
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.exporting import ExportRequest
from edge_retina.workflow.prepare import open_run, prepare_run
from edge_retina.workflow.run_lock import lock_run
from edge_retina.workflow.stages import STAGES, run_all, train_run

QUANTIZED = ["quantize-ptq", "quantize-qat"]
EXPORTED = ["export", "export-ptq"]
MEASURED = ["evaluate", "benchmark", "report"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in its order.

    Each stand-in leaves the files of its stage; their content follows from the files it reads and
    the settings, as that of the real ones does.
    """
    done: list[str] = []

    class Trainer:
        def __init__(self, config: Config, *, run: RunDirectory, **_: Any) -> None:
            self.run, self.config = run, config

        def fit(self) -> dict[str, Any]:
            done.append("train")
            write_text(self.run.float_weights, f"weights {self.config.seed}")
            return {"steps": 1}

    def quantize_run(run: RunDirectory, config: Config, *, method: str, **_: Any) -> Any:
        done.append(f"quantize-{method}")
        directory = run.quantized_dir(method)
        settings = (config.quantize.steps if method == "qat" else 0, config.quantize.ranges)
        write_text(
            directory / "weights.npz", f"{method} {settings} {run.float_weights.read_text()}"
        )
        write_json(directory / "quantization.json", {})
        return SimpleNamespace(method=method, steps=0)

    def export_files(context: RunContext, request: ExportRequest) -> Manifest:
        done.append("export-ptq" if request.out == context.ptq_export_dir else "export")
        method = request.method or context.config.quantize.method
        weights = (context.run.quantized_dir(method) / "weights.npz").read_text()
        for precision in request.precisions:
            name = f"{context.config.name}_{precision}.tflite"
            write_text(request.out / name, f"{weights} {context.config.export}")
        write_text(request.out / "labels.txt", "a\n")
        write_json(request.out / "manifest.json", {"metrics": {}, "files": {}})
        return cast(Manifest, SimpleNamespace(files={}))

    def evaluate_run(context: RunContext) -> dict[str, Any]:
        done.append("evaluate")
        files = [str(path) for path in stages.measured_files(context).values()]
        write_json(context.run.results_file("evaluate"), [files, context.measured_split[0]])
        manifest = context.run.export_dir / "manifest.json"
        write_json(manifest, {**json.loads(manifest.read_text()), "metrics": {"a": 1}})
        return {}

    def benchmark_run(context: RunContext) -> None:
        done.append("benchmark")
        write_json(context.run.results_file("benchmark"), {"at": len(done)})

    def write_run_report(context: RunContext, **_: Any) -> None:
        done.append("report")
        write_text(context.run.report_file, "<html>")

    stand_ins = {
        "edge_retina.model.predictor": {"load_float_model": lambda _run: None},
        "edge_retina.training.trainer": {"Trainer": Trainer},
        "edge_retina.quantization.quantize": {
            "quantize_run": quantize_run,
            "check_quantization": lambda _config, grid, num_classes: None,
        },
    }
    for name, members in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    diagnosis = SimpleNamespace(layers=(), to_dict=dict)
    monkeypatch.setattr(stages, "export_files", export_files)
    monkeypatch.setattr(stages, "evaluate_run", evaluate_run)
    monkeypatch.setattr(stages, "benchmark_run", benchmark_run)
    monkeypatch.setattr(stages, "examine_quantization", lambda *_, **__: diagnosis)
    monkeypatch.setattr(stages, "write_run_report", write_run_report)
    return done


def with_fields(config: Config, section: str, **fields: Any) -> Config:
    return config.replace(**{section: dataclasses.replace(getattr(config, section), **fields)})


def test_all_stages_in_their_order(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    assert done == ["train", *QUANTIZED, *EXPORTED, *MEASURED] == list(STAGES.names)


def test_ptq_alone(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(with_fields(config, "quantize", method="ptq"), run)
    assert done == ["train", "quantize-ptq", "export", *MEASURED]


def test_a_second_run_does_nothing(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    done.clear()
    run_all(config, run)
    assert done == []


@pytest.mark.parametrize("command", [run_all, train_run])
def test_a_run_that_another_process_writes_is_left_alone(
    config: Config,
    run: RunDirectory,
    done: list[str],
    command: Callable[[Config, RunDirectory], RunContext],
) -> None:
    with lock_run(run), pytest.raises(RunError, match=f"process {os.getpid()} on .* writes this"):
        command(config, run)
    assert done == []
    assert list(run.root.iterdir()) == []


@pytest.mark.parametrize("stage", STAGES.names)
def test_without_its_marker_a_stage_is_done_again(
    config: Config, run: RunDirectory, done: list[str], stage: str
) -> None:
    """What reads its result is not: the result is the same as before (a timing never is)."""
    run_all(config, run)
    done.clear()
    run.marker(stage).unlink()
    run_all(config, run)
    assert done == (["benchmark", "report"] if stage == "benchmark" else [stage])


@pytest.mark.parametrize(
    "file, stage",
    [
        ("float/best.h5", "train"),
        ("ptq/weights.npz", "quantize-ptq"),
        ("qat/quantization.json", "quantize-qat"),
        ("export/detector_int8.tflite", "export"),
        ("export/detector_float32.tflite", "export"),
        ("export/manifest.json", "export"),
        ("ptq/export/detector_int8.tflite", "export-ptq"),
        ("results/evaluate.json", "evaluate"),
        ("report.html", "report"),
    ],
)
@pytest.mark.parametrize("damage", ["delete", "replace"])
def test_missing_and_damaged_files_are_made_again(
    config: Config,
    run: RunDirectory,
    done: list[str],
    file: str,
    stage: str,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run_all(config, run)
    done.clear()
    path = run.root / file
    before = path.read_text()
    path.unlink() if damage == "delete" else path.write_text(before[1:])
    run_all(config, run)
    assert done[0] == stage
    assert f"{stage}: {file} is missing or was changed" in caplog.text
    assert set(done) <= {stage, "evaluate"}, "an export that is made again loses its metrics"


@pytest.mark.parametrize(
    "section, change, expected",
    [
        # Class-logit ranges end at the threshold.
        ("export", {"score_threshold": 0.1}, [*QUANTIZED, *EXPORTED, *MEASURED]),
        # QAT chooses its state by the validation mAP, which depends on NMS. PTQ does not.
        ("export", {"nms_iou": 0.6}, ["quantize-qat", *EXPORTED, *MEASURED]),
        ("quantize", {"steps": 7}, ["quantize-qat", "export", "evaluate", "benchmark", "report"]),
        ("quantize", {"ranges": "mse"}, [*QUANTIZED, *EXPORTED, *MEASURED]),
        ("quantize", {"engine": "own"}, []),
        ("metadata", {"author": "me"}, EXPORTED),
        ("data", {"test_split": "val"}, MEASURED),
        ("data", {"cache_mb": 1}, []),
        ("train", {"checkpoint_minutes": 1.0}, []),
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
    run_all(with_fields(config, section, **change), run)
    assert [stage for stage in done if stage in expected] == expected
    # Stand-ins write the same results for other settings now and then; nothing else may be done.
    assert done == expected


def test_another_name_is_another_export(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    done.clear()
    run_all(config.replace(name="other"), run)
    assert done == [*EXPORTED, *MEASURED]


def test_redoing_ptq_leaves_qat_alone(config: Config, run: RunDirectory, done: list[str]) -> None:
    run_all(config, run)
    qat = run.details("quantize-qat")
    done.clear()
    STAGES.redo("quantize-ptq", open_run(run, overrides=["quantize.ranges=mse"]))
    assert done == ["quantize-ptq"]
    assert run.details("quantize-qat") == qat
    done.clear()
    run_all(config, run)  # with its own ranges again
    assert done == ["quantize-ptq"]


def test_a_stage_that_was_redone_with_other_settings_is_made_anew_by_run(
    config: Config, run: RunDirectory, done: list[str]
) -> None:
    run_all(config, run)
    context = open_run(run, overrides=["quantize.steps=9"])
    STAGES.redo("quantize-qat", context)
    STAGES.redo("export", context)
    done.clear()
    run_all(config, run)
    assert done == ["quantize-qat", "export"], "the measured file is the same as before"


def test_a_stage_without_what_it_needs_names_the_command(
    config: Config, run: RunDirectory, done: list[str]
) -> None:
    context = prepare_run(config, run)
    with pytest.raises(RunError, match=r"float/best\.h5 is missing; run 'edge-retina train' first"):
        STAGES.redo("quantize-qat", context)
    STAGES.complete(context, ["train"])
    with pytest.raises(RunError, match=r"qat/weights.npz is missing; run 'edge-retina quant"):
        STAGES.redo("export", context)
    assert done == ["train"]


def test_a_stage_that_fails_is_not_done(
    config: Config, run: RunDirectory, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(config, run)
    with monkeypatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no space left")

        patch.setattr(stages, "export_files", fail)
        run.marker("export").unlink()
        with pytest.raises(RuntimeError, match="no space left"):
            run_all(config, run)
    assert not run.marker("export").exists()
    done.clear()
    run_all(config, run)
    assert done == ["export"]


@pytest.mark.parametrize("recipe", ["dynamic_range", ""])
def test_a_recipe_with_nothing_to_compare_finishes(
    config: Config,
    run: RunDirectory,
    done: list[str],
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
) -> None:
    """Such a run used to end in an error in its last stage."""
    diagnosis = None if recipe else SimpleNamespace(layers=(), to_dict=dict)
    monkeypatch.setattr(stages, "examine_quantization", lambda *_, **__: diagnosis)
    run_all(with_fields(config, "quantize", method="ptq", recipe=recipe), run)
    assert done[-1] == "report"
    assert run.results_file("quantization").exists() == (recipe == "")


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
    assert done == QUANTIZED


def test_a_bad_recipe_stops_before_anything_is_done(
    config: Config, run: RunDirectory, done: list[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    write_text(recipe, 'weight = "per-tensor"\n')
    config = with_recipe(config, recipe)
    with pytest.raises(ConfigError, match="unknown key 'weight'; did you mean 'weights'"):
        run_all(config, run)
    assert done == []


@pytest.mark.parametrize(
    "change, warned", [("scale=[0.1, 0.2]", ["augmentation.scale"]), ("level=none", [])]
)
def test_a_training_starts_with_what_its_augmentation_overdoes(
    config: Config,
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    change: str,
    warned: list[str],
) -> None:
    quantize, trainer = ModuleType("quantize"), ModuleType("trainer")
    quantize.check_quantization = lambda *_, **__: None  # type: ignore[attr-defined]
    trainer.Trainer = lambda *_, **__: SimpleNamespace(fit=dict)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "edge_retina.quantization.quantize", quantize)
    monkeypatch.setitem(sys.modules, "edge_retina.training.trainer", trainer)
    path = run.root.parent / "c.toml"
    tree = config.to_dict()
    del tree["augmentation"]
    write_text(path, tomli_w.dumps(tree))
    context = prepare_run(load_config(path, overrides=[f"augmentation.{change}"]), run)
    assert stages._train(context) == {}
    lines = [r.getMessage() for r in caplog.records if "augmentation" in r.getMessage()]
    assert [line.partition(":")[0] for line in lines][:1] == warned
