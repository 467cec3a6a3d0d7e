"""What every client script is called with and writes; runs inside the client's own environment.

Called as `with_CLIENT.py MODEL PICTURES OUT [option ...]`. OUT becomes
`{"version": ..., "pictures": {name: [{"label", "score", "box_px": [ymin, xmin, ymax, xmax]}]}}`.
Nothing here imports edge_retina: a client has none.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

SCORE = 0.2  # rows below are not reported; the comparison is made higher, at SCORE_COMPARED


def arguments(*options: str) -> argparse.Namespace:
    """Parse MODEL, PICTURES and OUT; `options` are further ones, with a "?" those to leave out."""
    parser = argparse.ArgumentParser()
    for name in ("model", "pictures", "out"):
        parser.add_argument(name, type=Path)
    for name in options:
        parser.add_argument(name.rstrip("?"), nargs="?" if name.endswith("?") else None)
    return parser.parse_args()


def read_pictures(directory: Path) -> list[tuple[str, np.ndarray]]:
    """Return (name, upright RGB picture) in the order of the names, as an app's decoder would."""
    return [
        (path.name, np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]))
        for path in sorted(directory.iterdir())
    ]


def write(out: Path, version: str, pictures: dict) -> None:
    """Write the result."""
    out.write_text(json.dumps({"version": version, "pictures": pictures}))


def rows_of_tensors(outputs: list, labels: list, image_hw: tuple) -> list:
    """Return the used rows of boxes (N, 4), classes (N,), scores (N,) and count ()."""
    boxes, classes, scores, count = outputs
    height, width = image_hw
    return [
        {
            "label": labels[round(float(index))],
            "score": float(score),
            "box_px": (np.clip(box, 0, 1) * [height, width, height, width]).tolist(),
        }
        for box, index, score in list(zip(boxes, classes, scores))[: int(count)]  # noqa: B905
        if score >= SCORE
    ]


def rows_of_task(detections: list) -> list:
    """Return the detections of MediaPipe Tasks or the Task Library, whose types are alike."""
    return [
        {
            "label": found.categories[0].category_name,
            "score": float(found.categories[0].score),
            "box_px": [
                box.origin_y,
                box.origin_x,
                box.origin_y + box.height,
                box.origin_x + box.width,
            ],
        }
        for found in detections
        for box in [found.bounding_box]
    ]
