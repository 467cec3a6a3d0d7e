"""The evidence that `doctor RUN` rests on: what a RUN left, and its network on some pictures."""

from __future__ import annotations

from collections.abc import Sequence

from edge_retina.benchmark.backends import XNNPACK, open_model
from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets.schema import Example
from edge_retina.datasets.subset import spread
from edge_retina.doctor.run.evidence import (
    DATA,
    LOG,
    PROBE,
    SCORES,
    TRAIN,
    UPDATES,
    VAL,
    RunEvidence,
)
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.rate_range import read_rate_range
from edge_retina.doctor.run.training_log import TrainingLog, read_training_log
from edge_retina.errors import EdgeRetinaError, RunError
from edge_retina.progress import ProgressUpdate
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.image import load_image
from edge_retina.workflow.prepare import read_data

TRAIN_IMAGES, VAL_IMAGES = 100, 150
_OLDER = "an older version wrote its metrics.jsonl; train it again to have it judged"


def gather_evidence(
    run: RunDirectory, *, overrides: Sequence[str] = (), progress: ProgressUpdate | None = None
) -> RunEvidence:
    """Collect what there is; what can't be had is named in `missing` instead.

    Args:
        run: finished or not.
        overrides: `section.field=value`, such as `data.path` where the data have moved.
        progress: told after each image.

    Raises:
        RunError: not a RUN at all, or its rate_range.json is not of the format.
        ConfigError: an override names no field, or a value that is not allowed.
    """
    if not run.config_file.is_file():
        raise RunError(f"{run.root}: is not a run directory (it has no config.toml)")
    config = run.load_config(overrides=overrides)
    missing: dict[str, str] = {}
    log = _log(run, missing)
    train_examples, val_examples, val_name = _data(config, missing)
    grid = _grid(run, config, train_examples, missing)
    labels = run.load_labels() if run.labels_file.is_file() else ()
    outputs: dict[str, Outputs] = {}
    if not run.float_weights.is_file():
        reason = f"no trained weights ({run.float_weights}); finish 'edge-retina train'"
        missing |= {TRAIN: reason, VAL: reason}
    elif train_examples is not None and grid is not None:
        chosen = {config.data.train_split: spread(train_examples, TRAIN_IMAGES)}
        if val_name == config.data.train_split:
            missing[VAL] = f"'{val_name}' is the split of the training too"
        elif val_examples:
            chosen[val_name] = spread(val_examples, VAL_IMAGES)
        else:
            missing[VAL] = "the data set has no validation or test split"
        outputs = _run_network(run, config, grid, labels, chosen, missing, progress)
    return RunEvidence(
        name=str(run.root),
        config=config,
        labels=labels,
        log=log,
        train_examples=train_examples,
        grid=grid,
        train=outputs.get(config.data.train_split),
        rate_range=read_rate_range(run.rate_range_file),
        val=None if VAL in missing else outputs.get(val_name),
        missing=missing,
    )


def int8_detections(run: RunDirectory, evidence: RunEvidence) -> list[Detections] | None:
    """Return what the RUN's int8 file finds on the pictures of `evidence.val`.

    None if there is no such file, or nothing to compare.
    """
    file = run.export_dir / f"{evidence.config.name}_int8.tflite"
    outputs = evidence.val or evidence.train
    if outputs is None or not file.is_file():
        return None
    model = open_model(file, XNNPACK)
    return [model.predict(load_image(example.path)) for example in outputs.examples]


def _log(run: RunDirectory, missing: dict[str, str]) -> TrainingLog | None:
    try:
        log = read_training_log(run.metrics_file)
    except RunError as error:
        missing |= dict.fromkeys((LOG, UPDATES, SCORES, PROBE), str(error))
        return None
    if not log.steps:
        reason = f"{run.metrics_file}: has no losses yet"
        missing |= dict.fromkeys((LOG, UPDATES, SCORES, PROBE), reason)
        return None
    if not log.has("update_ratio_box_head"):
        missing[UPDATES] = f"no update ratios: {_OLDER}"
    if not log.has("positive_score_p50"):
        missing[SCORES] = f"no scores of positive anchors: {_OLDER}"
    if not log.last_probe:
        missing[PROBE] = (
            "no losses on fixed images: training has not come to an evaluation, "
            f"train.probe_images is 0, or {_OLDER}"
        )
    return log


def _data(
    config: Config, missing: dict[str, str]
) -> tuple[Sequence[Example] | None, Sequence[Example], str]:
    """Return the training split, the split to measure on (val, else test), and its name."""
    try:
        data = read_data(config)
    except EdgeRetinaError as error:
        reason = f"the data can't be read: {error}"
        missing |= {DATA: reason, TRAIN: reason, VAL: reason}
        return None, (), ""
    names = config.data
    if data.val:
        return data.train, data.val, names.val_split
    return data.train, data.test, names.test_split


def _grid(
    run: RunDirectory,
    config: Config,
    examples: Sequence[Example] | None,
    missing: dict[str, str],
) -> AnchorGrid | None:
    try:
        return run.load_anchors()
    except RunError as error:
        missing |= {DATA: missing.get(DATA, str(error)), TRAIN: str(error), VAL: str(error)}
        return None


def _run_network(
    run: RunDirectory,
    config: Config,
    grid: AnchorGrid,
    labels: tuple[str, ...],
    chosen: dict[str, Sequence[Example]],
    missing: dict[str, str],
    progress: ProgressUpdate | None,
) -> dict[str, Outputs]:
    from edge_retina.model.predictor import KerasPredictor, load_float_model

    try:
        model = load_float_model(run)
    except RunError as error:
        missing |= {TRAIN: str(error), VAL: str(error)}
        return {}
    predictor = KerasPredictor(model, anchors=grid, labels=labels, export=config.export)
    total, done = sum(map(len, chosen.values())), 0
    found = {}
    for split, examples in chosen.items():
        raw = []
        for example in examples:
            raw.append(predictor.invoke(predictor.preprocess(load_image(example.path))))
            done += 1
            if progress is not None:
                progress(done, total=total)
        found[split] = Outputs(split, examples, tuple(raw), grid, config.export, labels)
    return found
