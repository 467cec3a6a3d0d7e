"""The stages of a run, as a table; `run`, `train`, `quantize` and `export` all go through it.

What needs TensorFlow is imported in the stage that uses it, so that mistakes in the config and the
data are reported before those seconds have passed, and a finished run doesn't spend them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edge_retina.cluster import cluster_of
from edge_retina.config import Config
from edge_retina.files import sha256_json, write_json
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.exporting import ExportRequest, export_files
from edge_retina.workflow.measuring import benchmark_run, evaluate_run, measured_files
from edge_retina.workflow.microscope import examine_quantization
from edge_retina.workflow.prepare import FREE_FIELDS, prepare_run
from edge_retina.workflow.report import write_run_report
from edge_retina.workflow.run_lock import lock_run
from edge_retina.workflow.stage import Stage, StageGraph

log = logging.getLogger(__name__)

_MICROSCOPE_IMAGES = 4
_TRAINED_BY = ("seed", "model", "matching", "augmentation", "loss", "train")
# What calibration alone depends on; the other fields of `quantize` are QAT's.
_CALIBRATED_BY = (
    "recipe",
    "calibration_images",
    "calibration_selection",
    "calibration_set",
    "ranges",
    "percentile",
    "relu",
    "equalize",
    "correct_bias",
)

# The stage says the method. Both engines give the same numbers, so nothing is done again for
# another one, nor for RUNs of versions that had no choice.
_NO_MATTER_TO_QAT = ("method", "engine")


def _train_inputs(context: RunContext) -> Any:
    tree = context.config.to_dict()
    sections = {key: tree[key] for key in _TRAINED_BY}
    # None of these changes the weights; `prepare` lets them change after a training was begun.
    for name in ("augmentation", "train"):
        sections[name] = {
            key: value for key, value in tree[name].items() if f"{name}.{key}" not in FREE_FIELDS
        }
    inputs = [context.data.fingerprint, sections, context.grid.shapes]
    if context.teacher_sha256:
        inputs.append(context.teacher_sha256)
    else:
        del sections["train"]["teacher_weight"]  # of nothing
    if context.init_sha256:
        inputs.append({"init": context.init_sha256})
    return inputs


def _train(context: RunContext) -> dict[str, Any]:
    from edge_retina.input_pipeline.augmentation_effect import examine_augmentation
    from edge_retina.quantization.quantize import check_quantization
    from edge_retina.training.distribution import open_distribution
    from edge_retina.training.trainer import Trainer

    config = context.config
    distribution = open_distribution(config.train)  # before TensorFlow computes anything
    distribution.require_same(sha256_json(_train_inputs(context)), what="settings or data")
    # A recipe that doesn't fit, or an engine that is missing, is told before an hour of training.
    check_quantization(context.config, grid=context.grid, num_classes=len(context.labels))
    _, warnings = examine_augmentation(
        context.data.train, context.grid, config.augmentation, seed=config.seed
    )
    for line in warnings:
        log.warning("%s", line)
    trainer = Trainer(
        config,
        grid=context.grid,
        labels=context.labels,
        train=context.data.train,
        val=context.data.val,
        run=context.run,
        distribution=distribution,
    )
    others = {"teacher": context.teacher_sha256, "init": context.init_sha256}
    return {**trainer.fit(), **{name: value for name, value in others.items() if value}}


def _quantize_inputs(method: str) -> Callable[[RunContext], Any]:
    def inputs(context: RunContext) -> Any:
        tree = context.config.to_dict()
        settings, export = tree["quantize"], tree["export"]
        if method == "ptq":
            settings = {key: settings[key] for key in _CALIBRATED_BY}
            export = {"score_threshold": export["score_threshold"]}  # class-logit ranges end there
        else:
            settings = {key: settings[key] for key in settings if key not in _NO_MATTER_TO_QAT}
        return [settings, export, context.recipe.to_dict(), context.calibration_sha256]

    return inputs


def _quantize(method: str) -> Callable[[RunContext], dict[str, Any]]:
    def quantize(context: RunContext) -> dict[str, Any]:
        from edge_retina.quantization.quantize import quantize_run

        record = quantize_run(
            context.run,
            context.config,
            method=method,
            train=context.data.train,
            val=context.data.val,
            trained=context.float_model,
        )
        return {"method": record.method, "steps": record.steps}

    return quantize


def _quantized(method: str) -> Callable[[RunContext], list[Path]]:
    def outputs(context: RunContext) -> list[Path]:
        directory = context.run.quantized_dir(method)
        return [directory / "weights.npz", directory / "quantization.json"]

    return outputs


def _export_inputs(context: RunContext) -> Any:
    tree = context.config.to_dict()
    return {key: tree[key] for key in ("name", "export", "metadata")}


def _export(context: RunContext) -> dict[str, Any]:
    method = context.config.quantize.method
    manifest = export_files(context, ExportRequest(context.run.export_dir, method=method))
    return {"files": {name: entry.bytes for name, entry in manifest.files.items()}}


def _export_ptq(context: RunContext) -> dict[str, Any]:
    request = ExportRequest(context.ptq_export_dir, precisions=("int8",), method="ptq")
    export_files(context, request)
    return {}


def _exported(context: RunContext) -> list[Path]:
    files = [context.exported(precision) for precision in ("float32", "int8")]
    return [*files, context.run.export_dir / "labels.txt", context.run.export_dir / "manifest.json"]


def _evaluate(context: RunContext) -> dict[str, Any]:
    records = evaluate_run(context)
    return {title: record["mAP"] for title, record in records.items()}


def _benchmark(context: RunContext) -> dict[str, Any]:
    benchmark_run(context)
    return {}


def _report(context: RunContext) -> dict[str, Any]:
    images = context.data.verification_images()[:_MICROSCOPE_IMAGES]
    diagnosis = examine_quantization(
        context, method=context.config.quantize.method, images=images, file=context.exported("int8")
    )
    if diagnosis is not None:
        write_json(context.run.results_file("quantization"), diagnosis.to_dict())
    write_run_report(context, layer_errors=() if diagnosis is None else diagnosis.layers)
    return {}


def _uses_qat(context: RunContext) -> bool:
    return context.config.quantize.method == "qat"


STAGES = StageGraph(
    [
        Stage(
            "train",
            needs=(),
            inputs=_train_inputs,
            outputs=lambda context: [context.run.float_weights],
            run=_train,
            command="train",
        ),
        # PTQ always, as it costs little and shows what QAT is worth.
        Stage(
            "quantize-ptq",
            needs=("train",),
            inputs=_quantize_inputs("ptq"),
            outputs=_quantized("ptq"),
            run=_quantize("ptq"),
            command="quantize --method ptq",
        ),
        Stage(
            "quantize-qat",
            needs=("train",),
            inputs=_quantize_inputs("qat"),
            outputs=_quantized("qat"),
            run=_quantize("qat"),
            command="quantize --method qat",
            wanted=_uses_qat,
        ),
        Stage(
            "export",
            needs=("train", "quantize-{method}"),
            inputs=_export_inputs,
            outputs=_exported,
            run=_export,
            command="export",
        ),
        Stage(
            "export-ptq",
            needs=("quantize-ptq",),
            inputs=_export_inputs,
            outputs=lambda context: [context.ptq_export_dir / f"{context.config.name}_int8.tflite"],
            run=_export_ptq,
            wanted=_uses_qat,
        ),
        Stage(
            "evaluate",
            needs=("train", "export", "export-ptq"),
            inputs=lambda context: [context.measured_sha256, list(measured_files(context))],
            outputs=lambda context: [context.run.results_file("evaluate")],
            run=_evaluate,
        ),
        Stage(
            "benchmark",
            needs=("train", "export", "evaluate"),
            inputs=lambda _context: None,
            outputs=lambda context: [context.run.results_file("benchmark")],
            run=_benchmark,
        ),
        Stage(
            "report",
            needs=("train", "quantize-{method}", "export", "evaluate", "benchmark"),
            inputs=lambda _context: None,
            outputs=lambda context: [context.run.report_file],
            run=_report,
        ),
    ]
)


def run_all(config: Config, run: RunDirectory) -> RunContext:
    """Do every stage of a run that is not done; in a cluster, all but the chief only train."""
    return _complete(config, run, None)


def train_run(config: Config, run: RunDirectory) -> RunContext:
    """Train the float model of a run, or go on with an interrupted training."""
    return _complete(config, run, ("train",))


def _complete(config: Config, run: RunDirectory, stages: Sequence[str] | None) -> RunContext:
    is_chief = cluster_of(config.train.distribution).is_chief
    with ExitStack() as held:

        def lock() -> None:
            if is_chief:  # for all of them
                held.enter_context(lock_run(run))

        context = prepare_run(config, run, before_writing=lock)
        STAGES.complete(context, stages if is_chief else ("train",))
    return context
