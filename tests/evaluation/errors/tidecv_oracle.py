"""The decomposition by TIDE's authors' own package, to compare ours with.

`make setup` installs tidecv without its dependencies (tests/oracles.txt says why). It imports them
only to draw plots, so empty modules stand in their places while it is imported.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_retina.datasets.schema import Example
from edge_retina.evaluation.errors.tide import KINDS
from edge_retina.runtime.detections import Detections

_PLOTTING = ("appdirs", "matplotlib", "matplotlib.lines", "matplotlib.pyplot", "pandas", "seaborn")


class _Absent(ModuleType):
    """A module of which any name can be imported, and none is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


@contextlib.contextmanager
def _without_plotting() -> Iterator[None]:
    absent = {name: _Absent(name) for name in _PLOTTING if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def tidecv_gains(
    examples: Sequence[Example],
    detections: Sequence[Detections],
    *,
    classes: int,
    absent_count: bool = True,
) -> tuple[dict[str, float], dict[str, int]]:
    """Return tidecv's figures as fractions of 1, and its number of errors by kind.

    The figures are "mAP50", our kinds, "false_positives" and "false_negatives".

    Args:
        examples: the labelled pictures; crowds and difficult objects must have been taken out.
        detections: of each picture.
        classes: number of classes.
        absent_count: whether a class that has detections but no object counts as 0, as tidecv has
            it, or not at all, as in COCO's metrics.
    """
    assert not any(example.ignored.any() for example in examples)
    with _without_plotting():
        from tidecv.ap import ClassedAPDataObject
        from tidecv.data import Data
        from tidecv.quantify import TIDE, TIDERun

    truth, found = Data("truth", max_dets=100), Data("found")
    for label in range(classes):
        truth.add_class(label, str(label))
    for number, (example, item) in enumerate(zip(examples, detections, strict=True)):
        truth.add_image(number, example.image_id)
        for box, label in zip(example.boxes_px.astype(float), example.classes, strict=True):
            truth.add_ground_truth(number, int(label), _xywh(box))
        boxes = item.boxes_px(example.image_hw).astype(float)
        for box, label, score in zip(boxes, item.classes, item.scores, strict=True):
            found.add_detection(number, int(label), float(score), _xywh(box))
    present = {item["class"] for item in truth.annotations}

    def mean_of_present(self: Any) -> float:
        objs = self.objs.items()
        aps = [item.get_ap() for label, item in objs if label in present and not item.is_empty()]
        return sum(aps) / len(aps)

    with pytest.MonkeyPatch.context() as patch:
        if not absent_count:
            patch.setattr(ClassedAPDataObject, "get_mAP", mean_of_present)
        # What TIDE().evaluate does, with its defaults; TIDE() itself sets up the plots
        run = TIDERun(truth, found, 0.5, 0.1, TIDE.BOX, truth.max_dets)
        main, special = run.fix_main_errors(), run.fix_special_errors()
    figures = [run.ap, *main.values(), *special.values()]
    names = ("mAP50", *KINDS, "false_positives", "false_negatives")
    counts = run.count_errors()
    return (
        {name: float(value) / 100 for name, value in zip(names, figures, strict=True)},
        dict(zip(KINDS, map(int, counts.values()), strict=True)),
    )


def _xywh(box: np.ndarray) -> list[float]:
    ymin, xmin, ymax, xmax = box.tolist()
    return [xmin, ymin, xmax - xmin, ymax - ymin]
