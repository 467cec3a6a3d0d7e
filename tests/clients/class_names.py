"""A detector that is right by construction, to see whether every client prints the right names.

The network takes images 192 px high and 320 px wide, in 12x20 cells. A cell of one of five colours
is an object of that colour's class, twice as wide as the cell if the colour has red, twice as high
if it has green. So what must be found is known without any code of this package. The labels are not
sorted, and some are not ASCII. A client that sorts, counts from one, decodes wrongly or swaps
height and width is caught.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_retina.boxes.iou import pairwise_iou
from tests.clients.comparison import SAME_IOU, Row

LABELS = ("zebra", "apple", "müde Katze", "人", "bus")
_COLOURS = np.array(  # RGB, -1 or 1, by class
    [[1, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, -1], [1, -1, 1]], np.float32
)
IMAGE_HW = (192, 320)
_CELL, _LEVEL = 16, 4
# Rows and columns of cells, apart from one another and from the border
_PLACES = ((1, 17), (9, 1), (3, 6), (10, 18), (6, 11))
# A cell's logit is 8 (colour . colour of the class) - 20: 4 for its class, -12 at most for others
_SLOPE, _BIAS, _SCORE = 8.0, -20.0, 1 / (1 + math.exp(-4.0))

Rows = dict[str, list[dict[str, Any]]]


def draw_pictures(out: Path) -> Rows:
    """Write a picture for each turn of the classes over the places; return what is in them.

    Each picture has one object of each class, in all of them each class was at each place.
    """
    out.mkdir(parents=True)
    expected: Rows = {}
    for turn in range(len(LABELS)):
        picture = np.zeros((*IMAGE_HW, 3), np.uint8)
        rows = []
        for place, (row, column) in enumerate(_PLACES):
            index = (place + turn) % len(LABELS)
            top, left = row * _CELL, column * _CELL
            picture[top : top + _CELL, left : left + _CELL] = np.where(_COLOURS[index] > 0, 255, 0)
            rows.append({"label": LABELS[index], "score": _SCORE, "box_px": _box(place, index)})
        cv2.imwrite(str(out / f"turn{turn}.png"), picture[..., ::-1])
        expected[f"turn{turn}.png"] = rows
    return expected


def _box(place: int, index: int) -> list[float]:
    """Return ymin, xmin, ymax, xmax in pixels of an object of class `index`."""
    y, x = ((cell + 0.5) * _CELL for cell in _PLACES[place])
    red, green, _ = _COLOURS[index] > 0
    half_height, half_width = (_CELL if wide else _CELL / 2 for wide in (green, red))
    return [y - half_height, x - half_width, y + half_height, x + half_width]


def names_at(objects: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Return the name that `rows` give to each object, by the nearest box; "" without one."""
    if not rows:
        return [""] * len(objects)
    iou = pairwise_iou(
        *(np.array([x["box_px"] for x in boxes], float) for boxes in (objects, rows))
    )
    best = iou.argmax(axis=1)
    return [
        rows[row]["label"] if iou[index, row] >= SAME_IOU else "" for index, row in enumerate(best)
    ]


def write_models(out: Path) -> list[Path]:
    """Write the detector as names_float32.tflite and names_int8.tflite (needs TensorFlow)."""
    from edge_retina.boxes.anchors import AnchorGrid
    from edge_retina.config import ExportConfig
    from edge_retina.export.convert import convert
    from edge_retina.export.detection_graph import detection_function
    from edge_retina.export.metadata import with_metadata

    out.mkdir(parents=True, exist_ok=True)
    grid = AnchorGrid(IMAGE_HW, _LEVEL, (((float(_CELL), float(_CELL)),),))
    export = ExportConfig(max_detections=10)
    paths = []
    for precision in ("float32", "int8"):
        int8 = precision == "int8"
        function = detection_function(_network(int8), anchors=grid, export=export)
        content = with_metadata(convert(function, int8=int8), labels=LABELS, name="class names")
        paths.append(out / f"names_{precision}.tflite")
        paths[-1].write_bytes(content)
    return paths


def _network(fake_quantised: bool) -> Any:
    """Return the network: from an image to [logits (1, 240, 5), codes (1, 240, 4)]."""
    from edge_retina.model.keras import keras, tf

    def fake(x: Any, low: float, high: float) -> Any:
        if not fake_quantised:
            return x
        return tf.quantization.fake_quant_with_min_max_args(x, low, high)

    def head(x: Any, weights: np.ndarray, bias: np.ndarray, low: float, high: float) -> Any:
        """Apply `weights` (3, D) to the mean colour of each cell."""
        kernel = np.tile(weights / _CELL**2, (_CELL, _CELL, 1, 1)).astype(np.float32)
        bound = np.abs(kernel).max(axis=(0, 1, 2))
        if fake_quantised:
            kernel = tf.quantization.fake_quant_with_min_max_vars_per_channel(
                kernel, -bound, bound, narrow_range=True
            )
        cells = tf.nn.conv2d(x, kernel, _CELL, "VALID") + bias.astype(np.float32)
        return tf.reshape(fake(cells, low, high), [1, -1, weights.shape[1]])

    # ty, tx = 0; th, tw double the side where there is green or red: see `boxes.codec`
    growth = 5 * math.log(2) / 2
    codes = np.array([[0, 0, 0, growth], [0, 0, growth, 0], [0, 0, 0, 0]])

    class Network(keras.Model):
        def call(self, image: Any, training: bool = False) -> list[Any]:
            x = fake(image, -1.0, 127 / 128)  # pixel values: scale 1/128, zero point 128
            logits = head(x, _SLOPE * _COLOURS.T, np.full(len(LABELS), _BIAS), -50.0, 10.0)
            return [logits, head(x, codes, codes.sum(axis=0), 0.0, 4.0)]

    return Network()
