"""Checks of boxes: each on its own, and against the others of its picture."""

from __future__ import annotations

import numpy as np

from edge_retina.doctor.data.object_table import UNKNOWN_CLASS, ObjectTable
from edge_retina.doctor.findings import SHOWN_CASES, Finding, Kind

ROUNDING_PX = 1.0  # annotation tools round to whole pixels; the loader clips so much in silence
_COVERING = 0.98
# Annotators who draw an object twice are apart by some pixels; two real objects are never so near.
_SAME_BOX_IOU = 0.95
_ONE_OBJECT_IOU = 0.9
# Drift is a habit of a tool: it shows in many boxes at the border or it is chance.
_MIN_BORDER_BOXES = 5
_MIN_CLASS_BOXES = 30  # for a class to have a usual shape
# Median absolute deviations over 0.6745: of normal values one in 10^9 is further out.
_ODD_DEVIATIONS = 6.0

UNKNOWN = Kind(
    "unknown-class",
    "error",
    "Objects of classes that are not in the class list",
    "training stops at them; left out, they are trained on as background",
    "correct the name, or add the class to the list",
)
PIXELS = Kind(
    "pixels-in-normalized-format",
    "error",
    "Coordinates in pixels where fractions of the picture are due",
    "the boxes lie far outside their pictures and are lost",
    "divide x and width by the picture's width, y and height by its height",
)
FRACTIONS = Kind(
    "normalized-coordinates",
    "error",
    "Coordinates in fractions of the picture where pixels are due",
    "every box shrinks to less than a pixel in the upper left corner, so nothing can be learned",
    "multiply x by the picture's width and y by its height",
)
INVERTED = Kind(
    "inverted-box",
    "error",
    "Boxes whose maximum lies before their minimum",
    "training stops at them; left out, their objects are trained on as background",
    "swap the corners",
)
EMPTY = Kind(
    "zero-area-box",
    "error",
    "Boxes without an area",
    "training stops at them; they come from a slip of the mouse as a rule",
    "delete them, or draw them again where there is an object",
)
OUTSIDE = Kind(
    "box-outside",
    "error",
    "Boxes that lie wholly outside their picture",
    "training stops at them; the picture was cut or exchanged after it was annotated",
    "delete them, and look at the other boxes of these pictures",
)
STICKING_OUT = Kind(
    "box-sticks-out",
    "error",
    "Boxes that stick out of their picture by more than a pixel",
    "training stops at them; clipped, they are right only if the picture is the annotated one",
    "clip them if the sample pictures look right; else the pictures were changed after annotation",
)
SUB_PIXEL = Kind(
    "sub-pixel-box",
    "warning",
    "Boxes with a side of less than a pixel",
    "nothing of the object is to be seen, yet an anchor is trained to find it",
    "delete them",
)
COVERING = Kind(
    "covering-box",
    "note",
    "Boxes that cover the whole picture",
    "right for a close-up; else a classification label that became a box, which teaches that "
    "everything is the object",
    "look at them",
)
DUPLICATE = Kind(
    "duplicate-box",
    "warning",
    "Objects that are boxed twice with the same class",
    "non-maximum suppression can return only one of the two, so the other counts as missed",
    "delete one of them",
)
CONTRADICTION = Kind(
    "contradicting-classes",
    "warning",
    "One box with two classes",
    "the same pixels are trained towards two answers; if classes may overlap that is meant, else "
    "it is a wrong label",
    "delete the wrong one",
)
DRIFT_ONE = Kind(
    "one-based-coordinates",
    "note",
    "Boxes at the border that begin at 1, where none begins at 0",
    "pixels are counted from 1, as by the VOC devkit, or the tool raises 0 to 1, as labelImg does; "
    "at most a pixel, which is little for large objects and costs small ones some hundredths of "
    "IoU; coordinates are used as they stand",
    "subtract 1 from xmin and ymin only if the tool counts from 1 throughout",
)
DRIFT_LAST = Kind(
    "inclusive-coordinates",
    "note",
    "Boxes at the border that end at the last pixel, where none ends at the border itself",
    "boxes are a pixel too short, which costs small objects some hundredths of IoU; coordinates "
    "are used as they stand",
    "add 1 to xmax and ymax if the annotation tool means the last pixel",
)
CROWD = Kind(
    "crowd-region",
    "note",
    "Regions marked as crowds",
    "they are neither trained on nor counted against the model, as COCO's rules say; other formats "
    "have no such mark",
    "nothing; converted to YOLO or CSV, they become ordinary boxes",
)
DIFFICULT = Kind(
    "difficult-object",
    "note",
    "Objects marked as difficult",
    "they are neither trained on nor counted against the model, as the Pascal VOC rules say",
    "nothing, unless the flag was set by mistake; converted to YOLO or CSV, they become ordinary "
    "boxes",
)
ODD = Kind(
    "odd-shape",
    "note",
    "Boxes whose shape is far from all others of their class",
    "often a wrong class or two objects in one box",
    "look at them",
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
    height, width = table.sides_px.T
    beyond = np.concatenate(
        [-table.boxes_px[:, :2], table.boxes_px[:, 2:] - table.frame_hw], axis=1
    )
    outside = (table.boxes_px[:, 2:] <= 0).any(axis=1)
    outside |= (table.boxes_px[:, :2] >= table.frame_hw).any(axis=1)
    shortest = np.minimum(height, width)
    # The first that holds explains the others: a box in the wrong unit also lies outside.
    checks = (
        (UNKNOWN, table.classes == UNKNOWN_CLASS),
        (PIXELS, table.normalized & (np.abs(table.stated) > 2).any(axis=1)),
        (FRACTIONS, _fractions(table)),
        (INVERTED, shortest < 0),
        (EMPTY, shortest == 0),
        (OUTSIDE, outside),
        (STICKING_OUT, (beyond > ROUNDING_PX).any(axis=1)),
        (SUB_PIXEL, shortest < 1),
        (COVERING, (table.coverage() >= _COVERING) & ~table.crowd),
    )
    findings, explained = [], np.zeros(len(table), bool)
    for kind, holds in checks:
        mask = holds & ~explained
        explained |= mask
        findings += kind.found(table.cases(mask, table.xyxy_text), count=int(mask.sum()))
    return findings


def _fractions(table: ObjectTable) -> np.ndarray:
    """Boxes of pixel formats within 0..1, if all boxes of their picture are."""
    within = ~table.normalized & (table.stated >= 0).all(axis=1) & (table.stated <= 1).all(axis=1)
    others = np.zeros(len(table.images), bool)
    others[table.image[~within]] = True
    return within & ~others[table.image] & (table.sides_px > 0).all(axis=1)


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
    item = table.images[table.image[index]].objects[table.number[index]]
    return f"also {item.name}, {item.label}"


def duplicate_mask(table: ObjectTable) -> np.ndarray:
    """Return (N,) bool: an earlier object of the picture has the same class and the same box."""
    pairs, iou = table.pairs
    same = table.classes[pairs[:, 0]] == table.classes[pairs[:, 1]]
    mask = np.zeros(len(table), bool)
    mask[pairs[same & (iou >= _SAME_BOX_IOU), 1]] = True
    return mask


def _drift(table: ObjectTable) -> list[Finding]:
    """Look at boxes that touch the border: there a tool's way of counting shows."""
    whole = ~table.normalized & (table.stated == np.rint(table.stated)).all(axis=1) & table.sound
    low, high = table.stated[:, :2], table.stated[:, 2:]
    findings = []
    for kind, shifted, plain in (
        (DRIFT_ONE, (low == 1), (low <= 0)),
        (DRIFT_LAST, (high == table.frame_hw - 1), (high >= table.frame_hw)),
    ):
        seen, against = (whole & mask.any(axis=1) for mask in (shifted, plain))
        count = int(seen.sum())
        if count >= _MIN_BORDER_BOXES and not against.any():
            findings += kind.found(table.cases(seen, table.xyxy_text), count=count)
    return findings


def _flagged(table: ObjectTable, kind: Kind, mask: np.ndarray) -> list[Finding]:
    return kind.found(table.cases(mask, table.xyxy_text), count=int(mask.sum()))


def _odd_shapes(table: ObjectTable) -> list[Finding]:
    sound = table.sound & (table.classes != UNKNOWN_CLASS)
    shapes = np.log(np.where(sound[:, None], table.sides_px, 1.0))
    features = np.stack([shapes.sum(axis=1), shapes[:, 0] - shapes[:, 1]], axis=1)  # area, aspect
    mask = np.zeros(len(table), bool)
    for label in range(len(table.labels)):
        members = np.flatnonzero(sound & (table.classes == label))
        if len(members) >= _MIN_CLASS_BOXES:
            centred = features[members] - np.median(features[members], axis=0)
            spread = np.median(np.abs(centred), axis=0) / 0.6745  # the normal distribution's sigma
            mask[members] = (np.abs(centred) > _ODD_DEVIATIONS * np.maximum(spread, 0.05)).any(
                axis=1
            )
    return ODD.found(table.cases(mask, table.xyxy_text), count=int(mask.sum()))
