"""Float, simulation and .tflite file of a RUN, compared layer by layer."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, diagnose_quantization
from edge_retina.runtime.image import load_image, normalize, stretch
from edge_retina.workflow.context import RunContext

_ABLATION_BATCH = 8


def examine_quantization(
    context: RunContext,
    *,
    method: str | None,
    images: Sequence[Path],
    file: Path | None = None,
    ablate: bool = False,
) -> QuantizationDiagnosis | None:
    """Compare the int8 model of a RUN with its float model, layer by layer.

    Args:
        context: quantised by `method`.
        method: "ptq" or "qat"; None for the one there is, or that of the config.
        images: real ones.
        file: the .tflite file that was exported from this very model; None to convert it anew.
        ablate: also try every layer in float.

    Returns:
        The diagnosis; None for a model without quantised activations, which has nothing to compare.

    Raises:
        RunError: the RUN was not quantised by this method.
    """
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import detection_function
    from edge_retina.quantization.ablation import ablate_layers
    from edge_retina.quantization.microscope import compare_layers
    from edge_retina.quantization.state import (
        available_method,
        float_twin,
        load_quantized,
        load_record,
    )

    run, export = context.run, context.config.export
    method = method or available_method(run, context.config.quantize.method)
    load_record(run, method)  # first: what is missing is told before a network is built
    quantized, record = load_quantized(
        run, method, trained=context.float_model, engine=context.config.quantize.engine
    )
    if not quantized.activation_ranges():
        return None
    deploy = float_twin(run, quantized, record, trained=context.float_model)
    inputs = [stretch(load_image(path), context.grid.image_hw) for path in images]
    gains = {}
    if ablate:
        batches = [
            normalize(np.stack(inputs[first : first + _ABLATION_BATCH]))
            for first in range(0, len(inputs), _ABLATION_BATCH)
        ]
        gains = ablate_layers(deploy, quantized, batches, score_threshold=export.score_threshold)
    with tempfile.TemporaryDirectory() as directory:
        if file is None:
            file = Path(directory) / "int8.tflite"
            function = detection_function(quantized.model, anchors=context.grid, export=export)
            file.write_bytes(convert(function, int8=True))
        seen = compare_layers(
            deploy, quantized, inputs, score_threshold=export.score_threshold, file=file
        )
    return diagnose_quantization(
        seen.layers,
        method=record.method,
        pictures=len(inputs),
        unmatched=(*seen.unmatched_layers, *seen.unmatched_tensors),
        ablation=gains,
    )
