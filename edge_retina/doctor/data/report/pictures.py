"""Pictures on the page: samples with their boxes, and the objects covered worst by anchors."""

from __future__ import annotations

import cv2
import numpy as np

from edge_retina.datasets.schema import Example
from edge_retina.doctor.data.checks.anchors import AnchorStudy
from edge_retina.doctor.data.survey import Survey
from edge_retina.errors import DatasetError
from edge_retina.evaluation.drawing import draw_ground_truth
from edge_retina.report.pictures import Tile, data_uri
from edge_retina.runtime.image import load_image

_SAMPLES = 12
# Three columns of the page; with JPEG this keeps all pictures together well under a megabyte.
_SAMPLE_SIDE_PX = 420
_CROP_SIDE_PX = 200
_CONTEXT = 1.0  # shown around an object, in its own longer side, on each side
_CROP_COLOUR = (255, 64, 64)


def samples(survey: Survey) -> list[Tile]:
    """Return pictures of all splits, chosen by the config's seed, with their boxes."""
    sound = survey.sound(survey.usable)
    order = np.random.default_rng(survey.config.seed).permutation(len(sound))[:_SAMPLES]
    tiles = []
    for index in order.tolist():
        picture = _load(sound[index])
        if picture is not None:
            drawn = draw_ground_truth(picture, sound[index], survey.labels)
            name = survey.name_of(sound[index].path)
            tiles.append(Tile(data_uri(_shrunk(drawn, _SAMPLE_SIDE_PX)), caption=name, name=name))
    return tiles


def worst_crops(survey: Survey, study: AnchorStudy) -> list[Tile]:
    """Return the objects that the fitted anchors cover worst, cut out of their pictures."""
    tiles = []
    for item in study.worst:
        trouble = survey.pictures[item.example.path].trouble
        picture = None if trouble else _load(item.example)
        if picture is not None:
            height, width = np.diff(
                item.example.boxes_at(study.image_hw)[item.index].reshape(2, 2), axis=0
            )[0]
            label = survey.labels[item.example.classes[item.index]]
            text = f"{label}, {height:.0f} × {width:.0f} px, IoU {item.iou:.2f}"
            crop = data_uri(_crop(picture, item.example.boxes_px[item.index]))
            tiles.append(Tile(crop, caption=text, name=survey.name_of(item.example.path)))
    return tiles


def _load(example: Example) -> np.ndarray | None:
    """Return the picture; None for one that changed since it was examined."""
    try:
        picture = load_image(example.path)
    except DatasetError:
        return None  # a page without one sample is better than none
    return picture if picture.shape[:2] == example.image_hw else None


def _crop(image_rgb: np.ndarray, box_px: np.ndarray) -> np.ndarray:
    """Return a square around a box, with the box drawn, brought to the tile's size."""
    ymin, xmin, ymax, xmax = box_px.astype(float)
    half = max(ymax - ymin, xmax - xmin, 8.0) * (0.5 + _CONTEXT)
    y, x = (ymin + ymax) / 2, (xmin + xmax) / 2
    zoom = _CROP_SIDE_PX / (2 * half)
    move = np.array([[zoom, 0, (half - x) * zoom], [0, zoom, (half - y) * zoom]])
    size = (_CROP_SIDE_PX, _CROP_SIDE_PX)
    crop = cv2.warpAffine(image_rgb, move, size, borderValue=(128, 128, 128))
    low = np.rint((np.array([xmin, ymin]) - (x - half, y - half)) * zoom).astype(int)
    high = np.rint((np.array([xmax, ymax]) - (x - half, y - half)) * zoom).astype(int)
    cv2.rectangle(crop, low.tolist(), high.tolist(), _CROP_COLOUR, 1)
    return crop


def _shrunk(image_rgb: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(image_rgb.shape[:2])
    if scale >= 1:
        return image_rgb
    size = [max(1, round(length * scale)) for length in image_rgb.shape[1::-1]]
    return cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
