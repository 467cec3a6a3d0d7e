"""Checks of boxes: each by itself, and against the others in its picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_retina.doctor.data.object_table import UNKNOWN_CLASS, ObjectTable
from edge_retina.doctor.findings import SHOWN_CASES, Finding, Kind

ROUNDING_PX = 1.0  # annotation tools round to whole pixels; the loader clips this much silently
_COVERING = 0.98
# An object drawn twice differs by a few pixels; two real objects never overlap this much.
_SAME_BOX_IOU = 0.95
_ONE_OBJECT_IOU = 0.9
# An offset is a habit of the tool: it shows in many boxes at the border, or it is chance.
_MIN_BORDER_BOXES = 5
_MIN_CLASS_BOXES = 30  # for a class to have a usual shape
# Median absolute deviations over 0.6745: of normal values one in 10^9 is further out.
_ODD_DEVIATIONS = 6.0

_Test = Callable[[ObjectTable], Any]  # what NumPy calls a bool or an array of them

UNKNOWN = Kind(
    "unknown-class",
    "error",
    "Objects whose class is not in the class list",
    "training stops at them; if they are skipped, they are learned as background",
    "correct the name, or add the class to the list",
)
PIXELS = Kind(
    "pixels-in-normalized-format",
    "error",
    "Coordinates in pixels where fractions of the picture are expected",
    "the boxes lie far outside their pictures and are lost",
    "divide x and width by the picture's width, y and height by its height",
)
FRACTIONS = Kind(
    "normalized-coordinates",
    "error",
    "Coordinates in fractions of the picture where pixels are expected",
    "every box shrinks to less than a pixel in the top left corner, so nothing can be learned",
    "multiply x by the picture's width and y by its height",
)
INVERTED = Kind(
    "inverted-box",
    "error",
    "Boxes whose maximum is smaller than their minimum",
    "training stops at them; if they are skipped, their objects are learned as background",
    "swap the corners",
)
EMPTY = Kind(
    "zero-area-box",
    "error",
    "Boxes with zero area",
    "training stops at them; most come from a stray click",
    "delete them, or redraw them where there is an object",
)
OUTSIDE = Kind(
    "box-outside",
    "error",
    "Boxes entirely outside their picture",
    "training stops at them; the picture was cropped or replaced after annotation",
    "delete them, and check the other boxes of these pictures",
)
STICKING_OUT = Kind(
    "box-sticks-out",
    "error",
    "Boxes that extend more than a pixel beyond their picture",
    "training stops at them; clipping them is right only if this is the picture that was annotated",
    "clip them if the sample pictures look right; if not, the pictures changed after annotation",
)
SUB_PIXEL = Kind(
    "sub-pixel-box",
    "warning",
    "Boxes with a side under one pixel",
    "nothing of the object is visible, yet an anchor is trained to find it",
    "delete them",
)
COVERING = Kind(
    "covering-box",
    "note",
    "Boxes that cover the whole picture",
    "fine for close-ups; otherwise these are image labels turned into boxes, which teach that "
    "everything is the object",
    "check them",
)
DUPLICATE = Kind(
    "duplicate-box",
    "warning",
    "Objects boxed twice with the same class",
    "NMS returns only one of the two, so the other always counts as missed",
    "delete one of them",
)
CONTRADICTION = Kind(
    "contradicting-classes",
    "warning",
    "Boxes with two different classes",
    "the same pixels are trained towards two answers; unless classes may overlap, one of the "
    "labels is wrong",
    "delete the wrong one",
)
DRIFT_ONE = Kind(
    "one-based-coordinates",
    "note",
    "Boxes that start at 1 at the border, while none starts at 0",
    "either pixels are counted from 1, as in the VOC devkit, or the tool raises 0 to 1, as "
    "labelImg does; the offset is at most a pixel, which matters only for small objects; "
    "coordinates are used as they are",
    "subtract 1 from xmin and ymin, but only if the tool counts from 1 everywhere",
)
DRIFT_LAST = Kind(
    "inclusive-coordinates",
    "note",
    "Boxes that end at the last pixel, while none ends at the border itself",
    "if the last pixel is meant to be included, boxes are a pixel too short, which matters only "
    "for small objects; coordinates are used as they are",
    "add 1 to xmax and ymax if the annotation tool includes the last pixel",
)
CROWD = Kind(
    "crowd-region",
    "note",
    "Regions marked as crowds",
    "as COCO prescribes, they are neither trained on nor counted against the model; other formats "
    "have no such mark",
    "nothing to do; converted to YOLO or CSV, they become ordinary boxes",
)
DIFFICULT = Kind(
    "difficult-object",
    "note",
    "Objects marked as difficult",
    "they are neither trained on nor counted against the model, as the Pascal VOC rules say",
    "nothing to do, unless the flag was set by mistake; converted to YOLO or CSV, they become "
    "ordinary boxes",
)
ODD = Kind(
    "odd-shape",
    "note",
    "Boxes shaped unlike all others of their class",
    "often a wrong class, or two objects in one box",
    "check them",
)


def check_boxes(table: ObjectTable) -> list[Finding]:
    """Return all findings about boxes; one box is not reported twice for one mistake."""
    return [
        *_single(table),
        *_pairs(table),
        *_drift(table),
        *_odd_shapes(table),
        *_flagged(table, CROWD, table.crowd),
        *_flagged(table, DIFFICULT, table.difficult),
    ]


def _single(table: ObjectTable) -> list[Finding]:
    # The first that holds explains the others: a box in the wrong unit also lies outside.
    checks: tuple[tuple[Kind, _Test], ...] = (
        (UNKNOWN, lambda some: some.classes == UNKNOWN_CLASS),
        (PIXELS, lambda some: some.normalized & (np.abs(some.stated) > 2).any(axis=1)),
        (FRACTIONS, _in_fractions),
        (INVERTED, lambda some: some.sides_px.min(axis=1) < 0),
        (EMPTY, lambda some: some.sides_px.min(axis=1) == 0),
        (OUTSIDE, _outside),
        (STICKING_OUT, _sticking_out),
        (SUB_PIXEL, lambda some: some.sides_px.min(axis=1) < 1),
        (COVERING, lambda some: (some.coverage() >= _COVERING) & ~some.crowd),
    )
    findings, explained = [], np.zeros(len(table), bool)
    for kind, holds in checks:
        mask = table.mask(holds) & ~explained
        if kind is FRACTIONS:
            mask &= _all_of_their_picture(table)
        explained |= mask
        findings += kind.found(table.cases(mask, table.xyxy_text), count=int(mask.sum()))
    return findings


def _outside(table: ObjectTable) -> np.ndarray:
    outside = (table.boxes_px[:, 2:] <= 0).any(axis=1)
    return np.asarray(outside | (table.boxes_px[:, :2] >= table.frame_hw).any(axis=1))


def _sticking_out(table: ObjectTable) -> np.ndarray:
    beyond = (-table.boxes_px[:, :2], table.boxes_px[:, 2:] - table.frame_hw)
    return np.asarray((np.concatenate(beyond, axis=1) > ROUNDING_PX).any(axis=1))


def _in_fractions(table: ObjectTable) -> np.ndarray:
    within = (table.stated >= 0).all(axis=1) & (table.stated <= 1).all(axis=1)
    return np.asarray(within & ~table.normalized)


def _all_of_their_picture(table: ObjectTable) -> np.ndarray:
    """Return the boxes with an area of pictures whose boxes are all in fractions."""
    others = np.zeros(len(table.images), bool)
    others[table.image[~table.mask(_in_fractions)]] = True
    has_area = table.mask(lambda some: np.asarray((some.sides_px > 0).all(axis=1)))
    return np.asarray(~others[table.image] & has_area)


def _pairs(table: ObjectTable) -> list[Finding]:
    pairs, iou = table.pairs
    same = table.classes[pairs[:, 0]] == table.classes[pairs[:, 1]]
    findings = []
    for kind, mask in (
        (DUPLICATE, same & (iou >= _SAME_BOX_IOU)),
        (CONTRADICTION, ~same & (iou >= _ONE_OBJECT_IOU)),
    ):
        cases = [
            table.case(int(second), f"{table.xyxy_text(int(second))}; {_other(table, int(first))}")
            for first, second in pairs[mask][:SHOWN_CASES]
        ]
        findings += kind.found(cases, count=int(mask.sum()))
    return findings


def _other(table: ObjectTable, index: int) -> str:
    item = table.images.columns.object(int(table.object[index]))
    return f"also {item.name}, {item.label}"


def duplicate_mask(table: ObjectTable) -> np.ndarray:
    """Return (N,) bool: an earlier object of the picture has the same class and the same box."""
    pairs, iou = table.pairs
    same = table.classes[pairs[:, 0]] == table.classes[pairs[:, 1]]
    mask = np.zeros(len(table), bool)
    mask[pairs[same & (iou >= _SAME_BOX_IOU), 1]] = True
    return mask


def _drift(table: ObjectTable) -> list[Finding]:
    """Check boxes that touch the border: they show how the tool counts pixels."""
    checks: tuple[tuple[Kind, _Test, _Test], ...] = (
        (
            DRIFT_ONE,
            lambda some: (some.stated[:, :2] == 1).any(axis=1),
            lambda some: (some.stated[:, :2] <= 0).any(axis=1),
        ),
        (
            DRIFT_LAST,
            lambda some: (some.stated[:, 2:] == some.frame_hw - 1).any(axis=1),
            lambda some: (some.stated[:, 2:] >= some.frame_hw).any(axis=1),
        ),
    )
    whole = table.mask(lambda some: (some.stated == np.rint(some.stated)).all(axis=1))
    whole &= ~table.normalized & table.sound
    findings = []
    for kind, shifted, plain in checks:
        seen, against = (whole & table.mask(test) for test in (shifted, plain))
        count = int(seen.sum())
        if count >= _MIN_BORDER_BOXES and not against.any():
            findings += kind.found(table.cases(seen, table.xyxy_text), count=count)
    return findings


def _flagged(table: ObjectTable, kind: Kind, mask: np.ndarray) -> list[Finding]:
    return kind.found(table.cases(mask, table.xyxy_text), count=int(mask.sum()))


def _odd_shapes(table: ObjectTable) -> list[Finding]:
    sound = table.sound & (table.classes != UNKNOWN_CLASS)
    mask = np.zeros(len(table), bool)
    for _, members in table.by_class(sound):
        if len(members) >= _MIN_CLASS_BOXES:
            boxes_px = table.boxes_px[members]
            height, width = np.log(boxes_px[:, 2:] - boxes_px[:, :2]).T
            for feature in (height + width, height - width):  # area, aspect
                centred = np.abs(feature - np.median(feature))
                spread = np.median(centred) / 0.6745  # the normal distribution's sigma
                mask[members] |= centred > _ODD_DEVIATIONS * np.maximum(spread, 0.05)
    return ODD.found(table.cases(mask, table.xyxy_text), count=int(mask.sum()))
