"""A detector of another framework as a RUN of this one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, size_text
from edge_retina.coco_names import COCO_CLASSES
from edge_retina.config import Config, load_config
from edge_retina.datasets.output_directory import new_directory
from edge_retina.errors import ModelError
from edge_retina.files import read_small_text, sha256_file
from edge_retina.imports.checkpoint import Checkpoint, checkpoint_sha256
from edge_retina.imports.family import Imported, Weights
from edge_retina.imports.parts import fold_input
from edge_retina.imports.table import family_of
from edge_retina.layer_names import CLASS_HEAD, OUTPUT_BLOCK, POINTWISE, HeadLayer
from edge_retina.run_directory import RunDirectory

_LAST = HeadLayer(CLASS_HEAD, OUTPUT_BLOCK + POINTWISE).name
_CENTRE = 0.5


@dataclass(frozen=True)
class ImportRecord:
    """What was imported.

    Attributes:
        source: the checkpoint.
        sha256: of its data.
        family: name in the table of families.
        title: of the family.
        origin: where such weights come from, and their licence.
        classes: how many the RUN knows.
        dropped_classes: outputs of the checkpoint that stand for no class.
        variables: how many were taken.
    """

    source: str
    sha256: str
    family: str
    title: str
    origin: str
    classes: int
    dropped_classes: int
    variables: int


def import_detector(
    source: Path,
    out: Path,
    *,
    labels: Path | None = None,
    image_hw: tuple[int, int] | None = None,
    force: bool = False,
) -> ImportRecord:
    """Write a RUN with the weights of a checkpoint.

    Args:
        source: the checkpoint: its prefix, its index file, or a directory with one.
        out: the RUN, which appears whole or not at all.
        labels: class names, one per line, in the checkpoint's order without background; by
            default those of COCO if it has 90 classes.
        image_hw: input size; by default that of the files beside the checkpoint.
        force: replace what is at `out`.

    Raises:
        ModelError: the checkpoint is damaged, of no known network, or doesn't fit `labels`.
        DatasetError: there is something at `out`.
    """
    checkpoint = Checkpoint(source)
    name, family = family_of(checkpoint)
    imported = family.read(checkpoint)
    kept, names = _classes(imported, labels, where=checkpoint.path)
    hw = image_hw or imported.image_hw
    if hw is None:
        raise ModelError(
            f"{checkpoint.path}: no file beside it tells the input size; give --image-size"
        )
    config, grid = _settings(imported, hw)
    weights = dict(imported.weights)
    if imported.input_scale:
        weights = fold_input(weights, scale=imported.input_scale, shift=imported.input_shift)
    weights[_LAST] = _only(weights[_LAST], kept, imported)
    record = ImportRecord(
        source=str(checkpoint.path),
        sha256=checkpoint_sha256(checkpoint.path),
        family=name,
        title=family.title,
        origin=family.origin,
        classes=len(names),
        dropped_classes=imported.classes - len(names),
        variables=sum(map(len, weights.values())),
    )
    with new_directory(out, force=force) as directory:
        run = RunDirectory(directory)
        run.save_config(config)
        run.save_labels(names)
        run.save_anchors(grid)
        _save_weights(run, config, grid, len(names), weights, where=checkpoint.path)
        relative = str(run.float_weights.relative_to(run.root))
        hashes = {relative: sha256_file(run.float_weights)}
        run.mark_done("train", {"outputs": hashes, "imported": dict(vars(record))})
    return record


def _classes(
    imported: Imported, labels: Path | None, *, where: Path
) -> tuple[list[int], tuple[str, ...]]:
    """Return which classes are kept, and their names."""
    if labels is None:
        if imported.classes != max(COCO_CLASSES):
            raise ModelError(
                f"{where}: has {imported.classes} classes, so it isn't of COCO; give their names "
                "with --labels FILE, one per line"
            )
        return [number - 1 for number in COCO_CLASSES], tuple(COCO_CLASSES.values())
    try:
        names = tuple(read_small_text(labels).split("\n"))
    except ValueError as error:
        raise ModelError(f"--labels {labels}: {error}; expected one name a line") from None
    except OSError as error:
        raise ModelError(f"--labels {labels}: can't be read ({error.strerror})") from None
    names = tuple(name.strip() for name in names if name.strip())
    if len(names) != imported.classes or len(set(names)) != len(names):
        raise ModelError(
            f"--labels {labels}: has {len(names)} names, {len(set(names))} of them different; "
            f"expected {imported.classes} different ones, one per line"
        )
    return list(range(len(names))), names


def _settings(imported: Imported, image_hw: tuple[int, int]) -> tuple[Config, AnchorGrid]:
    """Return config and anchors."""
    min_level = imported.model["min_level"]
    levels = range(min_level, imported.model["max_level"] + 1)
    shapes = tuple(
        tuple((height * 2**level, width * 2**level) for height, width in imported.shapes)
        for level in levels
    )
    model = {**imported.model, "image_hw": list(image_hw)}
    overrides = [f"model.{key}={json.dumps(value)}" for key, value in model.items()]
    overrides += [f"anchors.shapes={json.dumps(shapes)}", 'name="imported"']
    offsets: tuple[float, ...] = ()
    if imported.has_corner_anchors:
        offsets = tuple(_offset(level, image_hw) for level in levels)
    usual = all(offset == _CENTRE for offset in offsets)
    grid = AnchorGrid(image_hw, min_level, shapes, () if usual else offsets)
    return load_config(overrides=overrides), grid


def _offset(level: int, image_hw: tuple[int, int]) -> float:
    """Return where anchors lie in their cells: in the corner where the stride doesn't fit."""
    fits = {side % 2**level == 0 for side in image_hw}
    if len(fits) > 1:
        raise ModelError(
            f"--image-size {size_text(image_hw)}: one side is a multiple of {2**level} and the "
            "other isn't, so anchors would lie differently along them; give a square"
        )
    return _CENTRE if True in fits else 0.0


def _only(
    layer: Mapping[str, np.ndarray], kept: list[int], imported: Imported
) -> dict[str, np.ndarray]:
    """Return the last layer of the class head with some of its classes."""

    def keep(array: np.ndarray) -> np.ndarray:
        shape = array.shape[:-1]
        some = array.reshape(*shape, len(imported.shapes), -1)[..., kept]
        return some.reshape(*shape, -1)

    return {name: keep(array) for name, array in layer.items()}


def _save_weights(
    run: RunDirectory,
    config: Config,
    grid: AnchorGrid,
    num_classes: int,
    weights: Weights,
    *,
    where: Path,
) -> None:
    from edge_retina.model.retinanet import build_retinanet
    from edge_retina.model.weights_file import save_weights

    model = build_retinanet(config.model, num_classes=num_classes, anchors=grid)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    odd = sorted(layers.keys() ^ weights.keys())
    if odd:
        raise ModelError(f"{where}: {odd[0]} is in only one of checkpoint and network")
    for name, layer in layers.items():
        _assign(layer, weights[name], where=where)
    save_weights(model, run.float_weights)


def _assign(layer: Any, values: Mapping[str, np.ndarray], *, where: Path) -> None:
    for variable in layer.weights:
        key = variable.name.split("/")[-1].partition(":")[0]
        value = values.get(key)
        shape = None if value is None else tuple(value.shape)
        if shape != tuple(variable.shape):
            found = "is missing" if shape is None else f"has the shape {shape}"
            raise ModelError(
                f"{where}: {layer.name}/{key} {found}; expected {tuple(variable.shape)}"
            )
        variable.assign(value)


def imported_lines(record: ImportRecord, config: Config) -> list[str]:
    """Return what was imported, for people."""
    model = config.model
    dropped = f", {record.dropped_classes} unused ones left out" if record.dropped_classes else ""
    return [
        f"{record.source}: {record.title}",
        f"{record.variables} variables, {record.classes} classes{dropped}; width "
        f"{model.backbone_width}, {size_text(model.image_hw)} px, {model.fpn_channels} channels, "
        f"levels {model.min_level} to {model.max_level}",
        f"origin: {record.origin}",
    ]
