"""The calibration study: what every way to quantise costs in mAP, from the `.tflite` files.

    python -m calibration.study runs/chess

writes calibration/results/chess.{json,md}. A row that is in the JSON already is not done again
unless --again is given. Nothing here chooses by the test split: rows differ by what they are, and
the defaults of the package were chosen by the validation columns.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from calibration.table import render
from calibration.variants import SETS, Variant
from edge_retina.benchmark.environment import read_environment
from edge_retina.config import Config, QuantizeConfig
from edge_retina.evaluation.agreement import compare_detections
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.export.convert import convert
from edge_retina.export.detection_graph import detection_function
from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.int8.pinned import write_pinned
from edge_retina.int8.recipe import Recipe, load_recipe
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras
from edge_retina.model.predictor import KerasPredictor, load_float_model
from edge_retina.quantization.quantize import choose_calibration, quantize_model
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Predictor
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image
from edge_retina.workflow.prepare import open_run

HERE = Path(__file__).parent
_SCORE, _IOU = 0.3, 0.9
_SIMULATED = ("main", "peer", "qat")  # groups whose simulation is measured too


class Study:
    """One float model and everything that is made of it."""

    def __init__(self, run: RunDirectory, work: Path) -> None:
        self.run, self.work = run, work
        context = open_run(run, overrides=())
        self.config, self.data, self.grid = context.config, context.data, context.grid
        self.labels = run.load_labels()
        self.splits = {"val": self.data.val, "test": self.data.test}
        self.splits = {name: examples for name, examples in self.splits.items() if examples}
        self.trained = load_float_model(run)
        self.float_detections: list[Any] = []
        work.mkdir(parents=True, exist_ok=True)
        write_text(work / "labels.txt", "".join(f"{label}\n" for label in self.labels))

    def measure_float(self) -> list[dict[str, Any]]:
        """Measure the float model in Keras and as a file."""
        keras_row = {"keras": self._accuracy(self._keras(self.trained))}
        deploy = build_deploy_graph(self.trained)
        detector = self._file(deploy, self.config, "float32", int8=False, uint8=False)
        self.float_detections = [
            detector.predict(load_image(example.path)).above(_SCORE) for example in self.data.test
        ]
        tflite_row = {"tflite": self._accuracy(detector)}
        return [
            {"group": "float", "name": "float Keras", "method": "float", **keras_row},
            {"group": "float", "name": "float TFLite", "method": "float", **tflite_row},
        ]

    def measure(self, variant: Variant) -> dict[str, Any]:
        """Quantise, convert and measure."""
        started = time.monotonic()
        config = open_run(self.run, overrides=variant.overrides, decode=False).config
        model, recipe, record = self._quantize(variant, config)
        fake = self._keras(join_levels(model)) if variant.group in _SIMULATED else None
        uint8 = recipe.activations != "dynamic" and variant.method != "tfmot"
        detector = self._file(model, config, "int8", int8=True, uint8=uint8)
        row = asdict(variant) | {
            "overrides": [text.replace(f"{HERE}/", "") for text in variant.overrides],
            "steps": record.get("steps", 0),
            "best_step": record.get("best_step", 0),
            "fake_quant": self._accuracy(fake) if fake else None,
            "tflite": self._accuracy(detector),
            "agreement": self._agreement(detector),
            "size_bytes": detector.path.stat().st_size,
            "seconds": round(time.monotonic() - started, 1),
        }
        return row

    def _quantize(
        self, variant: Variant, config: Config
    ) -> tuple[keras.Model, Recipe, dict[str, Any]]:
        if variant.method == "tfmot":
            from calibration.tfmot_default import quantize_with_tfmot

            steps = config.quantize.steps
            model = quantize_with_tfmot(
                self.trained, config, self.data.train, grid=self.grid, steps=steps
            )
            return model, Recipe(), {"steps": steps}
        quantized, record = quantize_model(
            self.trained,
            config,
            grid=self.grid,
            method=variant.method,
            train=self.data.train,
            val=self.data.val,
            labels=self.labels,
        )
        return quantized.model, load_recipe(config.quantize.recipe), asdict(record)

    def pin_calibration(self, path: Path) -> None:
        """Write which pictures calibrate by default."""
        chosen = choose_calibration(
            self.config.quantize,
            self.data.train,
            num_classes=len(self.labels),
            seed=self.config.seed,
        )
        write_pinned(path, chosen, dataset=self.config.name, split=self.config.data.train_split)

    def _keras(self, model: keras.Model) -> KerasPredictor:
        return KerasPredictor(
            model,
            anchors=self.grid,
            labels=self.labels,
            export=self.config.export,
        )

    def _file(
        self, model: keras.Model, config: Config, name: str, *, int8: bool, uint8: bool
    ) -> TFLiteDetector:
        function = detection_function(model, anchors=self.grid, export=config.export)
        path = self.work / f"{name}.tflite"
        path.write_bytes(convert(function, int8=int8, uint8_input=uint8))
        return TFLiteDetector(path)

    def _accuracy(self, predictor: Predictor) -> dict[str, Any]:
        found = {}
        for name, examples in self.splits.items():
            metrics, _ = evaluate(predictor, examples, labels=self.labels)
            found[name] = {"mAP": metrics.mAP, "mAP50": metrics.mAP50, "images": len(examples)}
        return found

    def _agreement(self, detector: TFLiteDetector) -> float:
        """Share of the float file's detections on the test split that the detector finds too."""
        found = sum(
            compare_detections(
                expected, detector.predict(load_image(example.path)), min_iou=_IOU
            ).classes
            for expected, example in zip(self.float_detections, self.data.test, strict=True)
        )
        return found / max(sum(len(expected) for expected in self.float_detections), 1)


def _without_directories(settings: QuantizeConfig) -> dict[str, Any]:
    """Return the settings with files by their names: directories are this machine's."""
    tree = asdict(settings)
    return tree | {key: Path(tree[key]).name for key in ("recipe", "calibration_set")}


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--rows", type=click.Choice(list(SETS)), default="all", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "results")
@click.option("--again", is_flag=True, help="Do rows again that are there.")
def main(run: Path, rows: str, out: Path, again: bool) -> None:
    """Measure every variant on the model of RUN."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    study = Study(RunDirectory(run), run / "study")
    name = study.config.name
    target = out / f"{name}.json"
    weights = sha256_file(study.run.float_weights)
    report = json.loads(target.read_text()) if target.is_file() and not again else {}
    if report.get("float_weights") != weights:
        report = {"schema_version": 1, "name": name, "float_weights": weights, "rows": []}
    report |= {
        "command": f"python -m calibration.study runs/{name}",
        "environment": asdict(read_environment()),
        "quantize": _without_directories(study.config.quantize),
    }
    done = {row["group"] + row["name"]: row for row in report["rows"]}
    for row in study.measure_float():
        done[row["group"] + row["name"]] = row
    for variant in SETS[rows]:
        key = variant.group + variant.name
        if key not in done:
            done[key] = study.measure(variant)
            click.echo(json.dumps(done[key]))
        report["rows"] = list(done.values())
        write_json(target, report)
        write_text(target.with_suffix(".md"), render(report))
    if not study.config.quantize.calibration_set:
        study.pin_calibration(HERE / f"{name}.json")


if __name__ == "__main__":
    main()
