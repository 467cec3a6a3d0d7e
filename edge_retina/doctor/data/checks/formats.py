"""Checks of how images are stored: format, depth, colours, and which way up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from edge_retina.datasets.annotation import ImageAnnotation
from edge_retina.datasets.image_header import ImageHeader
from edge_retina.doctor.data.file_format import SUFFIXES, FileFormat
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import SHOWN_CASES, Case, Finding, Kind

EXIF = Kind(
    "exif-orientation",
    "note",
    "Images with an EXIF rotation",
    "tools disagree on whether to apply it; here it is applied, also to boxes that were drawn "
    "on the stored pixels",
    "none needed if the sample images in the report look right",
)
EXIF_UNSURE = Kind(
    "exif-ambiguous",
    "warning",
    "Images with an EXIF rotation whose boxes may predate it",
    "the annotation doesn't say which way up the image was when it was annotated; the boxes are "
    "taken as drawn on the upright image, and if that is wrong, all of them are misplaced",
    "check the boxes in the report; if they are off, rotate the pixels and remove the tag",
)
EXIF_INVALID = Kind(
    "invalid-exif-orientation",
    "note",
    "Images whose EXIF orientation is not one of 1 to 8",
    "such a value is meaningless; OpenCV ignores it or reads a part of it, and other tools may "
    "rotate the image differently",
    "remove the tag, or correct it if the image is shown sideways",
)
SUFFIX = Kind(
    "wrong-suffix",
    "warning",
    "Files whose suffix doesn't match their format",
    "this package goes by the content, but viewers, converters and mobile tools go by the name",
    "rename the files and their entries in the annotations",
)
ANIMATED = Kind(
    "animated-image",
    "warning",
    "Images with more than one frame or page",
    "only the first frame is used; the boxes may belong to another one",
    "save the annotated frame as a still image",
)
DEEP = Kind(
    "sixteen-bit-image",
    "note",
    "Images with more than 8 bits per channel",
    "the lower bits are dropped; an image that uses a small part of its range, as from a "
    "microscope or a thermal camera, becomes nearly black",
    "convert them to 8 bits with the contrast of the device's camera",
)
CMYK = Kind(
    "cmyk-image",
    "warning",
    "Images in print colours (CMYK)",
    "decoders convert CMYK to RGB in different ways, so training and a phone see different colours",
    "convert them to RGB",
)
GREY = Kind(
    "grey-image",
    "note",
    "Greyscale images among colour images",
    "they are used as three equal channels; that is fine unless colour and class go together",
    "none needed, unless the device's images are all of one kind",
)
ALPHA = Kind(
    "alpha-image",
    "note",
    "Images with transparency",
    "transparency is dropped, which exposes the colours under transparent pixels",
    "flatten them onto the background that the annotators saw",
)


def check_formats(survey: Survey) -> list[Finding]:
    """Return all findings about how images are stored."""
    return [*_exif(survey), *_invalid_exif(survey), *_formats(survey)]


def _with_headers(
    survey: Survey, chosen: np.ndarray
) -> Iterator[tuple[ImageAnnotation, ImageHeader]]:
    """Yield the annotations and headers of the pictures for which a mask is set."""
    for place in np.flatnonzero(chosen[survey.image_pictures]).tolist():
        header = survey.pictures.header(int(survey.image_pictures[place]))
        if header is not None:
            yield survey.images[place], header


def _exif(survey: Survey) -> list[Finding]:
    sure: list[Case] = []
    unsure: list[Case] = []
    for annotation, header in _with_headers(survey, survey.pictures.orientations != 1):
        known, told = _drawn_on(annotation, header)
        detail = f"orientation {header.orientation}; {told}"
        (sure if known else unsure).append(Case(survey.name_of(annotation.path), detail))
    return EXIF.found(sure) + EXIF_UNSURE.found(unsure)


def _invalid_exif(survey: Survey) -> list[Finding]:
    odd = np.zeros(len(survey.pictures), bool)
    odd[list(survey.pictures.odd)] = True
    stated = (
        (annotation.path, header.invalid_orientation, header.orientation)
        for annotation, header in _with_headers(survey, odd)
    )
    return EXIF_INVALID.found(
        [
            Case(survey.name_of(path), f"orientation {value}, read as {read_as}")
            for path, value, read_as in stated
        ]
    )


def _drawn_on(annotation: ImageAnnotation, header: ImageHeader) -> tuple[bool, str]:
    """Return whether it is known which way up the image was when annotated, and a description."""
    if not annotation.objects:
        return True, "no objects, so nothing can be misplaced"
    if header.raw_hw != header.image_hw and annotation.size_hw == header.raw_hw:
        return True, "the stated size is that before the rotation: the boxes are rotated too"
    if header.raw_hw != header.image_hw and annotation.size_hw == header.image_hw:
        return True, "the stated size is that after the rotation"
    if not annotation.normalized:
        far = np.array([item.yxyx for item in annotation.objects])[:, 2:].max(axis=0)
        upright, raw = ((far <= np.array(hw) + 1).all() for hw in (header.image_hw, header.raw_hw))
        if raw and not upright:
            return False, "the boxes fit the image before the rotation only"
        if upright and not raw:
            return True, "the boxes fit the image after the rotation only"
    return False, "the annotation fits the image before and after the rotation"


def _formats(survey: Survey) -> list[Finding]:
    pictures = survey.pictures
    known = np.array([row not in pictures.troubled for row in range(len(pictures))], bool)
    rows = np.flatnonzero(known & pictures.has_format)
    findings = [
        *_of_format(survey, rows, SUFFIX, _misnamed),
        *_of_format(survey, rows, ANIMATED, lambda _, f: f.name if f.animated else ""),
        *_of_format(survey, rows, DEEP, lambda _, f: f"{f.bits} bits" if f.bits > 8 else ""),
        *_of_format(survey, rows, CMYK, lambda _, f: f.name if f.colours == "cmyk" else ""),
        *_of_format(survey, rows, ALPHA, lambda _, f: f.name if f.alpha else ""),
    ]
    grey = _of_format(survey, rows, GREY, lambda _, f: f.name if f.colours == "grey" else "")
    if grey and grey[0].count < len(rows):  # all grey is one camera, not a mixture
        findings += grey
    return findings


def _of_format(
    survey: Survey, rows: np.ndarray, kind: Kind, describe: Callable[[str, FileFormat], str]
) -> list[Finding]:
    """Return the finding over all pictures of which `describe` has something to say."""
    pictures, count = survey.pictures, 0
    shown: list[Case] = []
    for row in rows.tolist():
        form = pictures.format(row)
        detail = "" if form is None else describe(pictures.paths[row], form)
        count += bool(detail)
        if detail and len(shown) < SHOWN_CASES:
            shown.append(Case(survey.name_of(Path(pictures.paths[row])), detail))
    return kind.found(shown, count=count)


def _misnamed(path: str, form: FileFormat) -> str:
    own = os.path.splitext(path)[1].lower()
    return f"is a {form.name} file" if own not in SUFFIXES[form.name] else ""
