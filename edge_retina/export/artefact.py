"""The artefact directory: .tflite files, labels.txt, manifest.json, written whole or not at all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.errors import ExportError
from edge_retina.export.convert import convert
from edge_retina.export.description import describe_export
from edge_retina.export.detection_graph import detection_function
from edge_retina.export.metadata import with_metadata
from edge_retina.export.precision import DEFAULT_PRECISIONS, INPUT_DTYPES, PRECISIONS
from edge_retina.export.raw_graph import raw_function
from edge_retina.export.verify import verify_deploy_graph, verify_file
from edge_retina.files import write_bytes, write_text
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras
from edge_retina.model.predictor import KerasPredictor, load_float_model
from edge_retina.quantization.state import load_quantized
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.manifest import Manifest
from edge_retina.runtime.model_file import read_labels
from edge_retina.staging import staging_directory

log = logging.getLogger(__name__)

_FOLDING_PICTURES = 4


def export_run(
    run: RunDirectory,
    out: Path,
    *,
    config: Config,
    precisions: Sequence[str] = DEFAULT_PRECISIONS,
    method: str | None = None,
    pictures: Sequence[Path] = (),
    nms: bool = True,
    trained: keras.Model | None = None,
) -> Manifest:
    """Export a RUN.

    Args:
        run: trained, and quantised if int8 is wanted.
        out: the directory; files of an earlier export are replaced at the very end.
        config: `export` says what is baked in.
        precisions: of `PRECISIONS`.
        method: "qat" or "ptq"; None for that of the config.
        pictures: real images; on them each file is compared with the model it was made from.
        nms: False leaves decoding and NMS to the client.
        trained: the RUN's float model, if it is built already; it is left as it is.

    Raises:
        ExportError: conversion or verification failed; `out` is as it was.
        RunError: the RUN lacks a stage.
    """
    if not precisions or not set(precisions) <= set(PRECISIONS):
        raise ExportError(f"precision {', '.join(precisions)}: allowed are {', '.join(PRECISIONS)}")
    method = method or config.quantize.method
    labels, grid = run.load_labels(), run.load_anchors()
    with staging_directory(out) as staging:
        write_text(staging / "labels.txt", "".join(f"{label}\n" for label in labels))
        models, quantization = _models(
            run, trained or load_float_model(run), precisions, method, pictures
        )
        dtypes = _input_dtypes(models, quantization)
        stem = config.name if nms else f"{config.name}_raw"
        paths = {precision: staging / f"{stem}_{precision}.tflite" for precision in models}
        for precision, model in models.items():
            uint8_input = dtypes[precision] == "uint8"
            content = file_content(
                model,
                precision,
                grid=grid,
                labels=labels,
                config=config,
                nms=nms,
                uint8_input=uint8_input,
            )
            write_bytes(paths[precision], content)
            log.info("%s: %.1f MB", paths[precision].name, len(content) / 1e6)
        manifest = describe_export(
            staging,
            config=config,
            labels=labels,
            grid=grid,
            dtypes={path.name: dtypes[precision] for precision, path in paths.items()},
            quantization=quantization,
            nms=nms,
        )
        manifest.save(staging)  # a file without NMS is decoded with it
        if pictures:
            verification = {
                paths[precision].name: _verify(
                    paths[precision], model, precision, pictures, grid=grid, config=config
                )
                for precision, model in models.items()
            }
            manifest = dataclasses.replace(manifest, verification=verification)
            manifest.save(staging)
        _publish(staging, out)
    return manifest


def _models(
    run: RunDirectory,
    trained: keras.Model,
    precisions: Sequence[str],
    method: str,
    pictures: Sequence[Path],
) -> tuple[dict[str, keras.Model], dict[str, Any]]:
    """Return the model of each precision, and what the manifest says of the int8 one."""
    models: dict[str, keras.Model] = {}
    quantization: dict[str, Any] = {"method": "none"}
    if set(precisions) - {"int8"}:
        deploy = build_deploy_graph(trained)
        verify_deploy_graph(trained, deploy, pictures[:_FOLDING_PICTURES])
        models = {precision: deploy for precision in precisions if precision != "int8"}
    if "int8" in precisions:
        models["int8"], quantization = _int8_model(run, trained, method)
    return models, quantization


def _input_dtypes(precisions: Iterable[str], quantization: dict[str, Any]) -> dict[str, str]:
    """Return the type of the input by precision; a dynamic-range file takes float32."""
    dynamic = quantization.get("recipe_rules", {}).get("activations") == "dynamic"
    return {
        precision: "float32" if precision == "int8" and dynamic else INPUT_DTYPES[precision]
        for precision in precisions
    }


def _int8_model(
    run: RunDirectory, trained: keras.Model, method: str
) -> tuple[keras.Model, dict[str, Any]]:
    """Return the fake-quantised model and what the manifest says of how it was made."""
    quantized, record = load_quantized(run, method, trained=trained)
    return quantized.model, {
        "method": record.method,
        "recipe": record.recipe["description"],
        "recipe_rules": record.recipe,
        "options": record.options,
        "calibration": record.calibration,
        "steps": record.steps,
        "best_step": record.best_step,
    }


def file_content(
    model: keras.Model,
    precision: str,
    *,
    grid: AnchorGrid,
    labels: tuple[str, ...],
    config: Config,
    nms: bool,
    uint8_input: bool,
) -> bytes:
    """Return the .tflite file of a deploy graph, float or fake-quantised.

    Args:
        model: the deploy graph.
        precision: of `PRECISIONS`.
        grid: its anchors.
        labels: class names by index.
        config: `export` says what is baked in; name and `metadata` are texts for people.
        nms: False leaves decoding and NMS to the client.
        uint8_input: False lets an int8 file take float32.

    Raises:
        ExportError: the conversion failed.
    """
    raw_anchors_norm = None
    if nms:
        function = detection_function(model, anchors=grid, export=config.export)
    else:
        function = raw_function(model)
        raw_anchors_norm = grid.boxes_norm()
    return with_metadata(
        convert(
            function,
            int8=precision == "int8",
            float16=precision == "float16",
            uint8_input=uint8_input,
            integer_pixels=config.export.integer_pixels,
        ),
        labels=labels,
        name=config.name,
        raw_anchors_norm=raw_anchors_norm,
        **dataclasses.asdict(config.metadata),
    )


def _verify(
    path: Path,
    model: keras.Model,
    precision: str,
    pictures: Sequence[Path],
    *,
    grid: AnchorGrid,
    config: Config,
) -> dict[str, Any]:
    """Compare a file with its model; return what the manifest says of that."""
    reference = KerasPredictor(
        join_levels(model), anchors=grid, labels=read_labels(path), export=config.export
    )
    shares = verify_file(path, reference, pictures, precision=precision)
    found = min(share["classes"] for share in shares.values())
    return {"pictures": len(pictures), "agreement": found, "kernels": shares}


def _publish(staging: Path, out: Path) -> None:
    """Move the files into `out`, the manifest last: it vouches for the others by their hashes."""
    out.mkdir(exist_ok=True)
    for path in sorted(
        staging.iterdir(), key=lambda item: (item.name == "manifest.json", item.name)
    ):
        path.replace(out / path.name)
