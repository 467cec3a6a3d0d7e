"""The families that can be imported, by name."""

from __future__ import annotations

from edge_retina.errors import ModelError
from edge_retina.imports import model_garden, od_fpnlite
from edge_retina.imports.checkpoint import Checkpoint
from edge_retina.imports.family import Family

FAMILIES: dict[str, Family] = {
    "od_fpnlite": od_fpnlite.FAMILY,
    "model_garden": model_garden.FAMILY,
}


def family_of(checkpoint: Checkpoint) -> tuple[str, Family]:
    """Return the family of a checkpoint, with its name.

    Raises:
        ModelError: none of them.
    """
    for name, family in FAMILIES.items():
        if family.recognise(checkpoint):
            return name, family
    known = ", ".join(family.title for family in FAMILIES.values())
    raise ModelError(f"{checkpoint.path}: is of no network that can be imported; expected: {known}")
