"""The accuracy and the speed of every variant of a run's model, each measured once."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

from edge_retina.benchmark.accuracy import LabelledData
from edge_retina.benchmark.backends import KERAS, XNNPACK, open_model
from edge_retina.benchmark.candidate import run_candidates, tflite_candidates
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.errors import RunError
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.evaluation.record import evaluation_record, recorded_metrics
from edge_retina.files import load_json, write_json
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Predictor
from edge_retina.runtime.manifest import load_manifest
from edge_retina.workflow.context import RunContext

log = logging.getLogger(__name__)

_TIMED_IMAGES = 8
_ROUNDS = 3  # of the benchmark; a report needs no narrower interval


def measured_files(context: RunContext) -> dict[str, Path]:
    """Return every variant of the model by its title: the file that holds its weights."""
    files = {"float Keras": context.run.float_weights, "float TFLite": context.exported("float32")}
    method = context.config.quantize.method
    if method != "ptq":
        files["int8 PTQ"] = context.ptq_export_dir / f"{context.config.name}_int8.tflite"
    files[f"int8 {method.upper()}"] = context.exported("int8")
    return files


def evaluate_run(context: RunContext) -> dict[str, Any]:
    """Measure every variant on the measured split; write the results and the manifest's metrics.

    Returns:
        The JSON document of each variant by its title.
    """
    split, examples = context.measured_split
    records = {}
    for title, path in measured_files(context).items():
        backend = KERAS if path == context.run.float_weights else XNNPACK
        predictor = _float_predictor(context) if backend == KERAS else open_model(path, backend)
        metrics, _ = evaluate(predictor, examples, labels=context.labels)
        records[title] = evaluation_record(
            metrics,
            model_file=path,
            backend=backend,
            data_path=Path(context.config.data.path),
            split=split,
            examples=examples,
        )
        log.info("%s: mAP %.3f, mAP50 %.3f", title, metrics.mAP, metrics.mAP50)
    write_json(context.run.results_file("evaluate"), records)
    _put_metrics_into_manifest(context.run.export_dir, records)
    return records


def benchmark_run(context: RunContext) -> None:
    """Measure the latency of every backend in fresh processes and write the results.

    The accuracy of what `evaluate_run` measured is taken from its results.
    """
    _, examples = context.measured_split
    candidates = run_candidates(
        context.run.root,
        file=context.run.float_weights,
        family=context.config.name,
        threads=(1,),
    )
    for precision in ("float32", "int8"):
        candidates += tflite_candidates(context.exported(precision), threads=(1, 2))
    report = run_benchmark(
        candidates,
        runner=LocalRunner(),
        images=[example.path for example in examples[:_TIMED_IMAGES]],
        plan=TimingPlan(rounds=_ROUNDS),
        data=LabelledData(examples, context.labels),
        known_metrics=recorded_metrics(load_results(context.run, "evaluate").values(), examples),
    )
    write_json(context.run.results_file("benchmark"), report.to_dict())


def load_results(run: RunDirectory, stage: str) -> dict[str, Any]:
    """Return the JSON that a stage left, `evaluate` or `benchmark`."""
    path = run.require(run.results_file(stage), "run")
    try:
        results = load_json(path)
    except ValueError as error:
        raise RunError(f"{path}: damaged ({error}); delete it and run again") from None
    if not isinstance(results, dict):
        raise RunError(f"{path}: damaged (not an object); delete it and run again")
    return results


def _float_predictor(context: RunContext) -> Predictor:
    from edge_retina.model.predictor import KerasPredictor

    predictor: Predictor = KerasPredictor(
        context.float_model,
        anchors=context.grid,
        labels=context.labels,
        export=context.config.export,
    )
    return predictor


def _put_metrics_into_manifest(export: Path, records: dict[str, Any]) -> None:
    metrics = {
        Path(record["model"]["path"]).name: {
            "mAP": record["mAP"],
            "mAP50": record["mAP50"],
            "images": record["images"],
            "split": record["data"]["split"],
            "data_sha256": record["data"]["sha256"],
        }
        for record in records.values()
        if Path(record["model"]["path"]).parent == export
    }
    dataclasses.replace(load_manifest(export), metrics=metrics).save(export)
