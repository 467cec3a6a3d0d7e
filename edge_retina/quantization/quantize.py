"""A trained RUN -> an int8-ready model, by calibration alone (PTQ) or with training (QAT)."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from edge_retina.calibration.selection import CalibrationSet, select_calibration
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.input_pipeline.pipeline import training_batches
from edge_retina.model.deploy import build_deploy_graph, join_levels
from edge_retina.model.keras import keras, tf
from edge_retina.model.predictor import KerasPredictor, anchor_grid, load_float_model
from edge_retina.progress import show_progress
from edge_retina.quantization.qat_step import make_qat_step
from edge_retina.quantization.quantized_model import QuantizedModel, build_quantized_model
from edge_retina.quantization.ranges import calibration_batches, measure_ranges
from edge_retina.quantization.state import QuantizationRecord, save_quantized
from edge_retina.run_directory import RunDirectory
from edge_retina.training.loop import LOG_EVERY_STEPS
from edge_retina.training.loss_window import LossWindow
from edge_retina.training.metrics_log import MetricsLog
from edge_retina.training.schedule import learning_rate_at
from edge_retina.training.trainer import steps_per_epoch

log = logging.getLogger(__name__)

# How fast ranges follow the batches while they may: a memory of about a hundred steps.
_RANGE_RATE = 0.01


def quantize_run(
    run: RunDirectory,
    config: Config,
    *,
    method: str,
    train: Sequence[Example],
    val: Sequence[Example],
) -> QuantizationRecord:
    """Quantise the float model of a RUN and save the result in it.

    Args:
        run: trained.
        config: resolved; `quantize` says how.
        method: "ptq" or "qat".
        train: gives the calibration pictures, and the batches of QAT.
        val: measured after QAT, for the log; may be empty.
    """
    labels = run.load_labels()
    deploy = build_deploy_graph(load_float_model(run))
    quantized = build_quantized_model(deploy)
    chosen = select_calibration(
        train, config.quantize.calibration_images, num_classes=len(labels), seed=config.seed
    )
    quantized.set_activation_ranges(_calibrated_ranges(deploy, chosen, train, config))
    steps = 0
    if method == "qat":
        steps = config.quantize.steps or config.quantize.epochs * steps_per_epoch(
            config, len(train)
        )
        _train_quantized(quantized, deploy, run=run, config=config, train=train, steps=steps)
        if val:
            _log_accuracy(quantized, config, labels, val)
    record = QuantizationRecord(
        method=method,
        calibration=dataclasses.asdict(chosen),
        steps=steps,
        ranges=quantized.activation_ranges(),
    )
    save_quantized(run.quantized_dir(method), quantized, record)
    return record


def _calibrated_ranges(
    deploy: keras.Model, chosen: CalibrationSet, train: Sequence[Example], config: Config
) -> dict[str, tuple[float, float]]:
    paths = {example.image_id: example.path for example in train}
    size = config.model.image_size
    return measure_ranges(
        deploy,
        calibration_batches([paths[image_id] for image_id in chosen.image_ids], (size, size)),
        score_threshold=config.export.score_threshold,
    )


def _train_quantized(
    quantized: QuantizedModel,
    deploy: keras.Model,
    *,
    run: RunDirectory,
    config: Config,
    train: Sequence[Example],
    steps: int,
) -> None:
    settings = config.quantize
    keras.utils.set_random_seed(config.seed)
    anchors_px = anchor_grid(config).boxes_px()
    variables = list(quantized.variables().values())
    optimizer = keras.optimizers.AdamW(
        settings.learning_rate, weight_decay=0.0, global_clipnorm=config.train.clip_norm or None
    )
    optimizer.build(variables)
    qat_step = make_qat_step(
        join_levels(quantized.model),
        join_levels(deploy) if settings.distillation else None,
        optimizer,
        variables=variables,
        anchors_px=anchors_px,
        loss=config.loss,
        distillation=settings.distillation,
    )
    batches = iter(training_batches(train, config, anchors_px))
    window = LossWindow(remedy="lower quantize.learning_rate")
    metrics = MetricsLog(run.quantized_dir("qat") / "metrics.jsonl", tensorboard=None)
    try:
        with show_progress("qat", steps) as progress:
            for step in range(steps):
                following = step < settings.freeze_ranges_at * steps
                quantized.range_rate.assign(_RANGE_RATE if following else 0.0)
                rate = learning_rate_at(
                    step,
                    peak=settings.learning_rate,
                    total_steps=steps,
                    warmup_steps=settings.warmup_steps,
                    final_fraction=config.train.final_learning_rate,
                )
                cls_loss, box_loss, distance = qat_step(*next(batches), tf.constant(rate))
                window.add(
                    step + 1,
                    images=config.train.batch_size,
                    cls_loss=float(cls_loss),
                    box_loss=float(box_loss),
                    distance=float(distance),
                )
                progress(step + 1, window.note())
                if (step + 1) % LOG_EVERY_STEPS == 0 or step + 1 == steps:
                    metrics.write(step + 1, learning_rate=rate, **window.take())
    finally:
        metrics.close()
    quantized.refresh_weight_ranges()


def _log_accuracy(
    quantized: QuantizedModel, config: Config, labels: tuple[str, ...], val: Sequence[Example]
) -> None:
    predictor = KerasPredictor(
        join_levels(quantized.model),
        anchors=anchor_grid(config),
        labels=labels,
        export=config.export,
    )
    result, _ = evaluate(predictor, val, labels=labels)
    log.info("fake-quantised: validation mAP %.3f, mAP50 %.3f", result.mAP, result.mAP50)
