"""Starting a network from the weights of a trained detector, by name and shape."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.backbones.table import BACKBONES
from edge_retina.config import ModelConfig
from edge_retina.errors import ModelError
from edge_retina.files import sha256_file
from edge_retina.layer_names import BOX_HEAD, CLASS_HEAD, TOWER, level_of, parse_head_layer
from edge_retina.model.backbone import build_backbone, is_backbone_layer
from edge_retina.model.keras import keras, tf
from edge_retina.training.init_source import (
    LAST_CLASS,
    InitSource,
    about_init,
    backbone_text,
    find_source,
    other_backbone,
    read_weights,
)
from edge_retina.training.misfits import Misfits, Shapes, Sizes, shapes_of_weights

log = logging.getLogger(__name__)

_HEAD_NAMES = {CLASS_HEAD: "class head", BOX_HEAD: "box head", TOWER: "shared tower"}
_PARTS = ("backbone", "pyramid", *_HEAD_NAMES.values())
_FEW = 3  # layers that are named one by one


@dataclass(frozen=True)
class WarmStart:
    """What a network took from a detector.

    Attributes:
        source: the RUN or file.
        sha256: of the weights file.
        taken: variables that it took whole.
        total: variables that it has.
        known_classes: its classes whose rows of the last layer it took.
        new_classes: its other classes, whose rows are freshly initialised.
        no_classes: why no row could be taken; "" if classes were compared by name.
        new_layers: freshly initialised layers by the reason, but for the last one of the class
            head.
        unused_layers: layers of the detector that the network doesn't have.
    """

    source: str
    sha256: str
    taken: int
    total: int
    known_classes: tuple[str, ...]
    new_classes: tuple[str, ...]
    no_classes: str
    new_layers: dict[str, tuple[str, ...]]
    unused_layers: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists, for JSON."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "variables": {"taken": self.taken, "all": self.total},
            "classes": {
                "taken": list(self.known_classes),
                "new": list(self.new_classes),
                "reason": self.no_classes,
            },
            "new_layers": {reason: list(names) for reason, names in self.new_layers.items()},
            "unused_layers": list(self.unused_layers),
        }

    def lines(self) -> list[str]:
        """Return a short summary for people."""
        lines = [f"{self.taken} of {self.total} variables from {self.source}", self._classes_line()]
        if self.new_layers:
            parts = (f"{_abridge(names)} ({why})" for why, names in self.new_layers.items())
            lines.append(f"newly initialised: {'; '.join(parts)}")
        if self.unused_layers:
            lines.append(f"left out: {_abridge(self.unused_layers)}")
        return lines

    def _classes_line(self) -> str:
        known, new = self.known_classes, self.new_classes
        if not known:
            return f"classes: all {len(new)} are new ({self.no_classes or 'none of them is in it'})"
        line = f"classes: {len(known)} of {len(known) + len(new)} taken ({', '.join(known)})"
        return f"{line}; new: {', '.join(new)}" if new else line


def start_from(
    path: Path, model: keras.Model, *, labels: Sequence[str], settings: ModelConfig
) -> WarmStart:
    """Give a network the weights of the detector at `path`, as `warm_start` does, and say so.

    Args:
        path: of a RUN or a weights file.
        model: of `build_retinanet`, freshly initialised; changed in place.
        labels: class names of the network by index.
        settings: of the network.

    Raises:
        RunError: there is no detector at `path`, or it is of another backbone or width.
    """
    with about_init():
        found = warm_start(model, find_source(path), labels=labels, settings=settings)
    for line in found.lines():
        log.info("init: %s", line)
    if settings.pretrained != "none":
        log.info("init: model.pretrained is not loaded, since the backbone is in it")
    return found


def warm_start(
    model: keras.Model, source: InitSource, *, labels: Sequence[str], settings: ModelConfig
) -> WarmStart:
    """Give a network the weights of a detector, as far as both have the same layers.

    Taken are the backbone, which must be the same, and of pyramid and heads what is alike by name
    and shape, BatchNorm statistics included. The last layers are taken only behind a tower of the
    same depth and for the same number of anchors per cell; that of the class head class by class,
    by name. Everything else stays as it is.

    Args:
        model: of `build_retinanet`, freshly initialised; changed in place.
        source: the detector.
        labels: class names of the network by index.
        settings: of the network.

    Raises:
        ModelError: the file can't be read, or is of another backbone or width.
    """
    theirs = read_weights(source.weights_file)
    shapes = shapes_of_weights(theirs)
    _require_backbone(model, shapes, source, settings)
    _require_classes(shapes, source)
    misfits = Misfits(there=shapes, here=_shapes_of_model(model))
    taken, new_layers = 0, dict[str, list[str]]()
    layers = [layer for layer in model.layers if layer.weights]
    for layer in layers:
        if layer.name == LAST_CLASS:
            continue
        reason = misfits.find(layer.name)
        if reason:
            new_layers.setdefault(reason, []).append(layer.name)
        else:
            layer.set_weights([theirs[layer.name][_name(value)] for value in layer.weights])
            taken += len(layer.weights)
    no_classes = misfits.find_for_classes(source.labels)
    their_labels = () if no_classes else source.labels or ()
    known = tuple(label for label in labels if label in their_labels)
    last = model.get_layer(LAST_CLASS)
    if known:
        _take_classes(last, theirs[LAST_CLASS], known, labels=labels, their_labels=their_labels)
    if len(known) == len(labels):
        taken += len(last.weights)
    names = {layer.name for layer in layers}
    return WarmStart(
        source=str(source.path),
        sha256=sha256_file(source.weights_file),
        taken=taken,
        total=sum(len(layer.weights) for layer in layers),
        known_classes=known,
        new_classes=tuple(label for label in labels if label not in known),
        no_classes=no_classes,
        new_layers={reason: tuple(found) for reason, found in new_layers.items()},
        unused_layers=tuple(name for name in theirs if name not in names),
    )


def _take_classes(
    layer: keras.layers.Layer,
    theirs: dict[str, np.ndarray],
    known: Sequence[str],
    *,
    labels: Sequence[str],
    their_labels: Sequence[str],
) -> None:
    """Take the outputs of the known classes, at each anchor of a cell.

    Outputs are numbered anchor by anchor: that of class k at anchor a is a * K + k.
    """
    here = [labels.index(label) for label in known]
    there = [their_labels.index(label) for label in known]
    values = []
    for value in layer.weights:
        array = theirs[_name(value)]
        rows = value.numpy().reshape(*value.shape[:-1], -1, len(labels))
        rows[..., here] = array.reshape(*array.shape[:-1], -1, len(their_labels))[..., there]
        values.append(rows.reshape(value.shape))
    layer.set_weights(values)


def _require_backbone(
    model: keras.Model, there: Shapes, source: InitSource, settings: ModelConfig
) -> None:
    here = _shapes_of_model(model)
    names = [name for name in here if is_backbone_layer(name, settings.backbone)]
    # By model.wiring the last convolution and its BatchNorm may be others, or missing.
    own = {name: here[name] for name in names[:-2]}
    if not _has(there, own):
        raise other_backbone(source, _find_backbone(there), settings)


def _find_backbone(there: Shapes) -> str:
    """Return which backbone of the table some weights are of."""
    for name, entry in BACKBONES.items():
        for width in entry.widths:
            image = keras.Input((64, 64, 3))
            taps = build_backbone(image, backbone=name, width=width)
            if _has(there, _shapes_of_model(keras.Model(image, list(taps.values())))):
                return backbone_text(name, width)
    return "none that this version has"


def _require_classes(there: Shapes, source: InitSource) -> None:
    """Refuse class names that are not those of the weights."""
    outputs, per_cell = there[LAST_CLASS]["bias"][0], Sizes(there).per_cell
    if source.labels is not None and outputs != per_cell * len(source.labels):
        raise ModelError(
            f"{source.path}: its labels.txt has {len(source.labels)} classes, but the weights "
            f"have {outputs} class outputs for {per_cell} anchors per cell; restore labels.txt"
        )


def _shapes_of_model(model: keras.Model) -> Shapes:
    return {
        layer.name: {_name(value): tuple(value.shape) for value in layer.weights}
        for layer in model.layers
        if layer.weights
    }


def _has(shapes: Shapes, wanted: Shapes) -> bool:
    return all(shapes.get(name) == variables for name, variables in wanted.items())


def _name(variable: tf.Variable) -> str:
    """Return "kernel" for a variable that Keras calls NAME/kernel:0."""
    return variable.name.split("/")[-1].partition(":")[0]


def _abridge(names: Sequence[str]) -> str:
    """Return the names of a few layers, or how many there are in each part of the network."""
    if len(names) <= _FEW:
        return ", ".join(names)
    counts = Counter(map(_part_of, names))
    return ", ".join(f"{counts[part]} of the {part}" for part in _PARTS if counts[part])


def _part_of(name: str) -> str:
    layer = parse_head_layer(name)
    if layer is not None:
        return _HEAD_NAMES[layer.head]
    return "pyramid" if level_of(name) is not None else "backbone"
