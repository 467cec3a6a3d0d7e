"""A trained detector to start a training from: found, and read without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.config import ModelConfig
from edge_retina.errors import EdgeRetinaError, ModelError, RunError, first_line
from edge_retina.layer_names import BOX_HEAD, CLASS_HEAD, OUTPUT_BLOCK, POINTWISE, HeadLayer
from edge_retina.model.hdf5_check import DAMAGED_HDF5, check_weights_file
from edge_retina.run_directory import RunDirectory

# By layer and variable, e.g. ["p3_lateral"]["kernel"].
Weights = dict[str, dict[str, np.ndarray]]

LAST_CLASS = HeadLayer(CLASS_HEAD, OUTPUT_BLOCK + POINTWISE).name
LAST_BOX = HeadLayer(BOX_HEAD, OUTPUT_BLOCK + POINTWISE).name


@dataclass(frozen=True)
class InitSource:
    """Where weights come from.

    Attributes:
        path: as the user named it: a RUN or a weights file.
        weights_file: the weights, as Keras writes them (HDF5, by layer).
        labels: class names by index; None if nobody knows them.
        run: the RUN, if the user named one.
    """

    path: Path
    weights_file: Path
    labels: tuple[str, ...] | None
    run: RunDirectory | None = None


def find_source(path: Path) -> InitSource:
    """Return the weights that a RUN or a weights file stands for.

    The class names of a file are those of `labels.txt` beside it, or of the RUN that it lies in.

    Raises:
        ModelError: there is nothing at `path`.
        RunError: a directory that isn't a trained RUN.
    """
    if path.is_dir():
        run = RunDirectory(path)
        run.load_config()
        return InitSource(path, run.require(run.float_weights, "train"), run.load_labels(), run)
    if not path.exists():
        raise ModelError(f"{path}: no such file or directory; expected a RUN or a weights file")
    around = RunDirectory(path.parent.parent)
    places = [RunDirectory(path.parent)]
    if around.float_weights == path:
        places.append(around)
    labels = [place.load_labels() for place in places if place.labels_file.is_file()]
    return InitSource(path, path, labels[0] if labels else None)


def read_weights(path: Path) -> Weights:
    """Read the weights of a detector by layer and variable.

    Raises:
        ModelError: it can't be read, or holds something else.
    """
    import h5py  # comes with TensorFlow; not needed on a device

    expected = "expected the float/best.h5 of a RUN"
    try:
        check_weights_file(path)
        with h5py.File(path, "r") as file:
            found = {name: _variables(group) for name, group in file.items()}
    except DAMAGED_HDF5 as error:
        reason = first_line(error)
        raise ModelError(f"{path}: not a Keras weights file ({reason}); {expected}") from None
    for layer in (LAST_CLASS, LAST_BOX):
        axes = {name: array.ndim for name, array in found.get(layer, {}).items()}
        if axes != {"kernel": 4, "bias": 1}:
            raise ModelError(
                f"{path}: its weights are no detector's (no layer {layer}); {expected}. Those of a "
                "backbone alone are for model.pretrained"
            )
    return {layer: variables for layer, variables in found.items() if variables}


def other_backbone(source: InitSource, found: str, settings: ModelConfig) -> ModelError:
    """Return the error for a detector on another backbone than that of the config."""
    return ModelError(
        f"{source.path}: its backbone is {found}, the config wants "
        f"{backbone_text(settings.backbone, settings.backbone_width)}; change model.backbone and "
        "model.backbone_width, or start from another detector"
    )


def backbone_text(backbone: str, width: float) -> str:
    """Name a backbone in messages."""
    return f"{backbone} of width {width:g}"


@contextmanager
def about_init() -> Iterator[None]:
    """Within it, errors are about `train.init` and say so."""
    try:
        yield
    except EdgeRetinaError as error:
        raise RunError(f"train.init: {error}") from None


def _variables(group: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a layer's group; what Keras calls NAME/kernel:0 is "kernel"."""
    found: dict[str, np.ndarray] = {}

    def add(name: str, item: Any) -> None:
        if hasattr(item, "dtype"):  # an array, not a group of arrays
            if item.dtype.kind not in "fiu":
                raise ValueError(f"{item.name} holds {item.dtype}, not numbers")
            found[name.split("/")[-1].partition(":")[0]] = item[()]

    if hasattr(group, "visititems"):
        group.visititems(add)
    return found
