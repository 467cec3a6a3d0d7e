"""A run directory: a trained detector, and everything that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_retina.api.benchmark import benchmark
from edge_retina.api.detector import Detector
from edge_retina.api.evaluate import evaluate
from edge_retina.api.export import Export
from edge_retina.api.settings import overrides_of, python_errors
from edge_retina.benchmark.results import BenchmarkReport
from edge_retina.config import Config
from edge_retina.datasets.schema import Dataset
from edge_retina.export.precision import DEFAULT_PRECISIONS, check_precisions
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.evaluating import Evaluation
from edge_retina.workflow.examination import Examination, examine_layers, examine_run
from edge_retina.workflow.exporting import ExportRequest, export_files
from edge_retina.workflow.measuring import load_results
from edge_retina.workflow.prepare import open_run
from edge_retina.workflow.quantizing import QuantizedModel, quantize_model


class Run:
    """A RUN that is there already: `Run("runs/mine")`. `train` and `run` make one.

    Attributes:
        path: its directory.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a run directory.

        Raises:
            RunError: it is none.
            ConfigError: its config can't be read by this version.
        """
        self.path = Path(path)
        self._directory = RunDirectory(self.path)
        self._config = self._directory.load_config()

    @property
    def config(self) -> Config:
        """Its settings."""
        return self._config

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names by index."""
        return self._directory.load_labels()

    @property
    def is_trained(self) -> bool:
        """Whether its float model is there."""
        return self._directory.float_weights.is_file()

    def results(self) -> dict[str, Any]:
        """Return the accuracy of each variant that `run` measured, by its title.

        Raises:
            RunError: it was trained, but not measured yet.
        """
        return load_results(self._directory, "evaluate")

    def detector(self) -> Detector:
        """Open the float model in TensorFlow.

        Raises:
            RunError: it is not trained.
            EdgeRetinaError: TensorFlow is not installed.
        """
        return Detector(self.path)

    def quantize(
        self,
        method: str | None = None,
        *,
        pin: str | Path | None = None,
        **settings: Any,
    ) -> QuantizedModel:
        """Make the trained model int8-ready, like `edge-retina quantize`.

        Args:
            method: "qat" with training, "ptq" by calibration alone; that of the config by default.
            pin: file for the list of calibration images.
            settings: fields of the config, such as `quantize={"epochs": 4}`.

        Raises:
            RunError: it is not trained, or another process writes it.
            ConfigError: a setting that can't be changed any more, or isn't there.
            EdgeRetinaError: TensorFlow is not installed.
        """
        with python_errors("quantisation"):
            return quantize_model(
                self._directory,
                method=method,
                overrides=overrides_of(settings),
                pin=None if pin is None else Path(pin),
            )

    def export(
        self,
        out: str | Path,
        *,
        precisions: Sequence[str] = DEFAULT_PRECISIONS,
        method: str | None = None,
        nms: bool = True,
        **settings: Any,
    ) -> Export:
        """Write .tflite files, labels.txt and manifest.json, like `edge-retina export`.

        Args:
            out: the export directory.
            precisions: files to write: "float32", "int8" ...
            method: which int8-ready model, "ptq" or "qat", if there are both.
            nms: put decoding and NMS into the files.
            settings: fields of the config, such as `export={"max_detections": 50}`.

        Raises:
            RunError: it is not trained, or not quantised.
            ConfigError: a setting or a precision that isn't there.
            ExportError: conversion or verification failed; `out` is as it was.
            EdgeRetinaError: TensorFlow is not installed.
        """
        check_precisions(precisions)
        with python_errors("an export"):
            context = open_run(self._directory, overrides=overrides_of(settings), decode=False)
            request = ExportRequest(Path(out), tuple(precisions), method, nms)
            return Export(Path(out), export_files(context, request))

    def evaluate(
        self, data: str | Path | Dataset | None = None, *, split: str = "", **options: Any
    ) -> Evaluation:
        """Measure the float model, like `edge-retina evaluate`.

        Args:
            data: its own data set by default.
            split: the test split of the config by default, or the validation split if it has none.
            options: see `evaluate`.

        Raises:
            DatasetError, RunError, EdgeRetinaError: see `evaluate`.
        """
        settings = self._config.data
        split = split or settings.test_split or settings.val_split or settings.train_split
        return evaluate(self.path, settings.path if data is None else data, split=split, **options)

    def benchmark(self, **options: Any) -> BenchmarkReport:
        """Measure the latency of the float model and of its exported files; see `benchmark`."""
        models = [self.path]
        if self._directory.export_dir.is_dir():
            models.append(self._directory.export_dir)
        return benchmark(*models, **options)

    def diagnose(
        self, *, prove: int = 0, proof_steps: int = 300, page: bool = False, **settings: Any
    ) -> Examination:
        """Say why the detector is poor, like `edge-retina doctor RUN`.

        Args:
            prove: mend so many of the suspected causes, one at a time, in short trainings.
            proof_steps: length of each training.
            page: make the HTML page too.
            settings: such as `data={"path": ...}` where the data have moved.

        Raises:
            ConfigError: a setting that isn't there, or a value that is not allowed.
            EdgeRetinaError: TensorFlow is not installed.
        """
        with python_errors("the diagnosis of a run directory"):
            return examine_run(
                self._directory,
                overrides=overrides_of(settings),
                prove=prove,
                steps=proof_steps,
                with_page=page,
            )

    def diagnose_quantization(
        self,
        method: str | None = None,
        *,
        pictures: int = 16,
        ablate: bool = False,
        **settings: Any,
    ) -> Examination:
        """Show the layers that int8 hurts, like `edge-retina doctor RUN --quantization`.

        Args:
            method: "ptq" or "qat"; that of the config by default.
            pictures: how many of the validation split to use.
            ablate: also keep each layer in float in turn; takes a minute or more.
            settings: fields of the config.

        Raises:
            RunError: it is not quantised.
            EdgeRetinaError: TensorFlow is not installed.
        """
        with python_errors("the diagnosis of a run directory"):
            return examine_layers(
                self._directory,
                overrides=overrides_of(settings),
                method=method,
                pictures=pictures,
                ablate=ablate,
            )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"
