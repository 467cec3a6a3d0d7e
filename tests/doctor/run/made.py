"""Evidence of RUNs that never were: logs, pictures and what a network says about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, square_shapes
from edge_retina.boxes.codec import encode
from edge_retina.boxes.iou import pairwise_iou
from edge_retina.config import ExportConfig, load_config
from edge_retina.datasets.schema import Example
from edge_retina.doctor.run.evidence import RunEvidence
from edge_retina.doctor.run.outputs import Outputs
from edge_retina.doctor.run.training_log import TrainingLog

HW = (128, 128)
LEVELS = (3, 4, 5)
GRID = AnchorGrid(HW, 3, square_shapes(LEVELS))
LABELS = ("cat", "dog", "cow")
# (y, x, side, class): far enough apart that no detection touches two of them
PLACES = ((8, 8, 30, 0), (8, 80, 34, 1), (80, 8, 36, 2), (80, 80, 28, 0))

Box = tuple[float, float, float, float]
Found = tuple[Box, int, float]  # box in pixels yxyx, class, score


def example(number: int, *, hw: tuple[int, int] = HW, classes: Any = None) -> Example:
    """A picture with four objects."""
    boxes = np.array([(y, x, y + side, x + side) for y, x, side, _ in PLACES], np.float32)
    own = np.array([label for *_, label in PLACES], np.int32)
    chosen = own if classes is None else np.array(classes, np.int32)
    count = len(chosen)
    return Example(
        f"{number}.jpg", Path(f"{number}.jpg"), hw, boxes[:count], chosen, np.zeros(count, bool)
    )


def right(item: Example, *, score: float = 0.9) -> list[Found]:
    """Detections of all objects; the scores differ a little."""
    return [
        (tuple(box), int(label), score - 0.01 * place)
        for place, (box, label) in enumerate(zip(item.boxes_px.tolist(), item.classes, strict=True))
    ]


def outputs(
    found: list[tuple[Example, list[Found]]],
    *,
    split: str = "train",
    export: ExportConfig | None = None,
) -> Outputs:
    """What a network would say that finds just these; each takes the nearest free anchor."""
    anchors_px, raw = GRID.boxes_px(), []
    for _, detections in found:
        logits = np.full((len(anchors_px), len(LABELS)), -12.0, np.float32)
        deltas = np.zeros((len(anchors_px), 4), np.float32)
        taken: set[int] = set()
        for box, label, score in detections:
            target = np.array([box], np.float64)
            order = np.argsort(-pairwise_iou(target, anchors_px)[0], kind="stable")
            place = next(int(index) for index in order if int(index) not in taken)
            taken.add(place)
            logits[place, label] = np.log(score / (1 - score))
            deltas[place] = encode(target, anchors_px[place][None])[0]
        raw.append((logits, deltas))
    examples = tuple(item for item, _ in found)
    return Outputs(split, examples, tuple(raw), GRID, export or ExportConfig(), LABELS)


def steps(count: int = 1000, **changes: Any) -> tuple[dict[str, Any], ...]:
    """Log lines of a healthy training, every 20 steps; a change is a value or f(progress 0..1)."""
    lines = []
    for step in range(20, count + 1, 20):
        part = step / count
        record = {
            "learning_rate": 0.006 * (1 - part),
            "loss": 1.8 - 1.5 * part**0.3,
            "update_ratio_backbone": 0.0003,
            "update_ratio_fpn": 0.005 * (1 - part),
            "update_ratio_cls_head": 0.003 * (1 - part),
            "update_ratio_box_head": 0.003 * (1 - part),
            "positive_score_p50": 0.1 + 0.5 * part,
            "images_per_second": 40.0,
        }
        record |= {
            name: value(part) if callable(value) else value for name, value in changes.items()
        }
        lines.append({"step": step, **record})
    return tuple(lines)


def evaluation(step: int = 1000, **losses: float) -> dict[str, Any]:
    """A line of an evaluation; `losses` are class losses by the set of images."""
    known = {"train": 0.2, "augmented": 0.25, "val": 0.3, "batch_statistics": 0.2} | losses
    return {
        "step": step,
        "mAP": 0.5,
        "probe": {name: {"cls_loss": value, "box_loss": 0.2} for name, value in known.items()},
    }


def log(**changes: Any) -> TrainingLog:
    """A healthy log, with changes to its steps."""
    return TrainingLog(steps(**changes), (evaluation(),))


def healthy(**changes: Any) -> RunEvidence:
    """A RUN of which nothing is suspected, with changes to its evidence."""
    train = [example(number) for number in range(20)]
    settings = changes.pop("settings", ())
    config = load_config(overrides=["model.image_hw=[128, 128]", "model.max_level=5", *settings])
    known: dict[str, Any] = {
        "name": "runs/mine",
        "config": config,
        "labels": LABELS,
        "log": log(),
        "train_examples": tuple(train),
        "grid": GRID,
        "train": outputs([(item, right(item)) for item in train]),
        "val": outputs([(item, right(item)) for item in train[:8]], split="val"),
    }
    return RunEvidence(**(known | changes))
