"""The first stage: read and check the data, fit the anchors, fix the config."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.config import Config
from edge_retina.datasets import Dataset, Example, load_dataset
from edge_retina.datasets.checks import find_broken_images
from edge_retina.datasets.example_table import pick
from edge_retina.datasets.objects import has_objects
from edge_retina.datasets.subset import draw_subset
from edge_retina.errors import ConfigError, DatasetError, RunError
from edge_retina.files import sha256_json
from edge_retina.int8.recipe import load_recipe
from edge_retina.run_directory import SCHEMA_VERSION, RunDirectory
from edge_retina.runtime.image import load_image
from edge_retina.workflow.anchors import anchor_coverage, resolve_anchors
from edge_retina.workflow.context import PreparedData, RunContext
from edge_retina.workflow.teacher import teacher_sha256
from edge_retina.workflow.warm_start import init_sha256

log = logging.getLogger(__name__)

# What a trained model depends on; other sections, and the free fields of these, may change
# afterwards.
_TRAINED_BY = ("seed", "data", "model", "matching", "augmentation", "loss", "train")
FREE_FIELDS = (
    "data.test_split",
    "data.cache_mb",
    "train.checkpoint_minutes",
    "train.distribution",
    "train.probe_images",
    "train.rate_range_steps",
    "train.teacher",  # its content is compared, wherever it is
    "train.init",  # so is its
    "augmentation.level",  # the fields that it set are compared
)


def read_data(config: Config, *, thorough: bool = False) -> PreparedData:
    """Read the data set that a config names; `thorough` as in `load_dataset`.

    Raises:
        ConfigError: it names none.
        DatasetError: it can't be used.
    """
    data = config.data
    if not data.path:
        raise ConfigError("data.path is empty; set it to the directory of the labelled pictures")
    dataset = load_dataset(
        data.path, skip_invalid=data.skip_invalid, seed=config.seed, thorough=thorough
    )
    train = dataset.split(data.train_split)
    if len(train) < data.train_images:
        log.warning(
            "data.train_images is %d, but split '%s' has only %d images; all are used",
            data.train_images,
            data.train_split,
            len(train),
        )
    others = [
        _optional_split(dataset, name, field=field)
        for field, name in (("val_split", data.val_split), ("test_split", data.test_split))
    ]
    train = draw_subset(train, data.train_images, seed=config.seed)
    return PreparedData(dataset, train, *others)


def _optional_split(dataset: Dataset, name: str, *, field: str) -> Sequence[Example]:
    """Return a split that a run can do without; the error of a missing one says how."""
    try:
        return dataset.split(name) if name else ()
    except DatasetError as error:
        raise DatasetError(
            f'{error}; name another with data.{field}, or set data.{field} = "" to do without one'
        ) from None


def check_data(prepared: PreparedData, *, skip_invalid: bool) -> PreparedData:
    """Decode every picture once, so that a broken one is found before an hour of training.

    Returns:
        The same data; with `skip_invalid` without the broken pictures.

    Raises:
        DatasetError: a picture is broken, or a split that is needed has no objects.
    """
    broken = find_broken_images(itertools.chain(*prepared.splits), load_image)
    if broken and not skip_invalid:
        more = f" (and {len(broken) - 1} more like it)" if len(broken) > 1 else ""
        raise DatasetError(f"{next(iter(broken.values()))}{more}, or set data.skip_invalid = true")
    for line in broken.values():
        log.warning("skipped: %s", line)
    prepared = PreparedData(
        prepared.dataset,
        *(_without(broken, split) for split in prepared.splits),
    )
    for role, split in zip(("train", "val", "test"), prepared.splits, strict=True):
        if split and not has_objects(split):
            raise DatasetError(
                f"{prepared.dataset.root}: the {role} split has no objects; check the annotations"
            )
    return prepared


def _without(broken: Mapping[Path, str], split: Sequence[Example]) -> Sequence[Example]:
    if not broken:
        return split
    return pick(split, [place for place, item in enumerate(split) if item.path not in broken])


def prepare_run(
    config: Config, run: RunDirectory, *, before_writing: Callable[[], None] = lambda: None
) -> RunContext:
    """Check settings and data, choose the anchors, and save what the RUN starts from.

    Args:
        config: of the RUN.
        run: new, or begun with these settings.
        before_writing: called when all checks have passed.

    Raises:
        ConfigError: a recipe or a pinned calibration set that can't be used.
        RunError: the RUN holds a model that was trained with other settings, on other data, by
            another teacher or from another start; or the teacher or the start can't be used.
    """
    config = _with_whole_paths(config)
    run.require_directory()
    load_recipe(config.quantize.recipe).check_method(config.quantize.method)
    prepared = read_data(config, thorough=True)
    teacher = teacher_sha256(config.train.teacher, run=run, labels=prepared.dataset.labels)
    init = init_sha256(config.train.init, run=run, model=config.model)
    prepared = check_data(prepared, skip_invalid=config.data.skip_invalid)
    fingerprint = sha256_json(prepared.fingerprint)
    if run.is_begun:
        _refuse_other_settings(config, run, _TRAINED_BY)
        if run.details("prepare").get("fingerprint", fingerprint) != fingerprint:
            raise RunError(
                f"{run.root}: images or labels in {prepared.dataset.root} have changed since it "
                "was begun; restore the data, or train in another directory"
            )
        if run.details("prepare").get("teacher", "") != teacher:
            raise RunError(
                f"{run.root}: was begun with another teacher, or the teacher's weights have "
                "changed; restore train.teacher, or train in another directory"
            )
        if run.details("prepare").get("init", "") != init:
            raise RunError(
                f"{run.root}: was begun from other weights, or they have changed; restore "
                "train.init (--init), or train in another directory"
            )
        grid = _anchors_of_begun(config, run, prepared)
    else:
        grid = resolve_anchors(config, prepared.train)
    context = RunContext(run, config, prepared, grid)
    _ = context.calibration_sha256  # a pinned set of other images is refused here
    before_writing()
    run.save_labels(prepared.dataset.labels)
    run.save_config(config)
    run.save_anchors(grid)
    others = {name: value for name, value in (("teacher", teacher), ("init", init)) if value}
    run.mark_done(
        "prepare", {"schema_version": SCHEMA_VERSION, "fingerprint": fingerprint, **others}
    )
    coverage = anchor_coverage(grid, prepared.train)
    classes = len(prepared.dataset.labels)
    log.info(
        "%s: %d training images, %d %s; %.1f %% of the objects have an anchor with IoU >= 0.5",
        prepared.dataset.name,
        len(prepared.train),
        classes,
        "class" if classes == 1 else "classes",
        100 * coverage.best_possible_recall,
    )
    return context


def open_run(run: RunDirectory, *, overrides: Sequence[str], decode: bool = True) -> RunContext:
    """Return a trained RUN with `section.field=value` overrides.

    Args:
        run: the RUN.
        overrides: of fields that a trained model doesn't depend on.
        decode: decode every image once, to find broken ones.

    Raises:
        RunError: it is not trained, or an override would change what the weights were made for.
        ConfigError: an override names no field, or a value that is not allowed.
    """
    config = run.load_config(overrides=overrides)
    run.require(run.float_weights, "train")
    _refuse_other_settings(config, run, ["model", "anchors"])
    prepared = read_data(config)
    if decode:
        prepared = check_data(prepared, skip_invalid=config.data.skip_invalid)
    return RunContext(run, config, prepared, run.load_anchors())


def _with_whole_paths(config: Config) -> Config:
    """Return a config whose paths don't depend on the working directory."""
    data, train = config.data, config.train
    return config.replace(
        data=dataclasses.replace(data, path=_whole(data.path)),
        train=dataclasses.replace(train, teacher=_whole(train.teacher), init=_whole(train.init)),
    )


def _whole(path: str) -> str:
    return str(Path(path).resolve()) if path else ""


def _anchors_of_begun(config: Config, run: RunDirectory, prepared: PreparedData) -> AnchorGrid:
    """Return a begun RUN's anchors; refuse settings of anchors that give others.

    With the same settings and data nothing is fitted again: another version, of this package or of
    NumPy, may fit a little differently, and the weights are for the anchors that are there.
    """
    grid, begun_with = run.load_anchors(), run.load_config().anchors
    if not run.anchors_file.is_file():  # before 0.2 the fitted shapes were kept in the config
        begun_with = dataclasses.replace(begun_with, shapes=config.anchors.shapes)
    if config.anchors != begun_with and resolve_anchors(config, prepared.train) != grid:
        raise RunError(
            f"{run.root}: was begun with other anchors; restore the settings, or train in "
            "another directory"
        )
    return grid


def _refuse_other_settings(config: Config, run: RunDirectory, sections: Sequence[str]) -> None:
    old, new = run.load_config().to_dict(), config.to_dict()
    for section in sections:
        before, now = _fields(section, old[section]), _fields(section, new[section])
        for key, value in now.items():
            if before[key] != value and key not in FREE_FIELDS:
                raise RunError(
                    f"{run.root}: was begun with another {key}; restore the setting, or train in "
                    "another directory"
                )


def _fields(section: str, value: Any) -> dict[str, Any]:
    """Return the fields of a section by their whole names; a top-level field stands for itself."""
    if not isinstance(value, dict):
        return {section: value}
    return {f"{section}.{key}": item for key, item in value.items()}
