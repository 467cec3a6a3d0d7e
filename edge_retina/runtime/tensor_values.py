"""Tensors of any .tflite file: their description, and real values to and from 8 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_retina.runtime.tensor_contract import shape_text


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: in the file.
        shape: sides.
        dtype: "float32", "int8", "uint8" and so on.
        scale: of the quantisation; 0 without one.
        zero_point: likewise.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """Whether its integers stand for real values."""
        return self.scale > 0 and self.dtype != "float32"

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Tensor:
        """Return the tensor that LiteRT's interpreter describes."""
        scale, zero_point = details["quantization"]
        return cls(
            name=str(details["name"]),
            shape=tuple(int(side) for side in details["shape"]),
            dtype=np.dtype(details["dtype"]).name,
            scale=float(scale),
            zero_point=int(zero_point),
        )

    def __str__(self) -> str:
        return f"{self.name} {shape_text(self.shape)} {self.dtype}"


def describe(tensors: Sequence[Tensor]) -> str:
    """Return tensors for people: names, shapes and types."""
    return "; ".join(map(str, tensors)) or "none"


def quantize(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return real values as the integers of a quantised tensor: rounded to nearest, saturated."""
    limits = np.iinfo(tensor.dtype)
    codes = np.rint(values / np.float32(tensor.scale)) + np.float32(tensor.zero_point)
    return np.clip(codes, limits.min, limits.max).astype(tensor.dtype)


def dequantize(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Return what a tensor's values stand for, as float32."""
    if not tensor.is_quantized:
        return values.astype(np.float32, copy=False)
    return (values.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)
