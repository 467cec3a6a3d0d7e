"""Everything that the checks look at, gathered once."""

from __future__ import annotations

import os
from collections.abc import Sequence
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
from edge_retina.doctor.data.object_table import ObjectTable, build_object_table
from edge_retina.doctor.data.picture_file import PictureFile, look_at_pictures
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
    examples: dict[str, ExampleTable]
    skipped: int
    pictures: dict[Path, PictureFile]
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
        headers = {path: item.header for path, item in self.pictures.items() if item.header}
        return build_object_table(self.images, headers, self.labels, self.root)

    @cached_property
    def usable(self) -> Sequence[Example]:
        """Every example once."""
        return each_once(self.examples.values())

    @property
    def training(self) -> Sequence[Example]:
        """The examples that are trained on; all, where there is no training split."""
        split = self.examples.get(self.config.data.train_split) or self.usable
        return draw_subset(split, self.config.data.train_images, seed=self.config.seed)

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
    paths = (
        source.columns.paths[row] for table in source.splits.values() for row in table.rows.tolist()
    )
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
        pictures=look_at_pictures(map(Path, paths), source.root),
        config=config,
    )
