"""A copy of a data set in which everything is corrected that needs no eyes."""

from __future__ import annotations

import dataclasses
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_retina.boxes.iou import overlapping_pairs
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.doctor.data.checks.classes import bare_name
from edge_retina.doctor.data.checks.duplicates import exact_pairs
from edge_retina.doctor.data.file_format import SUFFIXES
from edge_retina.doctor.data.object_table import groups_of
from edge_retina.doctor.data.survey import Survey
from edge_retina.runtime.image import load_image

_SAME_BOX_IOU = 0.99
_JPEG_QUALITY = 95
_WRITABLE = ("JPEG", "PNG", "BMP", "WebP", "TIFF")  # by OpenCV; others become PNG


def write_fixed_copy(survey: Survey, out: Path, *, layout: str, force: bool = False) -> list[str]:
    """Write the usable part of a data set with its mechanical flaws corrected.

    The data set itself is not changed. What the loader leaves out with `data.skip_invalid` is left
    out, and boxes are cut at the border of their picture. Beyond that: class names that differ by
    case, spaces or punctuation become one, of two equal boxes of a class one stays, of identical
    pictures one stays, files get the suffix of their format, and pictures with an EXIF orientation
    are turned upright.

    Args:
        survey: the data set.
        out: a new directory.
        layout: name of the layout to write.
        force: replace `out` if it exists.

    Returns:
        A line for each kind of correction.

    Raises:
        DatasetError: see `write_dataset`.
    """
    done: Counter[str] = Counter()
    if survey.skipped:
        done["invalid annotations or pictures left out, or boxes cut"] = survey.skipped
    labels, index = _merged_labels(survey)
    dropped = _copies(survey)
    with tempfile.TemporaryDirectory(prefix="edge-retina-fix-") as scratch:
        pictures = {
            item.image_id: _mended_picture(survey, item, Path(scratch), done)
            for item in survey.usable
            if item.image_id not in dropped and not survey.pictures[item.path].trouble
        }
        splits = {
            name: tuple(
                _mended_objects(dataclasses.replace(item, **pictures[item.image_id]), index, done)
                for item in items
                if item.image_id in pictures
            )
            for name, items in survey.examples.items()
        }
        done["identical pictures left out"] += len(dropped)
        done["class names merged with another"] += len(survey.labels) - len(labels)
        dataset = Dataset(
            name=survey.root.name,
            root=survey.root,
            labels=labels,
            splits=splits,
            layout=survey.layout,
            skipped=(),
        )
        lost = write_dataset(dataset, out, layout=layout, force=force)
    lines = [f"{what}: {count}" for what, count in done.items() if count]
    return [*lines, *(f"not kept: {line}" for line in lost)]


def _merged_labels(survey: Survey) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the class names left, and the new index (K,) of each old one.

    Of several spellings the one with most objects stays, in the place of the first.
    """
    counts = np.bincount(
        [label for item in survey.usable for label in item.classes], minlength=len(survey.labels)
    )
    groups: dict[str, list[int]] = {}
    for number, label in enumerate(survey.labels):
        groups.setdefault(bare_name(label), []).append(number)
    labels, index = [], np.zeros(len(survey.labels), np.int32)
    for new, members in enumerate(groups.values()):
        labels.append(survey.labels[max(members, key=lambda number: int(counts[number]))])
        index[members] = new
    return tuple(labels), index


def _copies(survey: Survey) -> set[str]:
    """Return the pictures to leave out: of identical ones, one that isn't trained on stays."""
    measured = {
        item.image_id
        for name, items in survey.measured_splits.items()
        if name != survey.config.data.train_split
        for item in items
    }
    dropped: set[str] = set()
    for first, other in exact_pairs(survey):
        keep_other = other.image_id in measured and first.image_id not in measured
        dropped.add(first.image_id if keep_other else other.image_id)
    return dropped


def _mended_picture(
    survey: Survey, example: Example, scratch: Path, done: Counter[str]
) -> dict[str, Any]:
    """Return the fields of an example that change with its picture; files go to `scratch`."""
    picture = survey.pictures[example.path]
    form, header = picture.format, picture.header
    name = Path(example.image_id)
    if header is not None and header.orientation != 1:
        done["pictures turned upright"] += 1
        kept = form is not None and form.name in _WRITABLE
        suffix = SUFFIXES[form.name][0] if form is not None and kept else ".png"
        target = scratch / f"{len(list(scratch.iterdir()))}{suffix}"
        _write_picture(target, load_image(example.path))
        return {"image_id": str(name.with_suffix(suffix)), "path": target}
    if form is not None and name.suffix.lower() not in SUFFIXES[form.name]:
        done["files renamed to the suffix of their format"] += 1
        return {"image_id": str(name.with_suffix(SUFFIXES[form.name][0])), "path": example.path}
    return {}


def _write_picture(target: Path, image_rgb: np.ndarray) -> None:
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(target.suffix, image_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    target.write_bytes(data.tobytes())


def _mended_objects(example: Example, index: np.ndarray, done: Counter[str]) -> Example:
    classes = index[example.classes].astype(np.int32) if len(example.classes) else example.classes
    repeated = np.zeros(len(classes), bool)
    for _, members in groups_of(classes, np.arange(len(classes))):
        # Whether there is one is asked, so of each box the partner that it overlaps most is enough.
        pairs, iou = overlapping_pairs(example.boxes_px[members], most_partners=1)
        repeated[members[pairs[iou >= _SAME_BOX_IOU, 1]]] = True
    repeated &= ~example.crowd
    done["boxes that stood there twice"] += int(repeated.sum())
    return dataclasses.replace(
        example,
        boxes_px=example.boxes_px[~repeated],
        classes=classes[~repeated],
        crowd=example.crowd[~repeated],
        difficult=example.difficult[~repeated],
    )
