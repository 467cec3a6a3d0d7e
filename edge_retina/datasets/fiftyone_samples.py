"""A FiftyOne data set, or any samples of one, as a data set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_retina.datasets.annotation import (
    UNSPLIT,
    AnnotatedSplits,
    ImageAnnotation,
    ObjectAnnotation,
)
from edge_retina.datasets.loading import AnnotatedSource, dataset_of
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.schema import Dataset
from edge_retina.datasets.splits import SPLITS, split_name
from edge_retina.errors import DatasetError

LAYOUT = "fiftyone"


def from_fiftyone(
    samples: Iterable[Any],
    *,
    field: str = "ground_truth",
    labels: Sequence[str] = (),
    name: str = "",
    skip_invalid: bool = False,
    seed: int = 0,
) -> Dataset:
    """Read samples of FiftyOne; see `Dataset.from_fiftyone`."""
    items = list(samples)
    if not items:
        raise DatasetError("FiftyOne samples: there are none; expected images with labels")
    problems = Problems(skip_invalid)
    splits: dict[str, list[ImageAnnotation]] = {}
    paths = [os.path.abspath(str(_get(item, "filepath"))) for item in items]
    root = Path(os.path.commonpath([os.path.dirname(path) for path in paths]))
    for item, path in zip(items, paths, strict=True):
        image_id = Path(path).relative_to(root).as_posix()
        where = f"FiftyOne sample {image_id}"
        objects = tuple(_objects(item, field, where))
        annotation = ImageAnnotation(image_id, Path(path), where, objects, normalized=True)
        splits.setdefault(_split(item, where), []).append(annotation)
    if UNSPLIT in splits and len(splits) > 1:
        first = splits[UNSPLIT][0].image_id
        raise DatasetError(
            f"FiftyOne samples: {len(splits[UNSPLIT])} of {len(items)} have no split tag (the "
            f"first is {first}); tag each with one of {', '.join(SPLITS)}, or none at all"
        )
    used = {item.label for split in splits.values() for one in split for item in one.objects}
    annotated = AnnotatedSplits(tuple(labels) or tuple(sorted(used)), splits)
    source = AnnotatedSource.of(root, LAYOUT, annotated)
    given = name or getattr(samples, "name", None) or root.name
    return dataset_of(source, problems, name=str(given), where="FiftyOne samples", seed=seed)


def _get(sample: Any, name: str) -> Any:
    try:
        return sample[name]
    except KeyError:
        return None


def _split(sample: Any, where: str) -> str:
    found = {split_name(tag) for tag in sample.tags} & set(SPLITS)
    if len(found) > 1:
        raise DatasetError(f"{where}: tagged with {' and '.join(sorted(found))}; keep one of them")
    return found.pop() if found else UNSPLIT


def _objects(sample: Any, field: str, where: str) -> Iterator[ObjectAnnotation]:
    label = _get(sample, field)
    if label is None:  # a picture without objects
        if field not in sample.field_names:
            known = ", ".join(sample.field_names)
            raise DatasetError(f"{where}: has no field '{field}'; it has {known}")
        return
    if not hasattr(label, "detections"):
        raise DatasetError(
            f"{where}: field '{field}' holds {type(label).__name__}, expected Detections"
        )
    for number, item in enumerate(label.detections, 1):
        x, y, width, height = item.bounding_box
        yield ObjectAnnotation(
            f"detection {number}",
            str(item.label),
            (y, x, y + height, x + width),
            crowd=bool(getattr(item, "iscrowd", False)),
        )
