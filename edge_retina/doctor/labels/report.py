"""Suspicious labels as text, as a page with pictures, and as a file for annotation tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_retina.datasets.coco_tree import coco_annotation, with_annotations
from edge_retina.datasets.schema import Example
from edge_retina.doctor.labels.suspects import KIND_TEXTS, MISSED, Suspect
from edge_retina.evaluation.drawing import draw_boxes
from edge_retina.report.pages import render_template
from edge_retina.report.pictures import Tile, data_uri
from edge_retina.report.tables import Column, Figure, Table
from edge_retina.runtime.image import load_image

_SHOWN = 20  # in a terminal
_PICTURES = 60  # of a page
_MARGIN = 0.6  # of a box's longer side, around it
_LABELLED, _PROPOSED = (213, 94, 0), (0, 158, 115)
_LEAST_CROP_PX = 240
_WEAK_MAP50 = 0.5


def suspects_blocks(
    suspects: Sequence[Suspect], *, images: int, objects: int, mAP50: float
) -> list[str | Table]:
    """Return the number of suspects by kind, how good the judges are, and the worst suspects.

    Args:
        suspects: in the order of `find_suspects`.
        images: number of pictures that were judged.
        objects: number of labelled objects.
        mAP50: of the detectors, on pictures that they had not seen.
    """
    counts = Counter(suspect.kind for suspect in suspects)
    told = ", ".join(f"{counts[kind]} {kind}" for kind in KIND_TEXTS)
    blocks: list[str | Table] = [
        f"{images} pictures, {objects} objects: {len(suspects)} suspicious labels ({told})"
    ]
    judges = f"The detectors have mAP50 {mAP50:.2f} on pictures that they had not seen"
    if mAP50 < _WEAK_MAP50:
        judges += "; they are too weak to say much: train them longer with --set train.steps=N"
    blocks.append(judges)
    if suspects:
        blocks.append(_table(suspects[:_SHOWN]))
    return blocks


def _table(suspects: Sequence[Suspect]) -> Table:
    columns = (
        Column("suspicion"),
        Column("kind", text=True),
        Column("label", text=True),
        Column("detected", text=True),
        Column("picture", text=True),
        Column("object"),
    )
    rows = [
        (
            f"{item.suspicion:.2f}",
            item.kind,
            item.label,
            item.proposed,
            item.image_id,
            str(item.place + 1) if item.place >= 0 else "",
        )
        for item in suspects
    ]
    title = "The most suspicious of each kind in turn; objects are counted from 1"
    return Table(columns, rows, title=title)


def render_labels_page(
    suspects: Sequence[Suspect], examples: Sequence[Example], *, name: str
) -> str:
    """Return an HTML page with a picture of each of the first suspects."""
    by_id = {example.image_id: example for example in examples}
    counts = Counter(suspect.kind for suspect in suspects)
    return render_template(
        "labels.html.j2",
        "edge_retina.doctor",
        title=f"{name}: suspicious labels",
        window_title=f"{name}: labels",
        subtitle=(
            "Each picture was judged by a detector that was trained without it. "
            "Orange: the label. Green: what was detected."
        ),
        headline=[Figure(kind, str(counts[kind]), text) for kind, text in KIND_TEXTS.items()],
        shown=min(len(suspects), _PICTURES),
        total=len(suspects),
        tiles=[_tile(item, by_id[item.image_id]) for item in suspects[:_PICTURES]],
    )


def review_file(
    suspects: Iterable[Suspect], examples: Sequence[Example], labels: Sequence[str]
) -> dict[str, Any]:
    """Return the annotations as a COCO tree in which suspects are marked.

    Every object has `attributes`, which CVAT and FiftyOne read: `suspect` (a kind, or "no"),
    `suspicion` and `proposed`. Objects without a box are added with the detected one.
    """
    found: Mapping[tuple[str, int], Suspect] = {
        (item.image_id, item.place): item for item in suspects if item.kind != MISSED
    }
    added = [item for item in suspects if item.kind == MISSED]
    numbers = {example.image_id: number for number, example in enumerate(examples, 1)}
    index = {label: number for number, label in enumerate(labels)}
    annotations = []
    for example in examples:
        for place, (box, label) in enumerate(zip(example.boxes_px, example.classes, strict=True)):
            item = found.get((example.image_id, place))
            annotations.append(
                {
                    **coco_annotation(numbers[example.image_id], box, int(label)),
                    "iscrowd": int(example.crowd[place]),
                    "attributes": _attributes(item),
                }
            )
    for item in added:
        box = np.array(item.proposed_px)
        annotations.append(
            {
                **coco_annotation(numbers[item.image_id], box, index[item.proposed]),
                "iscrowd": 0,
                "attributes": _attributes(item),
            }
        )
    return with_annotations(examples, labels, annotations)


def _attributes(item: Suspect | None) -> dict[str, Any]:
    if item is None:
        return {"suspect": "no", "suspicion": 0.0, "proposed": ""}
    return {"suspect": item.kind, "suspicion": item.suspicion, "proposed": item.proposed}


def picture_of(item: Suspect, example: Example) -> np.ndarray:
    """Return the part of a picture that a suspect is about, (h, w, 3) RGB, with its boxes.

    Orange is the label, green what was detected.
    """
    image = load_image(example.path)
    boxes, texts, colours = [], [], []
    for box, text, colour in (
        (item.box_px, item.label, _LABELLED),
        (item.proposed_px, item.proposed, _PROPOSED),
    ):
        if box is not None:
            boxes.append(box)
            texts.append(text)
            colours.append(colour)
    top, left, bottom, right = _crop(np.array(boxes), image.shape[:2])
    return draw_boxes(
        image[top:bottom, left:right],
        np.array(boxes) - (top, left, top, left),
        texts,
        colours,
    )


def _tile(item: Suspect, example: Example) -> Tile:
    place = f", object {item.place + 1}" if item.place >= 0 else ""
    caption = f"{item.suspicion:.2f} {item.kind}: {item.image_id}{place}"
    return Tile(data_uri(picture_of(item, example)), caption, KIND_TEXTS[item.kind])


def _crop(boxes: np.ndarray, image_hw: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the part of a picture (yxyx) that shows boxes with their surroundings."""
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = max(_MARGIN * float((high - low).max()), (_LEAST_CROP_PX - (high - low).min()) / 2)
    top, left = np.maximum(np.floor(low - margin), 0).astype(int).tolist()
    bottom, right = np.minimum(np.ceil(high + margin), image_hw[:2]).astype(int).tolist()
    return top, left, bottom, right
