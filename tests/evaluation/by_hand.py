"""An evaluation of other frameworks' files that shares no code with the package.

Everything is spelled out with loops: letterbox, decoding, NMS; the metric is pycocotools' own.
"""

from __future__ import annotations

import contextlib
import io
import math
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Row = tuple[float, float, float, float, float, int]  # x1, y1, x2, y2 in pixels, score, class


def run_file(content: bytes, picture: np.ndarray) -> list[np.ndarray]:
    """Feed real values, return real values of the outputs."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    scale, zero = given["quantization"]
    if given["dtype"] != np.float32:
        limits = np.iinfo(given["dtype"])
        codes = np.round(picture.astype(np.float64) / scale + zero)
        picture = np.clip(codes, limits.min, limits.max)
    interpreter.set_tensor(given["index"], picture[None].astype(given["dtype"]))
    interpreter.invoke()
    values = []
    for output in interpreter.get_output_details():
        value = interpreter.get_tensor(output["index"]).astype(np.float64)
        scale, zero = output["quantization"]
        values.append((value - zero) * scale if scale else value)
    return values


Pair = tuple[float, float]


def letterbox(picture: np.ndarray, side: int) -> tuple[np.ndarray, Pair, Pair]:
    """Return a square picture, its zoom in x and y, and the left and upper border."""
    height, width = picture.shape[:2]
    zoom = side / max(height, width)
    inner_w, inner_h = round(width * zoom), round(height * zoom)
    square = np.full((side, side, 3), 114, np.uint8)
    top, left = (side - inner_h) // 2, (side - inner_w) // 2
    resized = cv2.resize(picture, (inner_w, inner_h), interpolation=cv2.INTER_LINEAR)
    square[top : top + inner_h, left : left + inner_w] = resized
    return square, (inner_w / width, inner_h / height), (left, top)


def overlap(one: Row, other: Row) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    areas = [(row[2] - row[0]) * (row[3] - row[1]) for row in (one, other)]
    return common / (sum(areas) - common)


def suppress(rows: list[Row], *, iou: float, at_most: int) -> list[Row]:
    kept: list[Row] = []
    for row in sorted(rows, key=lambda item: -item[4]):
        if len(kept) == at_most:
            break
        if not any(row[5] == other[5] and overlap(row, other) > iou for other in kept):
            kept.append(row)
    return kept


def yolo_rows(table: np.ndarray, side: int) -> list[Row]:
    """Rows of a table (4 + K, N) of fractions, in pixels of the network's input."""
    rows = []
    for column in table.T:
        x, y, width, height = column[:4] * side
        for label, score in enumerate(column[4:]):
            if score > 0.001:
                box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                rows.append((*map(float, box), float(score), label))
    return rows


def ssd_rows(
    codes: np.ndarray, scores: np.ndarray, anchors: np.ndarray, *, columns: list[int]
) -> list[Row]:
    """Rows of codes (A, 4) y, x, h, w and scores (A, K); in fractions of the picture."""
    rows = []
    for code, score, (y_a, x_a, h_a, w_a) in zip(codes, scores, anchors, strict=True):
        y, x = code[0] / 10 * h_a + y_a, code[1] / 10 * w_a + x_a
        height, width = math.exp(code[2] / 5) * h_a, math.exp(code[3] / 5) * w_a
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        for label, column in enumerate(columns):
            rows.append((*map(float, box), float(score[column]), label))
    return rows


def to_picture(
    rows: list[Row],
    *,
    zoom: tuple[float, float],
    border: tuple[float, float],
    size: tuple[int, int],
) -> list[Row]:
    """Undo zoom and border (x, y), and cut to a picture of size (width, height)."""
    found = []
    for x1, y1, x2, y2, score, label in rows:
        xs = [min(max((x - border[0]) / zoom[0], 0), size[0]) for x in (x1, x2)]
        ys = [min(max((y - border[1]) / zoom[1], 0), size[1]) for y in (y1, y2)]
        if xs[1] > xs[0] and ys[1] > ys[0]:
            found.append((xs[0], ys[0], xs[1], ys[1], score, label))
    return found


def average_precision(
    truth: list[list[Row]], found: list[list[Row]], sizes: list[tuple[int, int]], classes: int
) -> float:
    """Return the mAP of pictures of (width, height)."""
    images = [
        {"id": number, "width": width, "height": height}
        for number, (width, height) in enumerate(sizes, 1)
    ]
    categories = [{"id": label + 1, "name": str(label)} for label in range(classes)]

    def annotations(rows_of_all: list[list[Row]]) -> list[dict[str, object]]:
        return [
            {
                "image_id": number,
                "category_id": row[5] + 1,
                "bbox": [row[0], row[1], row[2] - row[0], row[3] - row[1]],
                "area": (row[2] - row[0]) * (row[3] - row[1]),
                "iscrowd": 0,
                "score": row[4],
            }
            for number, rows in enumerate(rows_of_all, 1)
            for row in rows
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        items = [{**item, "id": number} for number, item in enumerate(annotations(truth), 1)]
        coco.dataset = {"images": images, "categories": categories, "annotations": items}
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(annotations(found)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def read_picture(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
