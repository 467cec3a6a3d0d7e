"""The artefact directory: .tflite files, labels.txt, manifest.json, written whole or not at all."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina import __version__
from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.errors import ExportError
from edge_retina.export.convert import convert
from edge_retina.export.detection_graph import OUTPUTS, detection_function
from edge_retina.export.metadata import with_metadata
from edge_retina.export.verify import verify_deploy_graph, verify_file
from edge_retina.files import sha256_file, write_text
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras
from edge_retina.model.predictor import KerasPredictor, anchor_grid, load_float_model
from edge_retina.quantization.state import load_quantized
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.image import MEAN, STD
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest, OutputSpec

log = logging.getLogger(__name__)

PRECISIONS = ("float32", "int8")
_DTYPES = {"float32": "float32", "int8": "uint8"}


def export_run(
    run: RunDirectory,
    out: Path,
    *,
    config: Config,
    precisions: Sequence[str] = PRECISIONS,
    method: str | None = None,
    pictures: Sequence[Path] = (),
) -> Manifest:
    """Write the artefact directory of a RUN.

    Args:
        run: trained, and quantised if int8 is wanted.
        out: the directory; files of an earlier export are replaced at the very end.
        config: resolved; `export` says what is baked in.
        precisions: of "float32" and "int8".
        method: "qat" or "ptq"; None for that of the config.
        pictures: real ones, on which the files are compared with the model they were made from.

    Raises:
        ExportError: conversion or verification failed; `out` is as it was.
        RunError: the RUN lacks a stage.
    """
    if not precisions or not set(precisions) <= set(PRECISIONS):
        raise ExportError(f"precision {', '.join(precisions)}: allowed are {', '.join(PRECISIONS)}")
    method = method or config.quantize.method
    labels, grid = run.load_labels(), anchor_grid(config)
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        write_text(staging / "labels.txt", "".join(f"{label}\n" for label in labels))
        quantization: dict[str, Any] = {"method": "none"}
        verification: dict[str, dict[str, Any]] = {}
        for precision in precisions:
            int8 = precision == "int8"
            model, how = _int8_model(run, method) if int8 else (_float_model(run), quantization)
            quantization = how
            path = staging / f"{config.name}_{precision}.tflite"
            _write_model(path, model, grid=grid, labels=labels, config=config, int8=int8)
            if pictures:
                reference = KerasPredictor(
                    join_levels(model), anchors=grid, labels=labels, export=config.export
                )
                share = verify_file(path, reference, pictures, int8=int8)
                verification[path.name] = {"pictures": len(pictures), "agreement": share}
        manifest = dataclasses.replace(
            _manifest(staging, config, labels, grid, precisions, quantization),
            verification=verification,
        )
        manifest.save(staging)
        _publish(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _float_model(run: RunDirectory) -> keras.Model:
    trained = load_float_model(run)
    deploy = build_deploy_graph(trained)
    verify_deploy_graph(trained, deploy)
    return deploy


def _int8_model(run: RunDirectory, method: str) -> tuple[keras.Model, dict[str, Any]]:
    """Return the fake-quantised model and what the manifest says of how it was made."""
    quantized, record = load_quantized(run, method)
    return quantized.model, {
        "method": record.method,
        "recipe": "per-channel weights, per-tensor activations of each level, int8",
        "calibration": record.calibration,
        "steps": record.steps,
    }


def _write_model(
    path: Path,
    model: keras.Model,
    *,
    grid: AnchorGrid,
    labels: tuple[str, ...],
    config: Config,
    int8: bool,
) -> None:
    function = detection_function(model, anchors=grid, export=config.export)
    content = with_metadata(
        convert(function, int8=int8),
        labels=labels,
        name=config.name,
        **dataclasses.asdict(config.metadata),
    )
    path.write_bytes(content)
    log.info("%s: %.1f MB", path.name, path.stat().st_size / 1e6)


def _manifest(
    directory: Path,
    config: Config,
    labels: tuple[str, ...],
    grid: AnchorGrid,
    precisions: Sequence[str],
    quantization: dict[str, Any],
) -> Manifest:
    rows = config.export.max_detections
    shapes = {"boxes": (1, rows, 4), "classes": (1, rows), "scores": (1, rows), "count": (1,)}
    return Manifest(
        edge_retina_version=__version__,
        input=InputSpec(
            height=grid.image_size,
            width=grid.image_size,
            dtype={f"{config.name}_{p}.tflite": _DTYPES[p] for p in precisions},
            mean=MEAN,
            std=STD,
        ),
        outputs=tuple(OutputSpec(name, i, shapes[name]) for i, name in enumerate(OUTPUTS)),
        labels=labels,
        anchors={"min_level": grid.min_level, "shapes": np.array(grid.shapes).tolist()},
        thresholds=dataclasses.asdict(config.export),
        quantization=quantization,
        metrics={},
        files={
            path.name: FileEntry(path.stat().st_size, sha256_file(path))
            for path in sorted(directory.iterdir())
        },
        config=config.to_dict(),
    )


def _publish(staging: Path, out: Path) -> None:
    """Move the files into `out`, the manifest last: it vouches for the others by their hashes."""
    out.mkdir(exist_ok=True)
    for path in sorted(
        staging.iterdir(), key=lambda item: (item.name == "manifest.json", item.name)
    ):
        path.replace(out / path.name)
