"""Checks of which images exist, and whether they are intact and the annotated ones."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge_retina.datasets.image_files import list_images
from edge_retina.datasets.problems import Problem
from edge_retina.datasets.text_column import hashes_of
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import SHOWN_CASES, Case, Finding, Kind

# With more images than this without objects, most of a batch teaches nothing but background.
_MANY_WITHOUT_OBJECTS = 0.5

MISSING = Kind(
    "missing-image",
    "error",
    "Annotations of images that don't exist",
    "training stops at them, or has less data than you think",
    "put the images where the annotations expect them, or delete the annotations",
)
UNREAD = Kind(
    "unreadable-annotation",
    "error",
    "Annotations that can't be read",
    "they are not trained on; if they are skipped, their objects count as background",
    "fix these lines",
)
REPEATED = Kind(
    "repeated-image",
    "error",
    "Images listed twice in one split",
    "training stops at them; they would count twice in training and in every metric",
    "delete the second entry; if both have objects, merge them",
)
_BROKEN_WHY = "training stops at images that it can't decode"
_BROKEN_REMEDY = "copy or export the file again, or delete it with its annotation"
EMPTY = Kind("empty-file", "error", "Empty image files", _BROKEN_WHY, _BROKEN_REMEDY)
TRUNCATED = Kind("truncated-image", "error", "Truncated image files", _BROKEN_WHY, _BROKEN_REMEDY)
UNREADABLE = Kind(
    "unreadable-image",
    "error",
    "Files that are not images, or damaged ones",
    _BROKEN_WHY,
    _BROKEN_REMEDY,
)
SIZE_MISMATCH = Kind(
    "size-mismatch",
    "error",
    "Images whose size differs from the annotated one",
    "the boxes were drawn on an image of another size, so they are misplaced on this one",
    "annotate the images as they are now, or restore the ones that were annotated",
)
ZERO_SIZE = Kind(
    "zero-image-size",
    "note",
    "Annotations with an image size of 0",
    "labelling tools write 0 when they can't read the image; the image's own size is used, so "
    "nothing shows whether the boxes were drawn on this image",
    "check these images; nothing to do if the boxes fit",
)
NO_OBJECTS = Kind(
    "image-without-objects",
    "note",
    "Images without objects",
    "they are trained on as background, which is right only if there really are no objects in them",
    "check them for missed objects",
)
UNUSED = Kind(
    "unused-image",
    "note",
    "Images in the directory that no annotation or split lists",
    "they are not used for training, not even as background",
    "annotate them or ignore them; an image without objects needs an empty annotation",
)
SAME_NAME = Kind(
    "duplicate-file-name",
    "note",
    "Different images with the same file name in different directories",
    "tools that flatten directories, such as converters to VOC, overwrite one with the other",
    "give them unique names before you merge directories",
)


def check_images(survey: Survey) -> list[Finding]:
    """Return all findings about which images exist and whether they can be used."""
    return [
        *_unread(survey),
        *_repeated(survey),
        *_broken(survey),
        *_annotated_size(survey),
        *ZERO_SIZE.found([survey.case_of(item) for item in _coded(survey.notes, ZERO_SIZE)]),
        *_without_objects(survey),
        *_unused(survey),
        *_same_names(survey),
    ]


def _unread(survey: Survey) -> list[Finding]:
    missing = _coded(survey.unread, MISSING)
    others = [item for item in survey.unread if item.code != MISSING.code]
    return [
        *MISSING.found([survey.case_of(item) for item in missing] + _troubled(survey, MISSING)),
        *UNREAD.found([survey.case_of(item) for item in others]),
    ]


def _coded(problems: Iterable[Problem], kind: Kind) -> list[Problem]:
    return [item for item in problems if item.code == kind.code]


def _repeated(survey: Survey) -> list[Finding]:
    cases = []
    for split, items in survey.annotations.items():
        if len(np.unique(hashes_of(items.image_ids(), len(items)))) == len(items):
            continue
        counts = Counter(items.image_ids())
        where = f"in split '{split}'" if split else "in the data set"
        cases += [Case(name, f"{n} times {where}") for name, n in counts.items() if n > 1]
    return REPEATED.found(cases)


def _broken(survey: Survey) -> list[Finding]:
    kinds = (EMPTY, TRUNCATED, UNREADABLE)
    return [finding for kind in kinds for finding in kind.found(_troubled(survey, kind))]


def _troubled(survey: Survey, kind: Kind) -> list[Case]:
    troubled = (item for _, item in sorted(survey.pictures.troubled.items()))
    broken = (item for item in troubled if item.trouble == kind.code)
    return [Case(survey.name_of(item.path), item.reason) for item in broken]


def _annotated_size(survey: Survey) -> list[Finding]:
    cases = []
    columns = survey.images.columns
    for row, picture in zip(
        survey.images.rows.tolist(), survey.image_pictures.tolist(), strict=True
    ):
        header, stated = survey.pictures.header(picture), columns.stated_hw(row)
        if header is not None and stated not in (None, header.image_hw, header.raw_hw):
            detail = f"stated {_size(stated)}, the image has {_size(header.image_hw)}"
            cases.append(Case(survey.name_of(Path(columns.paths[row])), detail))
    return SIZE_MISMATCH.found(cases)


def _without_objects(survey: Survey) -> list[Finding]:
    images = survey.images
    empty = images.rows[images.counts() == 0]
    share = len(empty) / max(len(images), 1)
    detail = f"no objects; {share:.1%} of all images have none"
    kind = NO_OBJECTS
    if share > _MANY_WITHOUT_OBJECTS:
        kind = dataclasses.replace(kind, severity="warning")
    paths = (Path(images.columns.paths[row]) for row in empty[:SHOWN_CASES].tolist())
    return kind.found([Case(survey.name_of(path), detail) for path in paths], count=len(empty))


def _unused(survey: Survey) -> list[Finding]:
    known = map(os.path.abspath, survey.pictures.paths)
    used = set(hashes_of(known, len(survey.pictures)).tolist())
    unused = [path for path in list_images(survey.root) if hash(os.path.abspath(path)) not in used]
    return UNUSED.found([Case(survey.name_of(path), "not listed") for path in unused])


def _same_names(survey: Survey) -> list[Finding]:
    stems = (os.path.splitext(os.path.basename(path))[0] for path in survey.pictures.paths)
    hashes, counts = np.unique(hashes_of(stems, len(survey.pictures)), return_counts=True)
    twice = set(hashes[counts > 1].tolist())
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in survey.pictures if twice else ():
        if hash(path.stem) in twice:
            by_name[path.stem].append(path)
    same = [paths for paths in by_name.values() if len(paths) > 1]
    cases = [Case(survey.name_of(paths[1]), f"also {survey.name_of(paths[0])}") for paths in same]
    return SAME_NAME.found(cases, count=sum(len(paths) for paths in same))


def _size(image_hw: tuple[int, int] | None) -> str:
    return f"{image_hw[1]}x{image_hw[0]}" if image_hw else "nothing"
