"""Checks of how images are stored: format, depth, colours, and which way up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edge_retina.datasets.annotation import ImageAnnotation
from edge_retina.datasets.image_header import ImageHeader
from edge_retina.doctor.data.file_format import SUFFIXES, FileFormat
from edge_retina.doctor.data.picture_file import PictureFile
from edge_retina.doctor.data.survey import Survey
from edge_retina.doctor.findings import Case, Finding, Kind

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


def _with_headers(survey: Survey) -> Iterator[tuple[ImageAnnotation, ImageHeader]]:
    for annotation in survey.images:
        header = survey.pictures[annotation.path].header
        if header is not None:
            yield annotation, header


def _exif(survey: Survey) -> list[Finding]:
    sure: list[Case] = []
    unsure: list[Case] = []
    for annotation, header in _with_headers(survey):
        if header.orientation == 1:
            continue
        known, told = _drawn_on(annotation, header)
        detail = f"orientation {header.orientation}; {told}"
        (sure if known else unsure).append(Case(survey.name_of(annotation.path), detail))
    return EXIF.found(sure) + EXIF_UNSURE.found(unsure)


def _invalid_exif(survey: Survey) -> list[Finding]:
    stated = (
        (annotation.path, header.invalid_orientation, header.orientation)
        for annotation, header in _with_headers(survey)
        if header.invalid_orientation is not None
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
    known = [(p, p.format) for p in survey.pictures.values() if not p.trouble and p.format]
    grey = [item for item in known if item[1].colours == "grey"]
    findings = [
        *_of_format(survey, known, SUFFIX, _misnamed),
        *_of_format(survey, known, ANIMATED, lambda _, f: f.name if f.animated else ""),
        *_of_format(survey, known, DEEP, lambda _, f: f"{f.bits} bits" if f.bits > 8 else ""),
        *_of_format(survey, known, CMYK, lambda _, f: f.name if f.colours == "cmyk" else ""),
        *_of_format(survey, known, ALPHA, lambda _, f: f.name if f.alpha else ""),
    ]
    if len(grey) < len(known):  # all grey is one camera, not a mixture
        findings += _of_format(survey, grey, GREY, lambda _, f: f.name)
    return findings


def _of_format(
    survey: Survey,
    known: list[tuple[PictureFile, FileFormat]],
    kind: Kind,
    describe: Callable[[PictureFile, FileFormat], str],
) -> list[Finding]:
    """Return the finding over all images of which `describe` has something to say."""
    told = ((picture, describe(picture, form)) for picture, form in known)
    return kind.found([Case(survey.name_of(p.path), detail) for p, detail in told if detail])


def _misnamed(picture: PictureFile, form: FileFormat) -> str:
    own = picture.path.suffix.lower()
    return f"is a {form.name} file" if own not in SUFFIXES[form.name] else ""
