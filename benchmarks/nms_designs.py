"""Which design of decoding and NMS is the cheapest that is correct? Time and results of each.

    python benchmarks/nms_designs.py --run runs/bccd --json benchmarks/results/nms_designs.json

Files that hold decoding and NMS only (nms_graphs.py) run on made-up head outputs (nms_inputs.py).
They are timed in turn, round by round, and compared with the numpy reference without any limit of
candidates, `boxes.nms.detect`. With --run the float model of a RUN is asked about the pictures of
its test split once; every design then gets the same head outputs, and its mAP stands beside that of
the reference. Beside the JSON a Markdown file with the tables is written.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from nms_graphs import DESIGNS, SHIPPED, Design
from nms_inputs import HeadOutputs, anchors_norm, head_outputs
from nms_report import SHIPPED_FORM, markdown

from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.statistics import interleaved_ratio
from edge_retina.boxes.nms import detect
from edge_retina.config import ExportConfig
from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.runtime.detections import Detections

_GRIDS = ((4, 256), (9, 256), (9, 320))  # anchors per cell, image size
_CLASSES = (3, 20, 80)
_TIMED_THREADS = (1, 2)
_THREADS = (1, 2, 3, 4, 8)
_INPUTS, _ROUNDS, _RUNS = 6, 7, 10
_TOLERANCE = 1e-5  # of the image's side, and of a score


class DetectionStage:
    """One design's file, opened."""

    def __init__(self, content: bytes, threads: int) -> None:
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        details = self._interpreter.get_signature_runner().get_input_details()
        self._inputs = {name: detail["index"] for name, detail in details.items()}
        self._outputs = [item["index"] for item in self._interpreter.get_output_details()]

    def set_inputs(self, heads: HeadOutputs) -> None:
        """Copy the head outputs in."""
        self._interpreter.set_tensor(self._inputs["logits"], heads.logits)
        self._interpreter.set_tensor(self._inputs["codes"], heads.codes)

    def invoke_ms(self) -> float:
        """Run and return how long it took."""
        started = time.perf_counter()
        self._interpreter.invoke()
        return (time.perf_counter() - started) * 1e3

    def detect(self, heads: HeadOutputs) -> Detections:
        """Return what it finds, best first."""
        self.set_inputs(heads)
        self._interpreter.invoke()
        boxes, classes, scores, count = map(self._interpreter.get_tensor, self._outputs)
        used = int(count[0])
        order = np.argsort(-scores[0, :used], kind="stable")
        return Detections(
            boxes[0, :used][order], classes[0, :used][order].astype(np.int32), scores[0][order]
        )


@click.command()
@click.option(
    "--run",
    "runs",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A RUN whose float model and test split give the mAP of each design; repeatable.",
)
@click.option("--rounds", default=_ROUNDS, show_default=True)
@click.option("--json", "target", required=True, type=click.Path(path_type=Path))
def main(runs: tuple[Path, ...], rounds: int, target: Path) -> None:
    """Measure all designs."""
    environment = read_environment()
    export = ExportConfig()
    cases = []
    for per_cell, image_size in _GRIDS:
        for num_classes in _CLASSES:
            click.echo(f"{per_cell} anchors per cell, {image_size} px, {num_classes} classes")
            cases.append(_case(per_cell, image_size, num_classes, export, rounds))
    result = {
        "schema_version": 1,
        "command": "python benchmarks/nms_designs.py "
        + " ".join(f"--run runs/{run.name}" for run in runs),
        "environment": dataclasses.asdict(environment),
        "settings": dataclasses.asdict(export),
        "shipped": SHIPPED.name,
        "shipped_form": SHIPPED_FORM,
        "rounds": rounds,
        "runs": _RUNS,
        "inputs": _INPUTS,
        "threads": list(_THREADS),
        "cases": cases,
        "accuracy": [_accuracy(run) for run in runs],
    }
    write_json(target, result)
    table = markdown(result)
    write_text(target.with_suffix(".md"), table)
    click.echo(table)


def _case(
    per_cell: int, image_size: int, num_classes: int, export: ExportConfig, rounds: int
) -> dict[str, Any]:
    """Measure every design with one number of anchors and of classes."""
    anchors = anchors_norm(per_cell, image_size)
    scenes = [head_outputs(anchors, num_classes, seed) for seed in range(_INPUTS)]
    expected = [_reference(heads, anchors, export) for heads in scenes]
    files = {design.name: design.tflite_file(anchors, num_classes, export) for design in DESIGNS}
    timed = {threads: _time(files, scenes, threads, rounds) for threads in _TIMED_THREADS}
    return {
        "per_cell": per_cell,
        "image_size": image_size,
        "anchors": len(anchors),
        "classes": num_classes,
        "candidates_above_threshold": [
            heads.count_above(export.score_threshold) for heads in scenes
        ],
        "designs": {
            name: {
                "time": {str(threads): timed[threads][name] for threads in _TIMED_THREADS},
                **_correctness(content, scenes, expected),
            }
            for name, content in files.items()
        },
    }


def _reference(heads: HeadOutputs, anchors: np.ndarray, export: ExportConfig) -> Detections:
    """Return what the numpy NMS finds when every pair above the threshold is a candidate."""
    boxes, classes, scores = detect(
        heads.logits,
        heads.codes,
        anchors,
        score_threshold=export.score_threshold,
        iou_threshold=export.nms_iou,
        max_detections=export.max_detections,
        candidates=heads.logits.size,
    )
    return Detections(boxes, classes, scores)


def _time(
    files: dict[str, bytes], scenes: Sequence[HeadOutputs], threads: int, rounds: int
) -> dict[str, Any]:
    """Return the times of each design, measured in turn, and their ratio to the shipped one."""
    stages = {name: DetectionStage(content, threads) for name, content in files.items()}
    samples: dict[str, list[list[float]]] = {name: [] for name in files}
    for _ in range(rounds):
        for name, stage in stages.items():
            stage.set_inputs(scenes[0])
            stage.invoke_ms()  # brings code and data back into the caches
            samples[name].append(list(_runs_ms(stage, scenes)))
    return {
        name: {
            "median_ms": float(np.median(series)),
            "round_medians_ms": [float(np.median(times)) for times in series],
            "ratio_to_shipped": dataclasses.asdict(
                interleaved_ratio(series, samples[SHIPPED.name])
            ),
        }
        for name, series in samples.items()
    }


def _runs_ms(stage: DetectionStage, scenes: Sequence[HeadOutputs]) -> Iterable[float]:
    for run in range(_RUNS):
        stage.set_inputs(scenes[run % len(scenes)])
        yield stage.invoke_ms()


def _correctness(
    content: bytes, scenes: Sequence[HeadOutputs], expected: Sequence[Detections]
) -> dict[str, Any]:
    """Compare one design with the reference, and with itself at other numbers of threads."""
    by_threads = {
        threads: [DetectionStage(content, threads).detect(heads) for heads in scenes]
        for threads in _THREADS
    }
    pairs = {
        threads: list(zip(expected, found, strict=True)) for threads, found in by_threads.items()
    }
    total = sum(map(len, expected))
    return {
        "same_as_reference": sum(_same(a, b) for a, b in pairs[1]),
        "reference_rows": total,
        "reference_rows_found": {
            str(threads): sum(_rows_found(a, b) for a, b in pairs[threads]) for threads in _THREADS
        },
        "threads_that_differ": [
            threads
            for threads, found in by_threads.items()
            if not all(map(_identical, by_threads[1], found))
        ],
    }


def _same(one: Detections, two: Detections) -> bool:
    """Return whether all rows agree but for float rounding."""
    return (
        len(one) == len(two)
        and np.array_equal(one.classes, two.classes)
        and bool(np.allclose(one.scores, two.scores, rtol=0, atol=_TOLERANCE))
        and bool(np.allclose(one.boxes_norm, two.boxes_norm, rtol=0, atol=_TOLERANCE))
    )


def _identical(one: Detections, two: Detections) -> bool:
    """Return whether all rows agree to the bit."""
    return all(
        np.array_equal(getattr(one, field.name), getattr(two, field.name))
        for field in dataclasses.fields(Detections)
    )


def _rows_found(expected: Detections, found: Detections) -> int:
    """Return how many rows of `expected` are in `found`: class, score and box."""
    if not len(found):
        return 0
    near = (
        (expected.classes[:, None] == found.classes)
        & (np.abs(expected.scores[:, None] - found.scores) <= _TOLERANCE)
        & (np.abs(expected.boxes_norm[:, None] - found.boxes_norm).max(axis=2) <= _TOLERANCE)
    )
    return int(near.any(axis=1).sum())


def _accuracy(run: Path) -> dict[str, Any]:
    """Return the mAP of each design on the head outputs of a RUN's float model."""
    from edge_retina.datasets import load_dataset
    from edge_retina.evaluation.coco_metrics import evaluate_detections
    from edge_retina.model.predictor import load_keras_predictor
    from edge_retina.run_directory import RunDirectory
    from edge_retina.runtime.image import load_image

    directory = RunDirectory(run)
    config = directory.load_config()
    predictor, grid = load_keras_predictor(str(run)), RunDirectory(run).load_anchors()
    anchors = grid.boxes_norm()
    data = load_dataset(config.data.path, skip_invalid=config.data.skip_invalid, seed=config.seed)
    examples = data.split(config.data.test_split)
    pictures = [
        HeadOutputs(*predictor.invoke(predictor.preprocess(load_image(item.path))))
        for item in examples
    ]

    def metrics(detections: Sequence[Detections]) -> dict[str, float | None]:
        found = evaluate_detections(examples, detections, data.labels)
        return {"mAP": found.mAP, "mAP50": found.mAP50}

    def of_design(design: Design, threads: int) -> dict[str, float | None]:
        content = design.tflite_file(anchors, len(data.labels), config.export)
        stage = DetectionStage(content, threads)
        return metrics([stage.detect(heads) for heads in pictures])

    return {
        "run": run.name,
        "weights_sha256": sha256_file(directory.float_weights),
        "images": len(examples),
        "anchors": len(anchors),
        "classes": len(data.labels),
        "candidates_above_threshold": [
            heads.count_above(config.export.score_threshold) for heads in pictures
        ],
        "reference": metrics([_reference(heads, anchors, config.export) for heads in pictures]),
        "reference_limited": {
            "candidates": config.export.candidates,
            **metrics([predictor.postprocess((x.logits, x.codes)) for x in pictures]),
        },
        "designs": {
            design.name: {str(threads): of_design(design, threads) for threads in _TIMED_THREADS}
            for design in DESIGNS
        },
    }


if __name__ == "__main__":
    main()
