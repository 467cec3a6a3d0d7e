"""Small .tflite files with the outputs of other frameworks' detectors.

Their "network" copies pixels: each output takes the next ones of the picture's values, as many as
it needs, in its own shape. So a picture of noise gives a great many detections, and a painted one
those that are wanted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from tests.runtime.foreign_model import ForeignModel

# (dtype, scale, zero point) of an input whose integers are pixels of 0..1, or of -1..1
FLOAT = (np.float32, (), 0)
INT8_UNIT = (np.int8, (1 / 255,), -128)
INT8_SIGNED = (np.int8, (1 / 127.5,), 0)
UINT8_SIGNED = (np.uint8, (1 / 128,), 128)
_LOGISTIC = {np.int8: (1 / 256, -128), np.uint8: (1 / 256, 0)}  # the kernel takes no other


@dataclass(frozen=True)
class Output:
    """One output: pixels in this shape, after a sigmoid if asked for, or constant values."""

    name: str
    shape: tuple[int, ...]
    sigmoid: bool = False
    values: np.ndarray | None = None


def stand_in(
    outputs: Sequence[Output],
    *,
    input_hw: tuple[int, int],
    kind: tuple[type, tuple[float, ...], int] = FLOAT,
    channels_first: bool = False,
) -> bytes:
    """Return a file with these outputs, in this order."""
    model = _Pixels(input_hw, kind, channels_first=channels_first)
    made = [model.add(output) for output in outputs]
    return model.content(made)


def with_postprocess(
    anchors: np.ndarray, *, num_classes: int, input_hw: tuple[int, int], order: Sequence[int]
) -> bytes:
    """Return an SSD with the runtime's own postprocessing; `order` is that of its outputs."""
    count = len(anchors)
    model = _Pixels(input_hw, FLOAT)
    codes = model.add(Output("codes", (1, count, 4)))
    scores = model.add(Output("raw", (1, count, num_classes + 1), sigmoid=True))
    rows = model.add(Output("anchors", anchors.shape, values=anchors))
    shapes = ((1, 10, 4), (1, 10), (1, 10), (1,))
    found = [model.model.tensor(f"out{i}", shape) for i, shape in enumerate(shapes)]
    options = {
        "max_detections": 10,
        "max_classes_per_detection": 1,
        "detections_per_class": 10,
        "use_regular_nms": True,
        "nms_score_threshold": 0.05,
        "nms_iou_threshold": 0.6,
        "num_classes": num_classes,
        "y_scale": 10.0,
        "x_scale": 10.0,
        "h_scale": 5.0,
        "w_scale": 5.0,
    }
    model.model.operator(
        "TFLite_Detection_PostProcess",
        [codes, scores, rows],
        found,
        version=1,
        custom_options=bytes(flexbuffers.Dumps(options)),
    )
    return model.content([found[place] for place in order])


class _Pixels:
    """A file under construction, and how many of the picture's values are taken."""

    def __init__(
        self,
        input_hw: tuple[int, int],
        kind: tuple[type, tuple[float, ...], int],
        *,
        channels_first: bool = False,
    ) -> None:
        self.model = ForeignModel()
        self._dtype, self._scales, self._zero_point = kind
        height, width = input_hw
        shape = (1, 3, height, width) if channels_first else (1, height, width, 3)
        self._count, self._taken = math.prod(shape), 0
        self._picture = self._tensor("picture", shape)
        self._row = self._tensor("row", (self._count,))
        self._reshape(self._picture, self._row, (self._count,))

    def add(self, output: Output) -> int:
        if output.values is not None:
            return self.model.tensor(output.name, output.shape, values=output.values)
        size = math.prod(output.shape)
        assert self._taken + size <= self._count, "the picture has too few pixels"
        part = self._tensor(f"{output.name}_part", (size,))
        numbers = [
            self.model.tensor(f"{output.name}_{name}", (1,), values=np.array([n]), dtype=np.int32)
            for name, n in (("begin", self._taken), ("size", size))
        ]
        self._taken += size
        self.model.operator("SLICE", [self._row, *numbers], [part], schema.SliceOptionsT())
        if output.sigmoid:
            scale, zero = _LOGISTIC.get(self._dtype, (0, 0))
            scales = (scale,) if scale else ()
            squashed = self._tensor(f"{output.name}_score", (size,), scales, zero)
            self.model.operator("LOGISTIC", [part], [squashed], version=2)
            made = self._tensor(output.name, output.shape, scales, zero)
            self._reshape(squashed, made, output.shape)
            return made
        made = self._tensor(output.name, output.shape)
        self._reshape(part, made, output.shape)
        return made

    def content(self, outputs: list[int]) -> bytes:
        return self.model.content([self._picture], outputs)

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        scales: tuple[float, ...] | None = None,
        zero_point: int | None = None,
    ) -> int:
        return self.model.tensor(
            name,
            shape,
            dtype=self._dtype,
            scales=self._scales if scales is None else scales,
            zero_point=self._zero_point if zero_point is None else zero_point,
        )

    def _reshape(self, source: int, target: int, shape: tuple[int, ...]) -> None:
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        self.model.operator("RESHAPE", [source], [target], options, version=1)
