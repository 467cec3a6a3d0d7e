"""Anchors, the boxes a detector starts from: one definition for training, export and reports."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Shape = tuple[float, float]  # height, width in pixels at the network's input

# RetinaNet (Lin et al. 2017, section 4): at each level three scales and three aspect ratios
# (height / width) around a base side of four strides.
_BASE_STRIDES = 4.0
_CENTRE = 0.5  # of a cell, in strides
_MOST_PIXELS = 8192  # of a side
_MOST_LEVELS = 12
_MOST_ANCHORS = 2**22  # 64 MiB of boxes; 4096 x 4096 pixels have 3.1 million on P3 to P7
_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
_RATIOS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class AnchorGrid:
    """Anchor shapes by level, and the order in which all of them are numbered.

    Attributes:
        image_hw: height and width of the network input in pixels.
        min_level: finest feature level; level l has stride 2**l.
        shapes: for each level from `min_level` on, the shapes of one cell; equally many on each.
        offsets: of the centres from their cells' upper left corners, by level, in strides; () for
            .5 on all of them.
    """

    image_hw: tuple[int, int]
    min_level: int
    shapes: tuple[tuple[Shape, ...], ...]
    offsets: tuple[float, ...] = ()

    def problem(self) -> str:
        """Return why a grid that was read from a file can't be one; "" if it can.

        Both the numbers and the memory that all anchors take are bounded.
        """
        if not all(1 <= side <= _MOST_PIXELS for side in self.image_hw):
            return f"image_hw is {self.image_hw}, expected sides of 1..{_MOST_PIXELS}"
        if not (0 <= self.min_level <= _MOST_LEVELS and 1 <= len(self.shapes) <= _MOST_LEVELS):
            return f"it has {len(self.shapes)} levels from {self.min_level} on"
        counts = {len(level) for level in self.shapes}
        if len(counts) > 1 or 0 in counts:
            return f"its levels have {sorted(counts)} shapes; expected equally many, one or more"
        sides = [side for level in self.shapes for shape in level for side in shape]
        if not all(0 < side < math.inf for side in sides):
            return "a side of its shapes is not above 0"
        if self.offsets and len(self.offsets) != len(self.shapes):
            return f"it has {len(self.offsets)} offsets for {len(self.shapes)} levels"
        if not all(map(math.isfinite, self.offsets)):
            return "an offset is not a number"
        count = sum(self.level_counts())
        return f"it has {count} anchors, more than {_MOST_ANCHORS}" if count > _MOST_ANCHORS else ""

    @property
    def levels(self) -> tuple[int, ...]:
        """Feature levels, finest first."""
        return tuple(range(self.min_level, self.min_level + len(self.shapes)))

    @property
    def per_cell(self) -> int:
        """Shapes in each cell of the feature map."""
        return len(self.shapes[0])

    def cells_hw(self, level: int) -> tuple[int, int]:
        """Rows and columns of a level's feature map (convolutions pad to "same")."""
        height, width = self.image_hw
        return math.ceil(height / 2**level), math.ceil(width / 2**level)

    def level_counts(self) -> tuple[int, ...]:
        """Number of anchors of each level."""
        return tuple(math.prod(self.cells_hw(level)) * self.per_cell for level in self.levels)

    def boxes_px(self) -> np.ndarray:
        """Return all anchors, (A, 4) float32 yxyx in pixels of the network input.

        Order: level, row, column, shape; the order in which the heads' outputs are flattened.
        Anchors are not clipped to the image.
        """
        return np.concatenate(
            [self._level_boxes(*pair) for pair in zip(self.levels, self.shapes, strict=True)]
        )

    def centres_px(self, level: int) -> np.ndarray:
        """Return y, x of a level's cells, (rows, columns, 2) float32 in pixels."""
        offset = self.offsets[level - self.min_level] if self.offsets else _CENTRE
        rows, columns = (
            (np.arange(cells, dtype=np.float32) + offset) * 2**level
            for cells in self.cells_hw(level)
        )
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)

    def boxes_norm(self) -> np.ndarray:
        """Return all anchors, (A, 4) float32 yxyx as fractions of the network input's sides."""
        return self.boxes_px() / np.array(self.image_hw * 2, np.float32)

    def _level_boxes(self, level: int, shapes: tuple[Shape, ...]) -> np.ndarray:
        centre = self.centres_px(level).reshape(-1, 1, 2)
        half = np.array(shapes, np.float32)[None] / 2
        return np.concatenate([centre - half, centre + half], axis=-1).reshape(-1, 4)


def size_text(image_hw: tuple[int, int]) -> str:
    """Return an input size for people: "256" if it is square, else "192x320", height first."""
    height, width = image_hw
    return str(height) if height == width else f"{height}x{width}"


def square_shapes(
    levels: tuple[int, ...], *, strides: float = _BASE_STRIDES, scales: int = 1
) -> tuple[tuple[Shape, ...], ...]:
    """Return squares for each level, in pixels, smallest first.

    Args:
        levels: feature levels, finest first.
        strides: side of the smallest one in strides of its level.
        scales: squares per cell; their sides grow in equal steps over an octave, after which the
            next level begins.

    Source: ATSS (Zhang et al. 2020) trains RetinaNet with a single square of 8 strides; here the
    base is RetinaNet's, 4 strides.
    """
    steps = [strides * 2 ** (step / scales) for step in range(scales)]
    sides = [[round(step * 2**level, 2) for step in steps] for level in levels]
    return tuple(tuple((side, side) for side in of_level) for of_level in sides)


def default_shapes(levels: tuple[int, ...]) -> tuple[tuple[Shape, ...], ...]:
    """Return RetinaNet's nine shapes for each level, in pixels."""
    return tuple(
        tuple(
            (side * math.sqrt(ratio), side / math.sqrt(ratio))
            for side in (_BASE_STRIDES * 2**level * scale for scale in _SCALES)
            for ratio in _RATIOS
        )
        for level in levels
    )
