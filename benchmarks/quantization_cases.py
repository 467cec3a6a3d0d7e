"""What QAT is for: cases in which PTQ loses accuracy, and how much of the loss QAT wins back.

    python benchmarks/quantization_cases.py train [STUDY[/VARIANT] ...] --runs DIR [--sets bccd]
                                                  [--seeds 0,1]
    python benchmarks/quantization_cases.py int8 [STUDY[/VARIANT] ...] --runs DIR [--sets bccd]
                                                 [--seeds 0,1] [--litert-python PYTHON]
    python benchmarks/quantization_cases.py table

`train` trains the float models of `quantization_cases.toml` that have no result yet and measures
their files. `int8` quantises them in the ways of every case and measures those files. Both add to
benchmarks/results/quantization_cases.json; start them again to go on. `table` writes
benchmarks/results/quantization_cases.md.

Nothing is chosen by the pictures that are measured: trainings and QAT compare their states on the
split that data sets call test, and files are measured on the one that they call val. LiteRT
Quantizer runs in an environment of its own, whose interpreter `--litert-python` names; without it
its cells are left out.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import click
import numpy as np
from ablation import (
    HERE,
    Cell,
    Script,
    cells_options,
    chosen,
    claim_cell,
    sets_of,
    settings_of,
    train_cell,
    variant_of,
)

from edge_retina.files import write_text
from edge_retina.int8.recipe import Recipe, load_recipe
from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.prepare import open_run

_LEAST_LOSS = 0.01
_SCRIPT = Script.named("quantization_cases")
_LITERT = HERE / "litert_quantizer.py"


@click.group()
def main() -> None:
    """Train float models, quantise them in every way, or write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")


@main.command()
@cells_options
def train(names: tuple[str, ...], runs: Path, sets: str, seeds: str) -> None:
    """Train the float models that have no result yet."""
    plan, runs = _SCRIPT.plan, runs.resolve()
    for cell in chosen(plan, names, sets, seeds):
        if source_of(cell, plan):
            continue
        with claim_cell(cell, runs) as free:
            if free and cell.key not in _SCRIPT.results:
                train_cell(cell, settings_of(cell, plan), runs / cell.key)
                figures = Source(runs / cell.key, ()).measure_float()
                _SCRIPT.add(cell, figures, runs)


@main.command()
@cells_options
@click.option("--litert-python", type=click.Path(path_type=Path), help="With ai-edge-quantizer.")
def int8(
    names: tuple[str, ...], runs: Path, sets: str, seeds: str, litert_python: Path | None
) -> None:
    """Quantise and measure what was trained."""
    plan, runs = _SCRIPT.plan, runs.resolve()
    for cell in chosen(plan, names, sets, seeds):
        source = source_of(cell, plan)
        if not source or cell.key in _SCRIPT.results:
            continue
        if source not in _SCRIPT.results:
            click.echo(f"{cell.key} left out: {source} is not trained yet")
            continue
        method = variant_of(cell, plan)["method"]
        if method == "litert" and litert_python is None:
            click.echo(f"{cell.key} left out: it needs --litert-python PYTHON")
            continue
        with claim_cell(cell, runs) as free:
            if free:
                click.echo(f"{cell.key}: {' '.join(case_settings(cell, plan))}")
                prepared = Source(runs / source, case_settings(cell, plan))
                figures = prepared.measure_int8(method, litert_python=litert_python)
                _SCRIPT.add(cell, figures, runs)


@main.command()
def table() -> None:
    """Write the table from the results."""
    plan, results = _SCRIPT.plan, _SCRIPT.results
    _SCRIPT.write_table(lambda name, study: _case_tables(name, study, plan, results))


def source_of(cell: Cell, plan: dict[str, Any]) -> str:
    """Return the key of the float model that a cell quantises; "" for a float model."""
    of: str = plan["studies"][cell.study].get("of", "")
    return f"{of}/{cell.set_name}/{cell.seed}" if of else ""


def case_settings(cell: Cell, plan: dict[str, Any]) -> list[str]:
    """Return the settings of `quantize` of a cell that quantises."""
    study = plan["studies"][cell.study]
    return [
        *plan["quantize"],
        *study["set"],
        *variant_of(cell, plan)["set"],
        f"quantize.steps={study['steps']}",
    ]


@lru_cache(maxsize=1)
def open_source(run: Path) -> RunContext:
    """Return a trained float model with its data; that of the last cell is kept."""
    return open_run(RunDirectory(run), overrides=())


class Source:
    """A trained float model, with the settings of a case."""

    def __init__(self, run: Path, settings: Sequence[str]) -> None:
        self.context = open_source(run)
        self.config = self.context.run.load_config(overrides=settings)
        self.per_tensor = load_recipe(self.config.quantize.recipe).weights == "per-tensor"
        self.work = run / "files"
        self.work.mkdir(exist_ok=True)

    def measure_float(self) -> dict[str, Any]:
        """Return the figures of the float file."""
        from edge_retina.model.deploy import build_deploy_graph

        deploy = build_deploy_graph(self.context.float_model)
        return self._measure(self._write(deploy, "float32", nms=True))

    def measure_int8(self, method: str, *, litert_python: Path | None) -> dict[str, Any]:
        """Return the figures of an int8 file.

        Args:
            method: "ptq", "qat", "tfmot" or "litert".
            litert_python: the interpreter with LiteRT Quantizer.
        """
        started = time.monotonic()
        if method == "litert":
            return self._measure(self._litert_file(litert_python))
        if method == "tfmot":
            return self._measure(self._tfmot_file())
        from edge_retina.quantization.quantize import quantize_model

        quantized, record = quantize_model(
            self.context.float_model,
            self.config,
            grid=self.context.grid,
            method=method,
            train=self.context.data.train,
            val=self.context.data.val,
            labels=self.context.labels,
        )
        figures = self._measure(self._write(quantized.model, "int8", nms=True))
        seconds = round(time.monotonic() - started)
        return {**figures, "kept_step": record.best_step, "seconds": seconds}

    def _tfmot_file(self) -> Path:
        from calibration.tfmot_default import quantize_with_tfmot

        model = quantize_with_tfmot(
            self.context.float_model,
            self.config,
            self.context.data.train,
            grid=self.context.grid,
            steps=self.config.quantize.steps,
            per_tensor=self.per_tensor,
        )
        return self._write(model, "int8", nms=True, uint8_input=False)

    def _litert_file(self, python: Path | None) -> Path:
        """Have LiteRT Quantizer make an int8 file from the float one without NMS."""
        from edge_retina.quantization.quantize import choose_calibration
        from edge_retina.quantization.ranges import calibration_batches
        from edge_retina.quantization.state import deploy_graph

        context, settings = self.context, self.config.quantize
        relu = deploy_graph(context.float_model, Recipe(), relu=settings.relu)
        source = self._write(relu, "float32", nms=False)
        pictures = choose_calibration(
            settings,
            context.data.train,
            num_classes=len(context.labels),
            seed=self.config.seed,
        )
        paths = {example.image_id: example.path for example in context.data.train}
        images = calibration_batches(
            [paths[image_id] for image_id in pictures.image_ids], self.config.model.image_hw
        )
        np.save(self.work / "calibration.npy", np.concatenate(images))
        out = self.work / "raw_litert.tflite"
        command = [python, _LITERT, source, self.work / "calibration.npy", out]
        flags = ["--per-tensor"] if self.per_tensor else []
        subprocess.run([*map(str, command), *flags], check=True)
        self._describe(out, "int8", nms=False)
        return out

    def _write(
        self, model: Any, precision: str, *, nms: bool, uint8_input: bool | None = None
    ) -> Path:
        """Write a file and what decodes it."""
        from edge_retina.export.artefact import file_content

        content = file_content(
            model,
            precision,
            grid=self.context.grid,
            labels=self.context.labels,
            config=self.config,
            nms=nms,
            uint8_input=precision == "int8" if uint8_input is None else uint8_input,
        )
        path = self.work / f"{'' if nms else 'raw_'}{precision}.tflite"
        path.write_bytes(content)
        self._describe(path, precision, nms=nms)
        return path

    def _describe(self, path: Path, precision: str, *, nms: bool) -> None:
        """Write labels and the manifest, which hold for one file at a time."""
        from edge_retina.export.description import describe_export
        from edge_retina.export.plan import PlannedFile
        from edge_retina.export.targets.table import TARGETS
        from edge_retina.export.targets.target import NMS
        from edge_retina.runtime.raw_layout import FLAT

        labels = self.context.labels
        write_text(self.work / "labels.txt", "".join(f"{label}\n" for label in labels))
        describe_export(
            self.work,
            [PlannedFile(path.name, TARGETS["cpu"], NMS if nms else FLAT, precision, "float32")],
            config=self.config,
            labels=labels,
            grid=self.context.grid,
            quantization={"method": "none"},
        ).save(self.work)

    def _measure(self, path: Path) -> dict[str, Any]:
        """Return the mAP of a file, with XNNPACK, on pictures that chose nothing."""
        from edge_retina.evaluation.evaluator import evaluate
        from edge_retina.runtime.detector import TFLiteDetector

        metrics, _ = evaluate(
            TFLiteDetector(path), self.context.data.test, labels=self.context.labels
        )
        return {"mAP": metrics.mAP, "mAP50": metrics.mAP50, "bytes": path.stat().st_size}


def won_back(value: float, *, ptq: float, reference: float) -> float | None:
    """Return the share of PTQ's loss that another file doesn't have.

    None if PTQ loses less than 1 % of the float file's mAP: a share of noise means nothing.
    """
    lost = reference - ptq
    return (value - ptq) / lost if lost >= _LEAST_LOSS * reference else None


def _case_tables(
    name: str, study: dict[str, Any], plan: dict[str, Any], results: dict[str, Any]
) -> Iterator[str]:
    """Yield for each float model what the ways to quantise it keep and win back."""
    if "of" not in study:
        return
    variants = study["variants"]
    rows = []
    for set_name in sets_of(study, plan):
        for seed in study["seeds"]:
            source = results.get(f"{study['of']}/{set_name}/{seed}")
            cells = [Cell(name, v["name"], set_name, seed) for v in variants]
            found = [results.get(cell.key) for cell in cells]
            if source is None or not any(found):
                continue
            base = f"{study.get('baseline', f'{name}/ptq')}/{set_name}/{seed}"
            ptq = results[base]["mAP"] if base in results else None
            texts = [_text(figures, source["mAP"], ptq) for figures in found]
            rows.append([set_name, str(seed), f"{source['mAP']:.3f}", *texts])
    yield "mAP, its share of the float file's, and the share of PTQ's loss that is won back:\n"
    yield markdown_table(["", "seed", "float32 file", *(v["label"] for v in variants)], rows)


def _text(figures: dict[str, Any] | None, reference: float, ptq: float | None) -> str:
    if figures is None:
        return "–"
    value = figures["mAP"]
    text = f"{value:.3f} ({value / reference:.1%})"
    share = None if ptq is None else won_back(value, ptq=ptq, reference=reference)
    return text if share is None or value == ptq else f"{text}; {share:.0%}"


if __name__ == "__main__":
    main()
