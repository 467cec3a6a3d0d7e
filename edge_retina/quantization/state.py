"""A quantised model on disk: folded weights, activation ranges, and how they came to be."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.config import QuantizeConfig
from edge_retina.errors import RunError, first_line
from edge_retina.files import atomic_path, load_json, write_json
from edge_retina.int8.recipe import Recipe, recipe_from_dict
from edge_retina.model.deploy import build_deploy_graph
from edge_retina.model.keras import keras
from edge_retina.model.predictor import load_float_model
from edge_retina.quantization.kernels import kernel_of
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.quantization.wrapping import build_quantized_model
from edge_retina.run_directory import RunDirectory
from edge_retina.schema import Reader

_WEIGHTS, _RECORD = "weights.npz", "quantization.json"
# What numpy and zipfile raise for a damaged archive, and Keras for arrays of another network
_DAMAGED = (
    *(OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error),
    *(LookupError, TypeError, OverflowError, MemoryError, RuntimeError),
)


@dataclass(frozen=True)
class QuantizationRecord:
    """How a quantised model was made.

    Attributes:
        method: "ptq" or "qat".
        calibration: image ids, seed and hash of the calibration set.
        steps: of QAT; 0 for PTQ.
        ranges: (low, high) of every quantised output by layer name.
        recipe: what was quantised how, see `Recipe`.
        options: the fields of the config's `quantize` section that changed the float graph or the
            ranges.
        score_threshold: class-logit ranges end just below it; None for records of older versions.
        best_step: whose weights were kept, by the accuracy of the fake-quantised model on the
            validation split; 0 if they were not compared.
        choice: which state that is and what it scored beside PTQ, in words; "" for PTQ itself.
    """

    method: str
    calibration: dict[str, Any]
    steps: int
    ranges: dict[str, tuple[float, float]]
    recipe: dict[str, Any] = field(default_factory=lambda: Recipe().to_dict())
    options: dict[str, Any] = field(default_factory=dict)
    best_step: int = 0
    score_threshold: float | None = None
    choice: str = ""


def save_quantized(directory: Path, quantized: QuantizedModel, record: QuantizationRecord) -> None:
    """Write weights, then the record, whose presence says that both are whole."""
    with atomic_path(directory / _WEIGHTS) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **quantized.weights())  # type: ignore[arg-type]  # numpy types **kwds so
    write_json(directory / _RECORD, asdict(record))


def available_method(run: RunDirectory, preferred: str) -> str:
    """Return how a RUN was quantised; `preferred` where it was by both methods or neither."""
    methods = [m for m in ("qat", "ptq") if (run.quantized_dir(m) / _RECORD).is_file()]
    return methods[0] if len(methods) == 1 else preferred


def load_record(run: RunDirectory, method: str) -> QuantizationRecord:
    """Read how the quantised model of a RUN was made.

    Raises:
        RunError: the RUN was not quantised by this method.
    """
    path = run.require(run.quantized_dir(method) / _RECORD, f"quantize --method {method}")
    try:
        tree = load_json(path)
    except ValueError as error:
        raise RunError(f"{path}: damaged ({error}); quantize again") from None
    reader = Reader(str(path), RunError, remedy="quantize again")
    return reader.read(QuantizationRecord, tree)


def deploy_graph(trained: keras.Model, recipe: Recipe, *, relu: str) -> keras.Model:
    """Build the deploy graph that a recipe needs; `relu` is "relu6" or "relu"."""
    int16 = recipe.activations == "int16"
    return build_deploy_graph(trained, relu6=relu == "relu6", resize=int16)


def load_quantized(
    run: RunDirectory,
    method: str,
    *,
    trained: keras.Model | None = None,
    engine: str = QuantizeConfig.engine,
) -> tuple[QuantizedModel, QuantizationRecord]:
    """Rebuild the quantised model of a RUN.

    Args:
        run: quantised by `method`.
        method: "ptq" or "qat".
        trained: the RUN's float model, if it is built already; it is left as it is.
        engine: who fake-quantises; not necessarily who did when the RUN was quantised.

    Raises:
        RunError: the RUN was not quantised by this method, or its weights are damaged.
        ConfigError: the engine is not installed.
    """
    record = load_record(run, method)
    recipe = recipe_from_dict(record.recipe)
    deploy = deploy_graph(trained or load_float_model(run), recipe, relu=_relu(record))
    quantized = build_quantized_model(deploy, recipe, engine=engine)
    weights = run.require_unchanged(
        run.quantized_dir(method) / _WEIGHTS,
        stage=f"quantize-{method}",
        made_by=f"quantize --method {method}",
    )
    load_weights(quantized, weights)
    try:
        quantized.set_activation_ranges(record.ranges)
    except KeyError as error:
        where = run.quantized_dir(method) / _RECORD
        raise RunError(f"{where}: has no range of {error}; quantize again") from None
    return quantized, record


def load_weights(quantized: QuantizedModel, path: Path) -> None:
    """Set kernels and biases from the file of `save_quantized`.

    Raises:
        RunError: damaged, or of another network.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            quantized.set_weights(dict(arrays))
    except _DAMAGED as error:
        raise RunError(f"{path}: damaged ({first_line(error)}); quantize again") from None


def float_twin(
    run: RunDirectory,
    quantized: QuantizedModel,
    record: QuantizationRecord,
    *,
    trained: keras.Model | None = None,
) -> keras.Model:
    """Return the deploy graph with the weights of a quantised model, not quantised.

    What differs between the two is quantisation alone, also after QAT has moved the weights.

    Args:
        run: of the quantised model.
        quantized: from `load_quantized`.
        record: likewise.
        trained: the RUN's float model, if it is built already; it is left as it is.
    """
    twin = deploy_graph(trained or load_float_model(run), quantized.recipe, relu=_relu(record))
    for name, value in quantized.weights().items():
        layer, part = name.split("/")
        target = twin.get_layer(layer)
        (kernel_of(target) if part == "kernel" else target.bias).assign(value)
    return twin


def _relu(record: QuantizationRecord) -> str:
    return record.options.get("relu", "relu6")
