"""Calibration sets as files, so that a quantisation can be repeated on another machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edge_retina.calibration.selection import CalibrationSet, calibration_set
from edge_retina.errors import ConfigError
from edge_retina.files import write_json

SCHEMA_VERSION = 1


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
    tree = _read(path)
    ids, seed, strategy = (tree.get(key) for key in ("image_ids", "seed", "strategy"))
    if not (isinstance(ids, list) and ids and all(isinstance(i, str) for i in ids)):
        raise ConfigError(f"{path}: image_ids must be a list of picture names; {_MEND}")
    if tree.get("schema_version") != SCHEMA_VERSION:
        raise ConfigError(
            f"{path}: schema_version is {tree.get('schema_version')!r}, expected {SCHEMA_VERSION}; "
            f"{_MEND}"
        )
    if len(set(ids)) < len(ids):
        raise ConfigError(f"{path}: image_ids names a picture twice; {_MEND}")
    if not isinstance(seed, int) or not isinstance(strategy, str):
        raise ConfigError(f"{path}: seed or strategy is missing; {_MEND}")
    chosen = calibration_set(ids, seed=seed, strategy=strategy)
    if chosen.sha256 != tree.get("sha256"):
        raise ConfigError(f"{path}: image_ids don't fit their sha256; {_MEND}")
    missing = [image_id for image_id in chosen.image_ids if image_id not in known]
    if missing:
        raise ConfigError(
            f"{path}: {len(missing)} of its {len(ids)} pictures are not in the training split, "
            f"the first is {missing[0]}; it belongs to another data set or split"
        )
    return chosen


_MEND = "write it again with 'edge-retina quantize --pin FILE'"


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"quantize.calibration_set {path}: can't be read ({reason})") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON ({error}); {_MEND}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected an object with image_ids; {_MEND}")
    return tree
