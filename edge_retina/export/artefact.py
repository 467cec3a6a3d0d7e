"""The artefact directory: .tflite files, labels.txt, manifest.json, written whole or not at all."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.decoders.plan import plan_decoder
from edge_retina.decoders.writing import write_decoders
from edge_retina.errors import ExportError
from edge_retina.export.convert import convert
from edge_retina.export.description import describe_export
from edge_retina.export.detection_graph import detection_function
from edge_retina.export.levels_file import LevelsFiles
from edge_retina.export.metadata import with_metadata
from edge_retina.export.plan import ModelKey, PlannedFile, plan_files
from edge_retina.export.precision import DEFAULT_PRECISIONS, PRECISIONS
from edge_retina.export.raw_graph import raw_function
from edge_retina.export.targets.check import check_file
from edge_retina.export.targets.table import DEFAULT_TARGET
from edge_retina.export.targets.target import NMS, RESIZE
from edge_retina.export.verify import Remembering, verify_deploy_graph, verify_file
from edge_retina.files import write_bytes, write_text
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras
from edge_retina.model.predictor import KerasPredictor, load_float_model
from edge_retina.quantization.state import load_quantized
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Predictor
from edge_retina.runtime.manifest import MANIFEST_NAME, Manifest, load_manifest
from edge_retina.runtime.raw_layout import LEVELS
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
    targets: Sequence[str] = (DEFAULT_TARGET,),
    decoders: Sequence[str] = (),
    trained: keras.Model | None = None,
) -> Manifest:
    """Export a RUN.

    Args:
        run: trained, and quantised if int8 is wanted.
        out: the directory; files of an earlier export are replaced at the very end.
        config: `export` says what is baked in.
        precisions: of `PRECISIONS`, of the files for CPUs.
        method: "qat" or "ptq"; None for that of the config.
        pictures: real images; on them each file is compared with the model it was made from.
        nms: False leaves decoding and NMS to the client, in the files for CPUs.
        targets: of `export.targets`.
        decoders: of `decoders.table.LANGUAGES`: beside each file without NMS.
        trained: the RUN's float model, if it is built already; it is left as it is.

    Raises:
        ExportError: conversion or verification failed, or a target can't run its file; `out` is as
            it was.
        RunError: the RUN lacks a stage.
        ConfigError: `quantize.engine` is not installed.
    """
    if not precisions or not set(precisions) <= set(PRECISIONS):
        raise ExportError(f"precision {', '.join(precisions)}: allowed are {', '.join(PRECISIONS)}")
    method = method or config.quantize.method
    labels, grid = run.load_labels(), run.load_anchors()
    with staging_directory(out) as staging:
        write_text(staging / "labels.txt", "".join(f"{label}\n" for label in labels))
        planned = plan_files(config.name, targets=targets, precisions=precisions, nms=nms)
        models, quantization = _models(
            run,
            trained or load_float_model(run),
            planned,
            method,
            pictures,
            engine=config.quantize.engine,
        )
        is_dynamic = quantization.get("recipe_rules", {}).get("activations") == "dynamic"
        planned = [file.for_dynamic_range() if is_dynamic else file for file in planned]
        levels_files = LevelsFiles(models, levels=grid.levels, labels=labels, config=config)
        for file in planned:
            path = staging / file.name
            if file.form == LEVELS:
                content = levels_files.content(file.target)
            else:
                content = file_content(
                    models[file.model],
                    file.precision,
                    grid=grid,
                    labels=labels,
                    config=config,
                    nms=file.form == NMS,
                    uint8_input=file.input_dtype == "uint8",
                )
            write_bytes(path, content)
            check_file(path, file.target)
            log.info("%s: %.1f MB", file.name, len(content) / 1e6)
        manifest = describe_export(
            staging, planned, config=config, labels=labels, grid=grid, quantization=quantization
        )
        manifest.save(staging)  # a file without NMS is decoded with it
        if pictures:
            references = {
                key: Remembering(
                    KerasPredictor(
                        join_levels(model), anchors=grid, labels=labels, export=config.export
                    )
                )
                for key, model in models.items()
            }
            verification = {
                file.name: _verify(
                    staging / file.name, references[file.model], file.precision, pictures
                )
                for file in planned
            }
            manifest = dataclasses.replace(manifest, verification=verification)
            manifest.save(staging)
        for name in manifest.layouts if decoders else ():
            write_decoders(
                plan_decoder(manifest, name, where=out / MANIFEST_NAME),
                staging,
                decoders,
                manifest=staging / MANIFEST_NAME,
            )
        manifest = load_manifest(staging)  # with the decoders
        _publish(staging, out)
    return manifest


def _models(
    run: RunDirectory,
    trained: keras.Model,
    planned: Sequence[PlannedFile],
    method: str,
    pictures: Sequence[Path],
    *,
    engine: str,
) -> tuple[dict[ModelKey, keras.Model], dict[str, Any]]:
    """Return the models that files are made of, and what the manifest says of the int8 one."""
    models: dict[ModelKey, keras.Model] = {}
    deploys: dict[str, keras.Model] = {}
    quantization: dict[str, Any] = {"method": "none"}
    for precision, upsampling in dict.fromkeys(file.model for file in planned):
        if precision == "int8":
            models[precision, upsampling], quantization = _int8_model(run, trained, method, engine)
            continue
        if upsampling not in deploys:
            deploy = build_deploy_graph(trained, resize=upsampling == RESIZE)
            verify_deploy_graph(trained, deploy, pictures[:_FOLDING_PICTURES])
            deploys[upsampling] = deploy
        models[precision, upsampling] = deploys[upsampling]
    return models, quantization


def _int8_model(
    run: RunDirectory, trained: keras.Model, method: str, engine: str
) -> tuple[keras.Model, dict[str, Any]]:
    """Return the fake-quantised model and what the manifest says of how it was made."""
    quantized, record = load_quantized(run, method, trained=trained, engine=engine)
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
    path: Path, reference: Predictor, precision: str, pictures: Sequence[Path]
) -> dict[str, Any]:
    """Compare a file with its model; return what the manifest says of that."""
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
