"""Calibration sets as files, so that a quantisation can be repeated on another machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.errors import ConfigError
from edge_retina.files import load_json, write_json
from edge_retina.int8.selection import CalibrationSet, calibration_set
from edge_retina.schema import Reader

SCHEMA_VERSION = 1
_REMEDY = "write it again with 'edge-retina quantize --pin FILE'"


@dataclass(frozen=True)
class _PinnedSet:
    """The JSON document."""

    schema_version: int
    image_ids: tuple[str, ...]
    seed: int
    strategy: str
    sha256: str
    dataset: str = ""
    split: str = ""


def write_pinned(path: Path, chosen: CalibrationSet, *, dataset: str, split: str) -> None:
    """Write a calibration set as JSON."""
    head = {"schema_version": SCHEMA_VERSION, "dataset": dataset, "split": split}
    write_json(path, head | dataclasses.asdict(chosen))


def read_pinned(path: Path, *, known: Collection[str]) -> CalibrationSet:
    """Read a calibration set.

    Args:
        path: of the JSON file.
        known: ids of the training pictures.

    Raises:
        ConfigError: unreadable, changed since it was written, or of other pictures.
    """
    pinned = Reader(str(path), ConfigError, remedy=_REMEDY).read(_PinnedSet, _read(path))
    if pinned.schema_version != SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: schema_version is {pinned.schema_version}, expected {SCHEMA_VERSION}; "
            f"{_REMEDY}"
        )
    ids = pinned.image_ids
    if not ids or len(set(ids)) < len(ids):
        what = "names an image twice" if ids else "is empty"
        raise ConfigError(f"{path}: image_ids {what}; {_REMEDY}")
    chosen = calibration_set(ids, seed=pinned.seed, strategy=pinned.strategy)
    if chosen.sha256 != pinned.sha256:
        raise ConfigError(f"{path}: image_ids don't match their sha256; {_REMEDY}")
    missing = [image_id for image_id in chosen.image_ids if image_id not in known]
    if missing:
        raise ConfigError(
            f"{path}: {len(missing)} of its {len(ids)} images are not in the training split, "
            f"the first is {missing[0]}; it belongs to another data set or split"
        )
    return chosen


def _read(path: Path) -> Any:
    try:
        return load_json(path)
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"quantize.calibration_set {path}: can't be read ({reason})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error}); {_REMEDY}") from None
