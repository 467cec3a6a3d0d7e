"""The first stage: read and check the data, fit the anchors, fix the config."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.config import Config
from edge_retina.datasets import Dataset, Example, annotations_sha256, load_dataset
from edge_retina.datasets.checks import find_broken_images
from edge_retina.errors import ConfigError, DatasetError, RunError
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.image import load_image
from edge_retina.workflow.anchors import anchor_coverage, resolve_anchors

log = logging.getLogger(__name__)

_VERIFIED_PICTURES = 16
# What a trained model depends on; other sections, and the free fields of these, may change
# afterwards.
_TRAINED_BY = ("seed", "data", "model", "matching", "augmentation", "loss", "train")
_FREE_FIELDS = ("data.test_split", "data.cache_mb", "train.checkpoint_minutes")


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

    def verification_pictures(self) -> list[Path]:
        """Return some pictures on which an exported file is compared with its model."""
        return [example.path for example in (self.val or self.train)[:_VERIFIED_PICTURES]]

    def fingerprint(self) -> list[Any]:
        """Return what a trained model depends on: class names, hashes of the labelled pictures."""
        return [self.dataset.labels, annotations_sha256(self.train), annotations_sha256(self.val)]


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
        RunError: the RUN holds a model that was trained with other settings or on other data.
    """
    data_path = str(Path(config.data.path).resolve()) if config.data.path else ""
    config = config.replace(data=dataclasses.replace(config.data, path=data_path))
    prepared = check_data(read_data(config), skip_invalid=config.data.skip_invalid)
    config = resolve_anchors(config, prepared.train)
    if _is_begun(run):
        _refuse_other_settings(config, run, _TRAINED_BY)
        _refuse_other_data(prepared, run)
        # Last, because fitted shapes follow from the settings and the data.
        _refuse_other_settings(config, run, ["anchors"])
    run.save_labels(prepared.dataset.labels)
    run.save_config(config)
    run.mark_done("prepare", prepared.fingerprint())
    coverage = anchor_coverage(
        config.anchors.shapes,
        prepared.train,
        image_hw=config.model.image_hw,
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


def trained_config(run: RunDirectory, *, overrides: Sequence[str]) -> Config:
    """Return the config of a trained RUN with `section.field=value` overrides.

    Raises:
        RunError: it is not trained, or an override would change what the weights were made for.
        ConfigError: an override names no field, or a value that is not allowed.
    """
    config = run.load_config(overrides=overrides)
    run.require(run.float_weights, "train")
    _refuse_other_settings(config, run, ["model", "anchors"])
    return config


def _is_begun(run: RunDirectory) -> bool:
    """Whether there is anything trained in a RUN; if not, nothing is lost by other settings."""
    return run.float_weights.exists() or any(run.checkpoint_dir.glob("*"))


def _refuse_other_settings(config: Config, run: RunDirectory, sections: Sequence[str]) -> None:
    old, new = run.load_config().to_dict(), config.to_dict()
    for section in sections:
        before, now = _fields(section, old[section]), _fields(section, new[section])
        for key, value in now.items():
            if before[key] != value and key not in _FREE_FIELDS:
                raise RunError(
                    f"{run.root}: was begun with another {key}; restore the setting, or train in "
                    "another directory"
                )


def _fields(section: str, value: Any) -> dict[str, Any]:
    """Return the fields of a section by their whole names; a top-level field stands for itself."""
    if not isinstance(value, dict):
        return {section: value}
    return {f"{section}.{key}": item for key, item in value.items()}


def _refuse_other_data(prepared: PreparedData, run: RunDirectory) -> None:
    if run.details("prepare") and not run.is_done("prepare", prepared.fingerprint()):
        raise RunError(
            f"{run.root}: pictures or labels in {prepared.dataset.root} have changed since it was "
            "begun; restore the data, or train in another directory"
        )


def _splits(prepared: PreparedData) -> tuple[tuple[Example, ...], ...]:
    return prepared.train, prepared.val, prepared.test
