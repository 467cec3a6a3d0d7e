"""Whether the decoders of every language find on real pictures what `predict` finds.

    python benchmarks/decoders.py detector/cells_raw_int8.tflite detector/cells_micro_int8.tflite \
        --pictures bccd/JPEGImages --with-nms runs/bccd/export \
        --json benchmarks/results/decoders.json

Each FILE has no NMS inside and lies in its export directory. The network runs once on each picture;
`predict` and the program of each language get the same outputs. They agree if they find as many
objects, of the same classes in the same order, with boxes and scores that differ by no more than
the tolerance. `--with-nms` also compares with the file of the same precision that has NMS inside.
Kotlin and Swift need their compilers: kotlinc and swiftc, or others that EDGE_RETINA_KOTLINC and
EDGE_RETINA_SWIFTC name.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edge_retina.benchmark.environment import read_environment
from edge_retina.decoders.plan import load_plan
from edge_retina.files import sha256_file, write_json
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.image import load_image
from tests.decoders.programs import TOOLCHAINS, command_of, run_decoder

TOLERANCE = 2e-6  # of fractions of the picture and of scores: a few steps of float32 below 1


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--pictures", "directory", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=200, show_default=True, help="Pictures, by name.")
@click.option("--with-nms", type=click.Path(path_type=Path), help="Export directory.")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(
    files: tuple[Path, ...],
    directory: Path,
    count: int,
    with_nms: Path | None,
    target: Path | None,
) -> None:
    """Run, compare, tell."""
    found = sorted(path for path in directory.iterdir() if path.suffix in (".jpg", ".png"))[:count]
    images = [load_image(path) for path in found]
    results = [_compare_file(path, images, with_nms) for path in files]
    if target is not None:
        document = {
            "schema_version": 1,
            "environment": dataclasses.asdict(read_environment()),
            "pictures": len(images),
            "tolerance": TOLERANCE,
            "tools": {language: _version(language) for language in TOOLCHAINS},
            "results": results,
        }
        write_json(target, document)


def _compare_file(
    path: Path, images: Sequence[np.ndarray], with_nms: Path | None
) -> dict[str, Any]:
    detector = TFLiteDetector(path)
    plan = dataclasses.replace(load_plan(path), model_file="model.tflite")
    outputs = [detector.invoke(detector.preprocess(image)) for image in images]
    wanted = [detector.postprocess(raw) for raw in outputs]
    languages: dict[str, Any] = {}
    for language in TOOLCHAINS:
        if command_of(language) is None:
            languages[language] = {"skipped": f"no {TOOLCHAINS[language].tool}"}
        else:
            with tempfile.TemporaryDirectory() as place:
                found = run_decoder(language, plan, outputs, Path(place))
            languages[language] = _difference(wanted, found)
        click.echo(f"{path.name} {language}: {languages[language]}")
    inside = None
    other = _file_with_nms(with_nms, path) if with_nms is not None else None
    if other is not None:
        reference = TFLiteDetector(other)
        inside = {
            "file": other.name,
            **_difference([reference.predict(image) for image in images], wanted),
        }
        click.echo(f"{path.name} against {other.name}: {inside}")
    return {
        "file": path.name,
        "sha256": sha256_file(path),
        "outputs": len(plan.outputs),
        "detections": sum(map(len, wanted)),
        "languages": languages,
        "with_nms_inside": inside,
    }


def _file_with_nms(directory: Path, raw: Path) -> Path | None:
    """Return the file of the same precision, if there is one."""
    precision = raw.stem.rsplit("_", 1)[-1]
    return next(iter(sorted(directory.glob(f"*_{precision}.tflite"))), None)


def _difference(wanted: Sequence[Detections], found: Sequence[Detections]) -> dict[str, Any]:
    """Return in how many pictures detections are the same, and the differences in those."""
    counts = classes = same = 0
    worst_box = worst_score = 0.0
    for one, other in zip(wanted, found, strict=True):
        counts += len(one) == len(other)
        if one.classes.tolist() != other.classes.tolist():
            continue
        classes += 1
        box = float(np.abs(one.boxes_norm - other.boxes_norm).max(initial=0))
        score = float(np.abs(one.scores - other.scores).max(initial=0))
        if max(box, score) <= TOLERANCE:
            same += 1
        worst_box, worst_score = max(worst_box, box), max(worst_score, score)
    return {
        "pictures": len(wanted),
        "same_count": counts,
        "same_classes_in_order": classes,
        "same": same,
        "largest_box_difference": worst_box,
        "largest_score_difference": worst_score,
    }


def _version(language: str) -> str | None:
    command = command_of(language)
    if command is None:
        return None
    option = "-version" if language == "kotlin" else "--version"
    result = subprocess.run([*command, option], capture_output=True, text=True, check=True)
    lines = (result.stdout + result.stderr).strip().splitlines()
    return next((line for line in lines if not line.startswith("WARNING")), "")


if __name__ == "__main__":
    main()
