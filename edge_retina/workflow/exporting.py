"""Export of a run's models: the stages of `run` and the command `export` go through here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_retina.decoders.writing import check_languages, check_targets
from edge_retina.errors import ConfigError, ExportError
from edge_retina.export.plan import plan_files
from edge_retina.export.precision import DEFAULT_PRECISIONS
from edge_retina.export.targets.check import check_recipe
from edge_retina.export.targets.table import DEFAULT_TARGET, TARGETS
from edge_retina.export.targets.target import NMS
from edge_retina.int8.recipe import recipe_from_dict
from edge_retina.runtime.manifest import Manifest
from edge_retina.workflow.context import RunContext


@dataclass(frozen=True)
class ExportRequest:
    """Which files to write.

    Attributes:
        out: the export directory.
        precisions: of `export.precision.PRECISIONS`, of the files for CPUs.
        method: of the int8 model, "ptq" or "qat"; None for the one there is, or the config's.
        nms: put decoding and NMS into the files for CPUs.
        targets: of `export.targets`: what the files are for.
        decoders: of `decoders.table.LANGUAGES`: beside each file without NMS.
    """

    out: Path
    precisions: tuple[str, ...] = DEFAULT_PRECISIONS
    method: str | None = None
    nms: bool = True
    targets: tuple[str, ...] = (DEFAULT_TARGET,)
    decoders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no RUN could be exported to.

        Raises:
            ConfigError: no target, or an unknown one.
            ExportError: an unknown language, or decoders although all files have NMS inside.
        """
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets:
            given = repr(unknown[0]) if unknown else "none"
            raise ConfigError(f"target {given} is not one of {', '.join(TARGETS)}")
        check_languages(self.decoders)
        if self.decoders and self.nms and all(TARGETS[name].form == NMS for name in self.targets):
            raise ExportError(
                f"decoding and NMS are inside the files for {', '.join(self.targets)}, so there is "
                "nothing to write a decoder for; add --no-nms or another --target, or leave out "
                "--decoder"
            )


def export_files(context: RunContext, request: ExportRequest) -> Manifest:
    """Write the files and compare them with the models they were made from.

    Raises:
        ConfigError: the int8 model was not quantised for so low a score threshold, or by a recipe
            that a target can't serve.
        ExportError: conversion or verification failed, a target can't run its file, or no decoder
            can be written; the directory is as it was.
        RunError: the RUN was not quantised.
    """
    from edge_retina.export.artefact import export_run
    from edge_retina.quantization.state import available_method, load_record

    method = request.method or available_method(context.run, context.config.quantize.method)
    planned = plan_files(
        context.config.name,
        targets=request.targets,
        precisions=request.precisions,
        nms=request.nms,
    )
    without_nms = [file.name for file in planned if file.form != NMS]
    check_targets(request.out, without_nms, request.decoders)
    if any(file.precision == "int8" for file in planned):
        record = load_record(context.run, method)
        _check_threshold(context.config.export.score_threshold, record.score_threshold)
        for file in planned:
            check_recipe(file.target, recipe_from_dict(record.recipe))
    return export_run(
        context.run,
        request.out,
        config=context.config,
        precisions=request.precisions,
        method=method,
        pictures=context.data.verification_images(),
        nms=request.nms,
        targets=request.targets,
        decoders=request.decoders,
        trained=context.float_model,
    )


def _check_threshold(wanted: float, quantised_for: float | None) -> None:
    """Refuse a threshold that lies below the range of the class logits.

    The range ends just below the threshold at quantisation: every lower score would be raised to
    its end, and pass.
    """
    if quantised_for is not None and wanted < quantised_for:
        raise ConfigError(
            f"export.score_threshold {wanted:g} is below the {quantised_for:g} that the int8 model "
            f"was quantised for; quantise again with --set export.score_threshold={wanted:g}, or "
            "raise it"
        )
