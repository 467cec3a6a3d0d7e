"""The first stage: read and check the data, fit the anchors, fix the config."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

from edge_retina.config import Config
from edge_retina.datasets import Dataset, Example, load_dataset
from edge_retina.datasets.checks import find_broken_images
from edge_retina.errors import ConfigError, DatasetError, RunError
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.image import load_image
from edge_retina.workflow.anchors import anchor_coverage, resolve_anchors

log = logging.getLogger(__name__)

# Sections that a trained model depends on; the others may change afterwards.
_TRAINED_BY = ("seed", "data", "model", "anchors", "matching", "augmentation", "loss", "train")


@dataclass(frozen=True)
class PreparedData:
    """The data set of a run.

    Attributes:
        dataset: as read.
        train, val, test: its splits by their role; `val` and `test` may be empty.
    """

    dataset: Dataset
    train: tuple[Example, ...]
    val: tuple[Example, ...]
    test: tuple[Example, ...]


def read_data(config: Config) -> PreparedData:
    """Read the data set that a config names.

    Raises:
        ConfigError: it names none.
        DatasetError: it can't be used.
    """
    data = config.data
    if not data.path:
        raise ConfigError("data.path is empty; set it to the directory of the labelled pictures")
    dataset = load_dataset(data.path, skip_invalid=data.skip_invalid, seed=config.seed)
    splits = [
        dataset.split(name) if name else ()
        for name in (data.train_split, data.val_split, data.test_split)
    ]
    return PreparedData(dataset, *splits)


def check_data(prepared: PreparedData, *, skip_invalid: bool) -> PreparedData:
    """Decode every picture once, so that a broken one is found before an hour of training.

    Returns:
        The same data; with `skip_invalid` without the broken pictures.

    Raises:
        DatasetError: a picture is broken, or a split that is needed has no objects.
    """
    broken = find_broken_images([e for split in _splits(prepared) for e in split], load_image)
    if broken and not skip_invalid:
        more = f" (and {len(broken) - 1} more like it)" if len(broken) > 1 else ""
        raise DatasetError(f"{next(iter(broken.values()))}{more}, or set data.skip_invalid = true")
    for line in broken.values():
        log.warning("skipped: %s", line)
    prepared = PreparedData(
        prepared.dataset,
        *(tuple(e for e in split if e.path not in broken) for split in _splits(prepared)),
    )
    for role, split in zip(("train", "val", "test"), _splits(prepared), strict=True):
        if split and not any((~example.crowd).any() for example in split):
            raise DatasetError(
                f"{prepared.dataset.root}: the {role} split has no objects; check the annotations"
            )
    return prepared


def prepare_run(config: Config, run: RunDirectory) -> tuple[Config, PreparedData]:
    """Check the data, resolve the config and save both config and labels in the RUN.

    Raises:
        RunError: the RUN holds a model that was trained with other settings.
    """
    data_path = str(Path(config.data.path).resolve()) if config.data.path else ""
    config = config.replace(data=dataclasses.replace(config.data, path=data_path))
    prepared = check_data(read_data(config), skip_invalid=config.data.skip_invalid)
    config = resolve_anchors(config, prepared.train)
    _refuse_other_settings(config, run)
    run.save_labels(prepared.dataset.labels)
    run.save_config(config)
    coverage = anchor_coverage(
        config.anchors.shapes,
        prepared.train,
        image_size=config.model.image_size,
        min_level=config.model.min_level,
    )
    log.info(
        "%s: %d training pictures, %d classes; anchors reach %.1f %% of the objects (IoU >= 0.5)",
        prepared.dataset.name,
        len(prepared.train),
        len(prepared.dataset.labels),
        100 * coverage.best_possible_recall,
    )
    return config, prepared


def _refuse_other_settings(config: Config, run: RunDirectory) -> None:
    if not run.config_file.is_file():
        return
    old, new = run.load_config().to_dict(), config.to_dict()
    for section in _TRAINED_BY:
        a, b = old[section], new[section]
        if a != b:
            keys = [k for k in b if a.get(k) != b[k]] if isinstance(b, dict) else []
            where = f"{section}.{keys[0]}" if keys else section
            raise RunError(
                f"{run.root}: was begun with another {where}; give another --out, restore the "
                "setting, or delete the directory"
            )


def _splits(prepared: PreparedData) -> tuple[tuple[Example, ...], ...]:
    return prepared.train, prepared.val, prepared.test
