"""A whole run: prepare, train, quantize, export, evaluate, benchmark, report.

A stage is skipped when its marker says that it was finished with the same inputs (the config
sections it reads and everything upstream of it) and what it made is still there. A stage that is
done again makes all that follow be done again.

What needs TensorFlow is imported in the stage that uses it, so that mistakes in the config and the
data are told before those seconds have passed, and a run that is finished doesn't spend them.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_retina.benchmark.accuracy import LabelledData
from edge_retina.benchmark.backends import KERAS, XNNPACK, open_model
from edge_retina.benchmark.candidate import run_candidates, tflite_candidates
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.run import run_benchmark
from edge_retina.calibration.pinned import read_pinned
from edge_retina.config import Config
from edge_retina.datasets import Example, annotations_sha256
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.evaluation.record import evaluation_record
from edge_retina.files import write_json
from edge_retina.quantization.recipe import Recipe, load_recipe
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Predictor
from edge_retina.runtime.manifest import load_manifest
from edge_retina.workflow.microscope import examine_quantization
from edge_retina.workflow.prepare import PreparedData, prepare_run
from edge_retina.workflow.report import write_run_report

log = logging.getLogger(__name__)

STAGES = ("train", "quantize-ptq", "quantize-qat", "export", "evaluate", "benchmark", "report")
_TIMED_PICTURES = 8
_MICROSCOPE_PICTURES = 4


def forget_from(run: RunDirectory, stage: str) -> None:
    """Forget that `stage` and those that follow it were done."""
    for name in STAGES[STAGES.index(stage) :]:
        run.mark_undone(name)


class Workflow:
    """The stages of one RUN.

    Attributes:
        config: resolved, after `prepare`.
        data: the data set, after `prepare`.
    """

    def __init__(self, config: Config, run: RunDirectory) -> None:
        self.config = config
        self.run = run
        self.data: PreparedData | None = None
        self._upstream: list[Any] = []
        self._recipe = Recipe()
        self._calibration_sha256 = ""

    def prepare(self) -> PreparedData:
        """Read and check the data and fix the config; cheap, so it is done every time."""
        self._recipe = load_recipe(self.config.quantize.recipe)
        self.config, self.data = prepare_run(self.config, self.run)
        self._calibration_sha256 = self._read_calibration_set()
        self._upstream = self.data.fingerprint()
        return self.data

    def train(self) -> None:
        """Train the float model, or go on with it."""
        config, data = self.config, self._data()
        sections = ("seed", "model", "anchors", "matching", "augmentation", "loss", "train")

        def work() -> dict[str, Any]:
            from edge_retina.quantization.quantize import check_recipe
            from edge_retina.training.trainer import Trainer

            check_recipe(config, num_classes=len(data.dataset.labels))
            trainer = Trainer(
                config,
                labels=data.dataset.labels,
                train=data.train,
                val=data.val,
                run=self.run,
            )
            return trainer.fit()

        self._stage("train", work, makes=[self.run.float_weights], sections=sections)

    def quantize(self) -> None:
        """Make the int8-ready models: PTQ always, as it costs little; QAT if the config says so."""
        for method in self._methods():
            self._quantize_by(method)

    def _quantize_by(self, method: str) -> None:
        data = self._data()

        def work() -> dict[str, Any]:
            from edge_retina.quantization.quantize import quantize_run

            record = quantize_run(
                self.run, self.config, method=method, train=data.train, val=data.val
            )
            return {"method": record.method, "steps": record.steps}

        self._stage(
            f"quantize-{method}",
            work,
            makes=[self.run.quantized_dir(method)],
            sections=("quantize", "export"),
            upstream=[self._recipe.to_dict(), self._calibration_sha256],
        )

    def _read_calibration_set(self) -> str:
        """Return the hash of the pinned calibration set; "" if there is none."""
        path = self.config.quantize.calibration_set
        known = {example.image_id for example in self._data().train}
        return read_pinned(Path(path), known=known).sha256 if path else ""

    def export(self) -> None:
        """Write the artefact directory; also the PTQ model as a file, to compare with."""
        pictures = self._data().verification_pictures()
        files = [path for path in self._files().values() if path != self.run.float_weights]

        def work() -> dict[str, Any]:
            from edge_retina.export.artefact import export_run

            manifest = export_run(
                self.run, self.run.export_dir, config=self.config, pictures=pictures
            )
            if self.config.quantize.method != "ptq":
                export_run(
                    self.run,
                    self._ptq_export(),
                    config=self.config,
                    precisions=("int8",),
                    method="ptq",
                    pictures=pictures,
                )
            return {name: entry.sha256 for name, entry in manifest.files.items()}

        self._stage("export", work, makes=files, sections=("name", "export", "metadata"))

    def evaluate(self) -> None:
        """Measure every form of the model on the test split (else the validation split)."""
        self._stage(
            "evaluate",
            self._evaluate,
            makes=[self.run.results_file("evaluate")],
            upstream=annotations_sha256(self.measured_split()[1]),
        )

    def benchmark(self) -> None:
        """Measure latency of every backend in fresh processes."""
        self._stage("benchmark", self._benchmark, makes=[self.run.results_file("benchmark")])

    def report(self) -> None:
        """Write the HTML report."""

        def work() -> dict[str, Any]:
            split, examples = self.measured_split()
            pictures = self._data().verification_pictures()[:_MICROSCOPE_PICTURES]
            diagnosis = examine_quantization(
                self.run, self.config, method=self.config.quantize.method, pictures=pictures
            )
            write_json(self.run.results_file("quantization"), diagnosis.to_dict())
            write_run_report(
                self.run,
                self.config,
                evaluation=self.results("evaluate"),
                benchmark=self.results("benchmark"),
                train=self._data().train,
                examples=examples,
                split=split,
                layer_errors=diagnosis.layers,
            )
            return {}

        self._stage("report", work, makes=[self.run.report_file])

    def measured_split(self) -> tuple[str, tuple[Example, ...]]:
        """Return name and examples of the split that is measured."""
        data = self._data()
        if data.test:
            return self.config.data.test_split, data.test
        if data.val:
            return self.config.data.val_split, data.val
        return self.config.data.train_split, data.train

    def _files(self) -> dict[str, Path]:
        """Return by name every form of the model: the file that holds its weights."""
        export, name = self.run.export_dir, self.config.name
        files = {
            "float Keras": self.run.float_weights,
            "float TFLite": export / f"{name}_float32.tflite",
        }
        if self.config.quantize.method != "ptq":
            files["int8 PTQ"] = self._ptq_export() / f"{name}_int8.tflite"
        files[f"int8 {self.config.quantize.method.upper()}"] = export / f"{name}_int8.tflite"
        return files

    def _open(self, path: Path) -> Predictor:
        if path != self.run.float_weights:
            return open_model(path, XNNPACK)
        return open_model(self.run.root, KERAS)

    def _evaluate(self) -> dict[str, Any]:
        split, examples = self.measured_split()
        labels = self._data().dataset.labels
        records = {}
        for title, path in self._files().items():
            metrics, _ = evaluate(self._open(path), examples, labels=labels)
            records[title] = evaluation_record(
                metrics,
                model_file=path,
                backend=KERAS if path == self.run.float_weights else XNNPACK,
                data_path=Path(self.config.data.path),
                split=split,
                examples=examples,
            )
            log.info("%s: mAP %.3f, mAP50 %.3f", title, metrics.mAP, metrics.mAP50)
        write_json(self.run.results_file("evaluate"), records)
        self._put_metrics_into_manifest(records)
        return {title: record["mAP"] for title, record in records.items()}

    def _put_metrics_into_manifest(self, records: dict[str, Any]) -> None:
        export = self.run.export_dir
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

    def _benchmark(self) -> dict[str, Any]:
        _, examples = self.measured_split()
        export = self.run.export_dir
        candidates = run_candidates(
            self.run.root,
            file=self.run.float_weights,
            family=self.config.name,
            threads=(1,),
        )
        for precision in ("float32", "int8"):
            path = export / f"{self.config.name}_{precision}.tflite"
            candidates += tflite_candidates(path, threads=(1, 2))
        report = run_benchmark(
            candidates,
            runner=LocalRunner(),
            images=[e.path for e in examples[:_TIMED_PICTURES]],
            data=LabelledData(examples, self._data().dataset.labels),
        )
        write_json(self.run.results_file("benchmark"), report.to_dict())
        return {}

    def _stage(
        self,
        stage: str,
        work: Callable[[], dict[str, Any]],
        *,
        makes: Sequence[Path],
        sections: Sequence[str] = (),
        upstream: Any = None,
    ) -> None:
        """Do a stage unless it is done.

        Args:
            stage: one of `STAGES`.
            work: does it and returns details for its marker.
            makes: the files or directories without which it is not done.
            sections: of the config, that it reads; they are upstream of the later stages too.
            upstream: anything else that its result depends on.
        """
        tree = self.config.to_dict()
        self._upstream = [*self._upstream, {key: tree[key] for key in sections}, upstream]
        if self.run.is_done(stage, self._upstream) and all(path.exists() for path in makes):
            log.info("%s: done before", stage)
            return
        forget_from(self.run, stage)
        log.info("%s: started", stage)
        details = work()
        self.run.mark_done(stage, self._upstream, **details)

    def results(self, name: str) -> dict[str, Any]:
        """Return the JSON that a stage left, `evaluate` or `benchmark`."""
        path = self.run.require(self.run.results_file(name), "run")
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return results

    def _methods(self) -> tuple[str, ...]:
        return ("ptq",) if self.config.quantize.method == "ptq" else ("ptq", "qat")

    def _ptq_export(self) -> Path:
        return self.run.quantized_dir("ptq") / "export"

    def _data(self) -> PreparedData:
        return self.data if self.data is not None else self.prepare()


def run_all(config: Config, run: RunDirectory) -> Workflow:
    """Do every stage that is not done."""
    workflow = Workflow(config, run)
    workflow.prepare()
    workflow.train()
    workflow.quantize()
    workflow.export()
    workflow.evaluate()
    workflow.benchmark()
    workflow.report()
    return workflow
