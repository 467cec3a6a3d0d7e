"""A trained RUN -> an int8-ready model, by calibration alone (PTQ) or with training (QAT)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config, ExportConfig, QuantizeConfig
from edge_retina.datasets.schema import Example
from edge_retina.int8.pinned import read_pinned
from edge_retina.int8.recipe import Recipe, load_recipe
from edge_retina.int8.selection import CalibrationSet, select_calibration
from edge_retina.model.deploy import join_levels
from edge_retina.model.keras import keras
from edge_retina.model.predictor import KerasPredictor, load_float_model
from edge_retina.model.retinanet import build_retinanet
from edge_retina.quantization.bias_correction import correct_biases
from edge_retina.quantization.engines import wrap_of
from edge_retina.quantization.equalization import equalize
from edge_retina.quantization.fusion import computing_layers
from edge_retina.quantization.qat import train_quantized
from edge_retina.quantization.quantized_model import QuantizedModel
from edge_retina.quantization.ranges import calibration_batches, measure_ranges
from edge_retina.quantization.state import QuantizationRecord, deploy_graph, save_quantized
from edge_retina.quantization.trained_states import Choice
from edge_retina.quantization.wrapping import build_quantized_model
from edge_retina.run_directory import RunDirectory
from edge_retina.training.schedule import total_steps

log = logging.getLogger(__name__)

_OPTIONS = ("relu", "equalize", "correct_bias", "ranges", "percentile")


def quantize_run(
    run: RunDirectory,
    config: Config,
    *,
    method: str,
    train: Sequence[Example],
    val: Sequence[Example],
    trained: keras.Model | None = None,
) -> QuantizationRecord:
    """Quantise the float model of a RUN and save the result in it.

    Args:
        run: trained.
        config: `quantize` says how.
        method: "ptq" or "qat".
        train: gives the calibration pictures, and the batches of QAT.
        val: chooses the state of QAT that is kept; may be empty.
        trained: the RUN's float model, if it is built already; it is left as it is.

    Raises:
        ConfigError: the recipe or the pinned calibration set doesn't fit, or the engine is not
            installed.
    """
    quantized, record = quantize_model(
        trained or load_float_model(run),
        config,
        grid=run.load_anchors(),
        method=method,
        train=train,
        val=val,
        labels=run.load_labels(),
        metrics_file=run.quantized_dir(method) / "metrics.jsonl",
    )
    save_quantized(run.quantized_dir(method), quantized, record)
    return record


def quantize_model(
    trained: keras.Model,
    config: Config,
    *,
    grid: AnchorGrid,
    method: str,
    train: Sequence[Example],
    val: Sequence[Example],
    labels: tuple[str, ...],
    metrics_file: Path | None = None,
) -> tuple[QuantizedModel, QuantizationRecord]:
    """Quantise a float model; see `quantize_run`.

    Args:
        trained: from `build_retinanet`, with its weights.
        config: as for `quantize_run`.
        grid: the anchors.
        method: as for `quantize_run`.
        train: likewise.
        val: likewise.
        labels: class names by index.
        metrics_file: where QAT logs its losses; None for nowhere.

    Raises:
        ConfigError: the recipe or the pinned calibration set doesn't fit, or the engine is not
            installed.
    """
    settings = config.quantize
    recipe = load_recipe(settings.recipe)
    recipe.check_method(method)
    chosen = choose_calibration(settings, train, num_classes=len(labels), seed=config.seed)
    batches = _batches(chosen, train, config.model.image_hw)
    deploy = deploy_graph(trained, recipe, relu=settings.relu)
    if settings.equalize:
        log.info("equalised %d pairs of layers", equalize(deploy))
    quantized = build_quantized_model(deploy, recipe, engine=settings.engine)
    ranges = measure_ranges(
        deploy,
        batches,
        score_threshold=config.export.score_threshold,
        method=settings.ranges,
        percentile=settings.percentile,
        shared_levels=recipe.share_levels,
    )
    quantized.set_activation_ranges(ranges)
    if settings.correct_bias:
        correct_biases(quantized, deploy, batches)
    steps, choice = 0, Choice(0)
    if method == "qat":
        steps = total_steps(settings, images=len(train), batch_size=config.train.batch_size)
        choice = train_quantized(
            quantized,
            join_levels(deploy_graph(trained, Recipe(), relu="relu6")),
            config=config,
            grid=grid,
            train=train,
            val=val,
            labels=labels,
            steps=steps,
            metrics_file=metrics_file,
        )
    quantized.round_biases()
    return quantized, QuantizationRecord(
        method=method,
        calibration=dataclasses.asdict(chosen),
        steps=steps,
        ranges=quantized.activation_ranges(),
        recipe=recipe.to_dict(),
        options={name: getattr(settings, name) for name in _OPTIONS},
        best_step=choice.step,
        choice=choice.sentence() if steps else "",
        score_threshold=config.export.score_threshold,
    )


def check_quantization(config: Config, *, grid: AnchorGrid, num_classes: int) -> None:
    """Refuse what can't be quantised with these settings, before an hour is spent on training.

    Args:
        config: of the run.
        grid: the anchors.
        num_classes: K.

    Raises:
        ConfigError: the recipe can't be read, or names a layer that doesn't exist; or the engine
            is not installed.
    """
    wrap_of(config.quantize.engine)
    recipe = load_recipe(config.quantize.recipe)
    if recipe.layers:
        model = build_retinanet(config.model, num_classes=num_classes, anchors=grid)
        recipe.check_layers(computing_layers(deploy_graph(model, recipe, relu="relu6")))


def choose_calibration(
    settings: QuantizeConfig, train: Sequence[Example], *, num_classes: int, seed: int
) -> CalibrationSet:
    """Return the pinned calibration set of the settings, else one that is chosen.

    Args:
        settings: say which, and how it is chosen.
        train: the training split.
        num_classes: K.
        seed: of the choice.

    Raises:
        ConfigError: the pinned set is damaged or belongs to other pictures.
    """
    if settings.calibration_set:
        known = {example.image_id for example in train}
        return read_pinned(Path(settings.calibration_set), known=known)
    return select_calibration(
        train,
        settings.calibration_images,
        num_classes=num_classes,
        seed=seed,
        strategy=settings.calibration_selection,
    )


def quantized_predictor(
    quantized: QuantizedModel, *, grid: AnchorGrid, labels: tuple[str, ...], export: ExportConfig
) -> KerasPredictor:
    """Return the fake-quantised model as a Predictor."""
    return KerasPredictor(
        join_levels(quantized.model),
        anchors=grid,
        labels=labels,
        export=export,
    )


def _batches(
    chosen: CalibrationSet, train: Sequence[Example], image_hw: tuple[int, int]
) -> list[np.ndarray]:
    paths = {example.image_id: example.path for example in train}
    chosen_paths = [paths[image_id] for image_id in chosen.image_ids]
    return calibration_batches(chosen_paths, image_hw)
