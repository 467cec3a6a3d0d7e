"""Find objects in images and videos, and write copies with the boxes drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_retina.evaluation.drawing import draw_detections
from edge_retina.evaluation.video import create_video, probe_video, read_frames
from edge_retina.files import write_bytes
from edge_retina.progress import ProgressUpdate
from edge_retina.runtime.detections import Detections, Predictor
from edge_retina.runtime.image import load_image


def annotate_image(
    predictor: Predictor, source: Path, target: Path, *, score_threshold: float
) -> dict[str, Any]:
    """Detect objects in one image and write it with the boxes drawn.

    Returns:
        The JSON object of the image: path, height, width, detections (see `describe`).

    Raises:
        DatasetError: the image can't be read.
    """
    image_rgb = load_image(source)
    drawn, detections = _annotate(predictor, image_rgb, score_threshold)
    write_bytes(target, _encode(drawn, target.suffix))
    height, width = image_rgb.shape[:2]
    return {"path": str(source), "height": height, "width": width, "detections": detections}


def annotate_video(
    predictor: Predictor,
    source: Path,
    target: Path,
    *,
    score_threshold: float,
    progress: ProgressUpdate | None = None,
) -> dict[str, Any]:
    """Detect objects in every frame of a video and write it as .mp4 with the boxes drawn.

    Returns:
        The JSON object of the video: path, height, width, fps, and frames with detections.

    Raises:
        DatasetError: the video can't be read or has no frame.
    """
    info = probe_video(source)
    frames = []
    with create_video(target, info) as video:
        for number, frame_rgb in enumerate(read_frames(source)):
            drawn, detections = _annotate(predictor, frame_rgb, score_threshold)
            video.write(drawn)
            frames.append({"frame": number, "detections": detections})
            if progress is not None:
                progress(number + 1, total=info.frames)
    height, width = info.image_hw
    return {
        "path": str(source),
        "height": height,
        "width": width,
        "fps": info.fps,
        "frames": frames,
    }


def describe(
    detections: Detections, labels: tuple[str, ...], image_hw: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return detections as JSON objects: label, score, and box_px as ymin xmin ymax xmax."""
    return [
        {
            "label": labels[index],
            "score": float(score),
            "box_px": [float(side) for side in box],
        }
        for box, index, score in zip(
            detections.boxes_px(image_hw), detections.classes, detections.scores, strict=True
        )
    ]


def _annotate(
    predictor: Predictor, image_rgb: np.ndarray, score_threshold: float
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    found = predictor.predict(image_rgb).above(score_threshold)
    drawn = draw_detections(image_rgb, found, predictor.labels, score_threshold=score_threshold)
    return drawn, describe(found, predictor.labels, (image_rgb.shape[0], image_rgb.shape[1]))


def _encode(image_rgb: np.ndarray, suffix: str) -> bytes:
    _, data = cv2.imencode(suffix, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    return data.tobytes()
