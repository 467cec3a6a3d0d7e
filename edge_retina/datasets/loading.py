"""One function that reads a data set in any layout."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_retina.datasets.annotation import UNSPLIT, AnnotatedSplits
from edge_retina.datasets.annotation_table import (
    AnnotationColumns,
    AnnotationTable,
    AnnotationTableBuilder,
    packed_splits,
)
from edge_retina.datasets.checks import check_annotations
from edge_retina.datasets.dataset_file import FILE_NAME, read_dataset_file
from edge_retina.datasets.example_table import ExampleTable, ExampleTableBuilder
from edge_retina.datasets.layout import AnnotationFiles, Layout, annotation_suffix
from edge_retina.datasets.layouts import LAYOUTS, layout_hint, suffix_hint
from edge_retina.datasets.problems import Problems
from edge_retina.datasets.schema import Dataset
from edge_retina.datasets.splits import SPLITS, hash_places
from edge_retina.datasets.text_column import hashes_of
from edge_retina.errors import DatasetError

_UNSEEN = np.int32(-2)


@dataclass(frozen=True)
class AnnotatedSource:
    """A data set as its files state it.

    Attributes:
        root: the directory that holds it.
        layout: name of its layout.
        labels: class names in order.
        columns: its annotations, unchecked.
        splits: which of them are of each split.
        class_ids: see `AnnotatedSplits`.
    """

    root: Path
    layout: str
    labels: tuple[str, ...]
    columns: AnnotationColumns
    splits: dict[str, AnnotationTable]
    class_ids: tuple[int, ...] = ()

    @classmethod
    def of(cls, root: Path, layout: str, annotated: AnnotatedSplits) -> AnnotatedSource:
        """Return a data set of what a reader returned."""
        splits = packed_splits(annotated.splits)
        columns = next(
            (table.columns for table in splits.values()), AnnotationTableBuilder().finish()
        )
        return cls(root, layout, annotated.labels, columns, splits, annotated.class_ids)


def load_dataset(
    path: Path | str, *, skip_invalid: bool = False, seed: int = 0, thorough: bool = False
) -> Dataset:
    """Read a data set; its layout is detected.

    Args:
        path: a directory, an annotation file or a `dataset.toml`.
        skip_invalid: leave invalid boxes and images out and list them in `Dataset.skipped`,
            instead of raising an error.
        seed: of the split by image names, for data sets that have no split of their own.
        thorough: hold contents against checksums too, in layouts that have some.

    Returns:
        The data set. Images without objects are kept.

    Raises:
        DatasetError: missing or empty data set, unknown layout, or (unless `skip_invalid`) invalid
            annotations and images.
    """
    problems = Problems(skip_invalid)
    source = read_source(path, problems, thorough=thorough)
    return dataset_of(source, problems, where=str(path), seed=seed)


def dataset_of(
    source: AnnotatedSource, problems: Problems, *, where: str, name: str = "", seed: int = 0
) -> Dataset:
    """Check annotations against their images and return the data set that they make.

    Args:
        source: as read.
        problems: what the reader left out; what is invalid besides is added.
        where: the data set, for messages.
        name: of the data set; "" for that of its directory.
        seed: see `load_dataset`.

    Raises:
        DatasetError: see `load_dataset`.
    """
    splits = check_source(source, problems, seed=seed)
    skipped = problems.finish()
    if not any(splits.values()):
        raise DatasetError(
            f"{where}: the data set is empty: no usable images (layout {source.layout})"
        )
    if not source.labels:
        raise DatasetError(
            f"{where}: no objects in any image, so no classes (layout {source.layout})"
        )
    return Dataset(
        name=name or Path(os.path.abspath(source.root)).name,
        root=source.root,
        labels=source.labels,
        splits=splits,
        layout=source.layout,
        skipped=skipped,
    )


def read_source(path: Path | str, problems: Problems, *, thorough: bool = False) -> AnnotatedSource:
    """Read a data set's annotations without looking at its images.

    Args:
        path: a directory, an annotation file or a `dataset.toml`.
        problems: collects what the reader left out.
        thorough: see `load_dataset`.

    Raises:
        DatasetError: missing data set, unknown layout, or annotations that can't be read at all.
    """
    given = Path(path)
    if not given.exists():
        raise DatasetError(f"{given}: no such file or directory; expected a data set")
    dataset_file = _dataset_file(given)
    if dataset_file is not None:
        described = read_dataset_file(dataset_file)
        layout = LAYOUTS[described.layout]
        files = AnnotationFiles(described.root, described=described)
    else:
        layout, files = _detect(given)
    files = dataclasses.replace(files, thorough=thorough)
    return AnnotatedSource.of(files.root, layout.name, layout.read(files, problems))


def check_source(
    source: AnnotatedSource, problems: Problems, *, seed: int = 0
) -> dict[str, ExampleTable]:
    """Check annotations against their images and return the usable examples by split.

    Every annotation is checked once, also where splits overlap (train and trainval).

    Args:
        source: as read.
        problems: collects what was left out.
        seed: of the split by image names, for data sets that have no split of their own.
    """
    kept = {name: _without_repeats(items, name, problems) for name, items in source.splits.items()}
    examples = ExampleTableBuilder()
    annotated = source.columns
    numbers = np.full(len(annotated), _UNSEEN)  # of each annotation's example
    for rows in kept.values():
        fresh = rows[numbers[rows] == _UNSEEN]
        numbers[fresh] = check_annotations(
            annotated, fresh, source.labels, problems, root=source.root, examples=examples
        )
    columns = examples.finish()
    found = {name: numbers[rows] for name, rows in kept.items()}
    splits = {name: ExampleTable(columns, rows[rows >= 0]) for name, rows in found.items()}
    return _order_splits(_split(splits, seed))


def _dataset_file(given: Path) -> Path | None:
    """Return the `dataset.toml` that `given` is or holds."""
    if given.is_file():
        return given if given.suffix.lower() == ".toml" else None
    path = given / FILE_NAME
    return path if path.is_file() else None


def _detect(given: Path) -> tuple[Layout, AnnotationFiles]:
    """Return the first layout that knows the directory or file, and what it found."""
    suffix = annotation_suffix(given) if given.is_file() else None
    for layout in LAYOUTS.values():
        files = layout.detect(given) if suffix is None or suffix in layout.suffixes else None
        if files is not None:
            return layout, files
    if suffix is not None:
        raise DatasetError(
            f"{given}: not an annotation file; expected {suffix_hint()}, or {FILE_NAME}"
        )
    found = "unrecognised data set layout" if any(given.iterdir()) else "directory is empty"
    raise DatasetError(
        f"{given}: {found}; expected one of {layout_hint()}, or a {FILE_NAME} that names other "
        "directories"
    )


def _without_repeats(items: AnnotationTable, split: str, problems: Problems) -> np.ndarray:
    """Return the rows of a split's images, (N,), each name once."""
    if len(np.unique(hashes_of(items.image_ids(), len(items)))) == len(items):
        return items.rows
    seen: set[str] = set()
    kept = np.ones(len(items), bool)
    for place, name in enumerate(items.image_ids()):
        if name in seen:
            where = f"split '{split}'" if split else "the data set"
            what = f"image '{name}' is listed twice in {where}"
            problems.add("repeated-image", items.columns.sources[items.rows[place]], what)
            kept[place] = False
        seen.add(name)
    return items.rows[kept]


def _split(examples: dict[str, ExampleTable], seed: int) -> dict[str, ExampleTable]:
    if set(examples) != {UNSPLIT}:
        return examples
    whole = examples[UNSPLIT]
    places = hash_places(whole.image_ids(), seed=seed)
    return {name: whole.take(whole.rows[found]) for name, found in places.items()}


def _order_splits(splits: dict[str, ExampleTable]) -> dict[str, ExampleTable]:
    """Return train, val, test first, then the data set's own in alphabetical order."""
    order = {name: number for number, name in enumerate(SPLITS)}
    names = sorted(splits, key=lambda name: (order.get(name, len(order)), name))
    return {name: splits[name] for name in names}
