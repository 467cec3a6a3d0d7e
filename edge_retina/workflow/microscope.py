"""Float, simulation and .tflite file of a RUN, compared layer by layer."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_retina.config import Config
from edge_retina.doctor.int8.diagnosis import QuantizationDiagnosis, diagnose_quantization
from edge_retina.errors import RunError
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.image import load_image, normalize, stretch

_ABLATION_BATCH = 8


def examine_quantization(
    run: RunDirectory,
    config: Config,
    *,
    method: str | None,
    pictures: Sequence[Path],
    ablate: bool = False,
) -> QuantizationDiagnosis:
    """Put the int8 model of a RUN under the microscope.

    The model is converted anew, so that file and simulation are the same model.

    Args:
        run: quantised by `method`.
        config: of the run.
        method: "ptq" or "qat"; None for the one there is, or that of the config.
        pictures: real ones.
        ablate: also try every layer in float.

    Raises:
        RunError: the RUN was not quantised by this method, or only its weights were.
    """
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import detection_function
    from edge_retina.model.predictor import anchor_grid
    from edge_retina.quantization.ablation import ablate_layers
    from edge_retina.quantization.microscope import compare_layers
    from edge_retina.quantization.state import available_method, float_twin, load_quantized

    method = method or available_method(run, config.quantize.method)
    quantized, record = load_quantized(run, method)
    if not quantized.activation_ranges():
        raise RunError(
            f"{run.root}: its {record.method} model has no quantised activations "
            f"({record.recipe['description']}); there is nothing to compare"
        )
    deploy = float_twin(run, quantized, record)
    threshold = config.export.score_threshold
    function = detection_function(
        quantized.model, anchors=anchor_grid(config), export=config.export
    )
    images = [stretch(load_image(path), config.model.image_hw) for path in pictures]
    gains = {}
    if ablate:
        batches = [
            normalize(np.stack(images[first : first + _ABLATION_BATCH]))
            for first in range(0, len(images), _ABLATION_BATCH)
        ]
        gains = ablate_layers(deploy, quantized, batches, score_threshold=threshold)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "int8.tflite"
        file.write_bytes(convert(function, int8=True))
        seen = compare_layers(deploy, quantized, images, score_threshold=threshold, file=file)
    return diagnose_quantization(
        seen.layers,
        method=record.method,
        pictures=len(images),
        unmatched=(*seen.unmatched_layers, *seen.unmatched_tensors),
        ablation=gains,
    )
