"""Settings after the float training, decided on validation splits.

    python -m calibration.validation_choices RUN [RUN ...]

Each RUN must be trained without its validation split. Every row is measured on that split, from the
.tflite file with XNNPACK, and compared with the row it differs from by the paired bootstrap over
images. Writes calibration/results/validation_choices.{json,md}.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edge_retina.evaluation.evaluator import evaluate
from edge_retina.evaluation.matches import Matches, find_matches
from edge_retina.evaluation.significance import resampled_difference
from edge_retina.export.convert import convert
from edge_retina.export.detection_graph import detection_function
from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.model.deploy import build_deploy_graph
from edge_retina.model.keras import keras
from edge_retina.model.predictor import load_float_model
from edge_retina.quantization.quantize import quantize_model
from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.prepare import open_run

RESULTS = Path(__file__).parent / "results" / "validation_choices"
_COMMAND = "python -m calibration.validation_choices RUN [RUN ...]"
_QAT = ("quantize.steps=200", "quantize.evaluations=0")  # the last state, whatever it is worth
_TWO_SIDED_95 = 1.96  # standard errors


@dataclass(frozen=True)
class Choice:
    """One setting to decide.

    Attributes:
        name: of the row.
        method: "float", "ptq" or "qat".
        overrides: what it differs by from the config of the RUN.
        against: the row that it is compared with; "" for none.
    """

    name: str
    method: str
    overrides: tuple[str, ...] = ()
    against: str = ""


CHOICES = (
    Choice("float, 2,000 candidates", "float", ("export.candidates=2000",)),
    *(
        Choice(
            f"float, {count:,} candidates",
            "float",
            (f"export.candidates={count}",),
            "float, 2,000 candidates",
        )
        for count in (300, 1000, 5000)
    ),
    Choice("PTQ, biases as they are", "ptq", ("quantize.correct_bias=false",)),
    Choice(
        "PTQ, biases corrected", "ptq", ("quantize.correct_bias=true",), "PTQ, biases as they are"
    ),
    Choice(
        "QAT, ranges move half the time",
        "qat",
        ("quantize.freeze_ranges_at=0.5", *_QAT),
        "PTQ, biases corrected",
    ),
    Choice(
        "QAT, ranges as calibrated",
        "qat",
        ("quantize.freeze_ranges_at=0.0", *_QAT),
        "QAT, ranges move half the time",
    ),
)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=False)
@click.option("--again", is_flag=True, help="Measure RUNs again that are in the results.")
def main(runs: tuple[Path, ...], out: Path, again: bool) -> None:
    """Measure every choice on the validation split of each RUN; those measured are kept."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    results = out.with_suffix(".json")
    report: dict[str, Any] = {"schema_version": 1, "runs": []}
    if results.is_file() and not again:
        report = json.loads(results.read_text(encoding="utf-8"))
    measured = {item["float_weights"] for item in report["runs"]}
    for path in runs:
        run = RunDirectory(path)
        weights = sha256_file(run.float_weights)
        if weights not in measured:
            config = run.load_config()
            report["runs"].append(
                {
                    "name": config.name,
                    "seed": config.seed,
                    "steps": config.train.steps,
                    "float_weights": weights,
                    "rows": list(_measure(run)),
                }
            )
        write_json(results, report)
        write_text(out.with_suffix(".md"), _render(report))


def _measure(run: RunDirectory) -> Iterator[dict[str, Any]]:
    trained = load_float_model(run)
    found: dict[str, Matches] = {}
    for choice in CHOICES:
        context = open_run(run, overrides=choice.overrides, decode=False)
        if not context.data.val:
            raise click.UsageError(f"{run.root}: has no validation split")
        model = trained
        if choice.method != "float":
            quantized, _ = quantize_model(
                trained,
                context.config,
                grid=context.grid,
                method=choice.method,
                train=context.data.train,
                val=context.data.val,
                labels=context.labels,
            )
            model = quantized.model
        examples, labels = context.data.val, context.labels
        detector = _convert(model, context, int8=choice.method != "float")
        metrics, detections = evaluate(detector, examples, labels=labels)
        found[choice.name] = find_matches(examples, detections, labels)
        row = dataclasses.asdict(choice) | {"mAP": metrics.mAP, "images": len(examples)}
        if choice.against:
            difference, error = resampled_difference(found[choice.name], found[choice.against])
            row |= {"difference": difference, "error": error}
        logging.info("%s: %s", run.root.name, row)
        yield row


def _convert(model: keras.Model, context: RunContext, *, int8: bool) -> TFLiteDetector:
    deploy = model if int8 else build_deploy_graph(model)
    function = detection_function(deploy, anchors=context.grid, export=context.config.export)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.tflite"
        path.write_bytes(convert(function, int8=int8))
        write_text(path.with_name("labels.txt"), "".join(f"{label}\n" for label in context.labels))
        return TFLiteDetector(path)


def _render(report: dict[str, Any]) -> str:
    runs = report["runs"]
    head = ["setting", "compared with", *(f"{run['name']}, {run['steps']} steps" for run in runs)]
    body = [
        [choice.name, choice.against or "-", *(_cell(run["rows"][index]) for run in runs)]
        for index, choice in enumerate(CHOICES)
    ]
    return (
        "# Settings after the float training, on validation splits\n\n"
        "mAP of the `.tflite` file (XNNPACK), and in brackets the difference from the row it is\n"
        "compared with: mean and 95 % interval of the paired bootstrap over images. One training\n"
        "each. Written by `python -m calibration.validation_choices RUN ...`.\n\n"
        + markdown_table(head, body)
    )


def _cell(row: dict[str, Any]) -> str:
    if "difference" not in row:
        return f"{row['mAP']:.4f}"
    return f"{row['mAP']:.4f} ({row['difference']:+.4f} ± {_TWO_SIDED_95 * row['error']:.4f})"


if __name__ == "__main__":
    main()
