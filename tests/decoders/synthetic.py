"""Manifests and outputs of files that no network made: random numbers, and the worst ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.nms import detect
from edge_retina.decoders.plan import DecoderPlan, plan_decoder
from edge_retina.runtime.detections import Detections
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest
from edge_retina.runtime.raw_layout import CODES, LEVELS, LOGITS, RawLayout, RawTensor

NAME = "model.tflite"
# 33 px: the last cells of a level reach beyond the picture
GRID = AnchorGrid(
    (33, 64),
    3,
    (((8.0, 8.0), (11.3, 7.1)), ((16.0, 16.0), (22.6, 14.2)), ((40.0, 40.0), (9.0, 70.0))),
)
LABELS = ("cell", 'a "quoted\\name', "*/ ${x} \\(x) größe \u2028😀")
THRESHOLDS = {
    "score_threshold": 0.3,
    "nms_iou": 0.5,
    "max_detections": 150,
    "candidates": 200,
    "class_agnostic": False,
}


@dataclass(frozen=True)
class Kind:
    """A kind of file: form, type of the outputs, what the classes are."""

    form: str
    dtype: str
    content: str

    def __str__(self) -> str:
        return f"{self.form}-{self.dtype}-{self.content}"


def layout_of(kind: Kind, grid: AnchorGrid = GRID, num_classes: int = len(LABELS)) -> RawLayout:
    """Return a layout; every output has a scale and a zero point of its own."""
    outputs: list[RawTensor] = []
    per_cell = grid.per_cell
    sizes = {CODES: 4, kind.content: num_classes}
    for level in grid.levels if kind.form == LEVELS else (None,):
        for content, values in sizes.items():
            number = len(outputs)
            scale = {CODES: 0.11, LOGITS: 0.06}.get(content, 1 / 256) * (1 - number / 50)
            zero_point = {CODES: 3, LOGITS: 20}.get(content, -128) - number
            if kind.dtype == "uint8":
                zero_point += 128
            limits = (-128, 127) if kind.dtype == "int8" else (0, 255)
            zero_point = min(max(zero_point, limits[0]), limits[1])
            quantised = kind.dtype != "float32"
            outputs.append(
                RawTensor(
                    name=f"StatefulPartitionedCall:{number}",
                    index=number,
                    shape=(1, *grid.cells_hw(level), per_cell * values)
                    if level is not None
                    else (1, sum(grid.level_counts()), values),
                    dtype=kind.dtype,
                    scale=float(np.float32(scale)) if quantised else 1.0,
                    zero_point=zero_point if quantised else 0,
                    content=content,
                    level=level,
                )
            )
    if kind.form == LEVELS:  # in an order that nobody guesses
        outputs = [replace(x, index=i) for i, x in enumerate(outputs[::-1])]
    image = RawTensor("image", 0, (1, *grid.image_hw, 3), "uint8")
    return RawLayout("micro", kind.form, image, tuple(outputs))


def manifest_of(layout: RawLayout, grid: AnchorGrid = GRID, **thresholds: Any) -> Manifest:
    """Return the manifest of a file with this layout."""
    anchors: dict[str, Any] = {
        "min_level": grid.min_level,
        "shapes": [list(x) for x in grid.shapes],
    }
    if grid.offsets:
        anchors["offsets"] = list(grid.offsets)
    return Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(*grid.image_hw, {NAME: "uint8"}, 128.0, 128.0),
        outputs=(),
        labels=LABELS,
        anchors=anchors,
        thresholds={**THRESHOLDS, **thresholds},
        quantization={},
        metrics={},
        files={NAME: FileEntry(3, "ab" * 32)},
        config={},
        layouts={NAME: layout},
    )


def plan_of(layout: RawLayout, grid: AnchorGrid = GRID, **thresholds: Any) -> DecoderPlan:
    """Return the plan of a decoder for a file with this layout."""
    return plan_decoder(manifest_of(layout, grid, **thresholds), NAME, where=Path("manifest.json"))


def real_values(tensor: RawTensor, stored: np.ndarray) -> np.ndarray:
    """Return what an output's values stand for, float32."""
    if tensor.dtype == "float32":
        return stored
    return (stored.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def joined(layout: RawLayout, outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return classes (A, K) and codes (A, 4) of all levels, finest first, in real numbers."""
    classes, codes = [], []
    for tensor in sorted(layout.outputs, key=lambda x: x.level or 0):
        is_code = tensor.content == CODES
        values = real_values(tensor, outputs[tensor.index])
        (codes if is_code else classes).append(values.reshape(-1, 4 if is_code else len(LABELS)))
    return np.concatenate(classes), np.concatenate(codes)


def expected(
    layout: RawLayout, outputs: Sequence[np.ndarray], plan: DecoderPlan, grid: AnchorGrid = GRID
) -> Detections:
    """Return what the numpy reference finds."""
    classes, codes = joined(layout, outputs)
    if not plan.has_logits:
        probability = np.clip(classes.astype(np.float64), 1e-7, 1 - 1e-7)
        classes = np.log(probability) - np.log1p(-probability)
    with np.errstate(over="ignore"):
        return Detections(
            *detect(
                classes,
                codes,
                grid.boxes_norm(),
                score_threshold=plan.score_threshold,
                iou_threshold=plan.iou_threshold,
                max_detections=plan.max_detections,
                candidates=plan.candidates,
                class_agnostic=plan.class_agnostic,
            )
        )


def hostile_cases(layout: RawLayout, seed: int) -> dict[str, list[np.ndarray]]:
    """Return outputs by a name for each: ordinary ones and the worst ones."""
    rng = np.random.default_rng(seed)
    cases: dict[str, list[np.ndarray]] = {}
    for name in (
        *(f"random {i}" for i in range(6)),
        "crowd",
        "ties",
        "empty",
        "all",
        "huge",
        "tiny",
    ):
        cases[name] = [_values(name, tensor, rng) for tensor in layout.outputs]
    return cases


def _values(name: str, tensor: RawTensor, rng: np.random.Generator) -> np.ndarray:
    is_code = tensor.content == CODES
    if tensor.dtype != "float32":
        limits = np.iinfo(tensor.dtype)
        low, high = int(limits.min), int(limits.max)
        zero = tensor.zero_point
        if name == "ties":  # the same anchors upon each other, few values of classes
            ranges = (zero, zero) if is_code else (high - 1, high)
        elif name in ("empty", "tiny"):
            ranges = (low, low)
        elif name == "all":
            ranges = (zero - 9, zero + 9) if is_code else (high, high)
        elif name == "crowd":
            ranges = (zero - 20, zero + 20) if is_code else (low, high)
        else:
            ranges = (low, high)
        values = rng.integers(max(ranges[0], low), min(ranges[1], high) + 1, tensor.shape)
        return values.astype(tensor.dtype)
    if is_code:
        size = {"huge": 1e30, "tiny": 1e-30, "ties": 0.0, "crowd": 2.0}.get(name, 8.0)
        return (rng.normal(0, 1, tensor.shape) * size).astype(np.float32)
    if tensor.content == LOGITS:
        values = rng.normal(-1, 2, tensor.shape)
        steps = {"empty": values - 1e30, "all": values * 0 + 3, "huge": values * 1e30}
        steps["ties"] = np.where(values > 0, np.where(values > 1, 0.0, -0.0), 0.5)
    else:
        values = rng.integers(0, 2**16 + 1, tensor.shape) / 2**16
        steps = {"empty": values * 0, "all": values * 0 + 1, "huge": np.rint(values)}
        steps["ties"] = np.rint(values * 4) / 4
    return steps.get(name, values).astype(np.float32)
