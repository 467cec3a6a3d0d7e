"""Everything that the checks look at, gathered once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edge_retina.config import Config
from edge_retina.datasets.annotation_table import AnnotationTable
from edge_retina.datasets.example_table import ExampleTable, each_once
from edge_retina.datasets.loading import check_source, read_source
from edge_retina.datasets.problems import Problem, Problems
from edge_retina.datasets.schema import Example
from edge_retina.datasets.subset import draw_subset
from edge_retina.datasets.text_column import TextColumn, hashes_of
from edge_retina.doctor.data.object_table import ObjectTable, build_object_table
from edge_retina.doctor.data.picture_table import PictureTable, look_at_pictures
from edge_retina.doctor.findings import Case, relative_name


@dataclass(frozen=True)
class Survey:
    """A data set with its flaws.

    Attributes:
        root: the directory that holds it.
        layout: name of its layout.
        labels: class names in order.
        class_ids: their numbers in the files, where the layout has some (COCO).
        annotations: as they stand in the files, by split; "" where the data set has no splits.
        unread: what the reader could make nothing of.
        notes: odd things that it read all the same.
        examples: what training would use, by split.
        skipped: how many things stop training unless `data.skip_invalid` leaves them out.
        pictures: what was seen of each image file.
        config: of the training that is to come.
    """

    root: Path
    layout: str
    labels: tuple[str, ...]
    class_ids: tuple[int, ...]
    annotations: dict[str, AnnotationTable]
    unread: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    examples: Mapping[str, Sequence[Example]]
    skipped: int
    pictures: PictureTable
    config: Config

    @cached_property
    def images(self) -> AnnotationTable:
        """Every annotation once, though splits may overlap (train and trainval)."""
        tables = list(self.annotations.values())
        rows = np.concatenate([table.rows for table in tables])
        _, first = np.unique(rows, return_index=True)
        return AnnotationTable(tables[0].columns, rows[np.sort(first)])

    @cached_property
    def objects(self) -> ObjectTable:
        """All objects as they stand in the files."""
        return build_object_table(
            self.images, self.image_pictures, self.pictures, self.labels, self.root
        )

    @cached_property
    def image_pictures(self) -> np.ndarray:
        """(N,) the row in `pictures` of each of `images`."""
        images = self.images
        paths = (images.columns.paths[row] for row in images.rows.tolist())
        return self.pictures.rows_of(paths, len(images))

    @cached_property
    def usable(self) -> ExampleTable:
        """Every example once."""
        return ExampleTable.of(each_once(self.examples.values()))

    def pictures_of(self, examples: ExampleTable) -> np.ndarray:
        """Return the row in `pictures` of each example, (N,)."""
        if examples is self.usable:
            return self._usable_pictures
        return self._rows_of(examples)

    @cached_property
    def _usable_pictures(self) -> np.ndarray:
        return self._rows_of(self.usable)

    def _rows_of(self, examples: ExampleTable) -> np.ndarray:
        paths = (examples.path(place) for place in range(len(examples)))
        return self.pictures.rows_of(paths, len(examples))

    def sound(self, examples: ExampleTable) -> ExampleTable:
        """Return the examples whose pictures can be decoded."""
        troubled = np.array(sorted(self.pictures.troubled), np.int64)
        return examples.take(examples.rows[~np.isin(self.pictures_of(examples), troubled)])

    @property
    def training(self) -> ExampleTable:
        """The examples that are trained on; all, where there is no training split."""
        split = self.examples.get(self.config.data.train_split) or self.usable
        drawn = draw_subset(split, self.config.data.train_images, seed=self.config.seed)
        return ExampleTable.of(drawn)

    @property
    def measured_splits(self) -> dict[str, Sequence[Example]]:
        """The splits that a run uses: for training, choosing and testing; empty ones left out."""
        data = self.config.data
        names = (data.train_split, data.val_split, data.test_split)
        return {name: self.examples[name] for name in names if self.examples.get(name)}

    def name_of(self, path: Path) -> str:
        """Return a path relative to the data set, with forward slashes."""
        return relative_name(path, self.root)

    def case_of(self, problem: Problem) -> Case:
        """Return a problem as a case, its place relative to the data set."""
        return Case(problem.where.removeprefix(f"{self.root}{os.sep}"), problem.what)


def survey(path: Path | str, config: Config) -> Survey:
    """Read a data set and look at every image.

    Raises:
        DatasetError: the data set can't be read at all.
    """
    problems = Problems(skip_invalid=True)
    source = read_source(path, problems, thorough=True)
    unread = tuple(problems.found)
    examples = check_source(source, problems, seed=config.seed)
    paths = TextColumn.of(
        source.columns.paths[row] for table in source.splits.values() for row in table.rows.tolist()
    )
    if len(np.unique(hashes_of(paths, len(paths)))) < len(paths):
        paths = TextColumn.of(dict.fromkeys(paths))
    return Survey(
        root=source.root,
        layout=source.layout,
        labels=source.labels,
        class_ids=source.class_ids,
        annotations=source.splits,
        unread=unread,
        notes=tuple(problems.notes),
        examples=examples,
        skipped=len(problems.found),
        pictures=look_at_pictures(paths, source.root),
        config=config,
    )
