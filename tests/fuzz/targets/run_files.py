"""The small files of a RUN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edge_retina.doctor.run.rate_range import read_rate_range
from edge_retina.doctor.run.training_log import read_training_log
from edge_retina.int8.pinned import read_pinned
from edge_retina.report.metrics_log import read_metrics_log
from edge_retina.run_directory import RunDirectory
from edge_retina.workflow.label_check import _fingerprint
from edge_retina.workflow.measuring import load_results
from edge_retina.workflow.trained_weights import trained_weights_sha256
from tests.fuzz.target import CORPUS, Target


def _marker(run: RunDirectory) -> None:
    run.details("train")
    trained_weights_sha256(run)
    run.require_unchanged(run.float_weights, stage="train", made_by="train")


def _metrics(run: RunDirectory) -> None:
    log = read_training_log(run.metrics_file)
    _ = log.last_probe
    read_metrics_log(run.metrics_file)


# By file of the corpus: where it is in the RUN, and what reads it
_READERS: Mapping[str, tuple[str, Callable[[RunDirectory], object]]] = {
    "config.toml": ("config.toml", RunDirectory.load_config),
    "labels.txt": ("labels.txt", RunDirectory.load_labels),
    "anchors.json": ("anchors.json", lambda run: run.load_anchors().boxes_norm()),
    "marker.json": ("stages/train.json", _marker),
    "metrics.jsonl": ("metrics.jsonl", _metrics),
    "evaluate.json": ("results/evaluate.json", lambda run: load_results(run, "evaluate")),
    "rate_range.json": (
        "evidence/rate_range.json",
        lambda run: read_rate_range(run.rate_range_file),
    ),
    "folds.json": ("folds.json", lambda run: _fingerprint(run.root / "folds.json")),
    "pinned.json": ("pinned.json", lambda run: read_pinned(run.root / "pinned.json", known=["a"])),
}


def check(content: bytes, name: str, directory: Path) -> None:
    """Put the file where it belongs and read it as the commands do."""
    place, read = _READERS[name]
    run = RunDirectory(directory / "run")
    files = {"config.toml": (CORPUS / "run_files" / "config.toml").read_bytes()}
    for path, data in {**files, "float/best.h5": b"weights", place: content}.items():
        (run.root / path).parent.mkdir(parents=True, exist_ok=True)
        (run.root / path).write_bytes(data)
    read(run)


TARGET = Target("run_files", check)
