"""Where a network's anchors come from: one function for each value of `anchors.kind`.

`choices.ANCHOR_SOURCES` lists them. Each takes the objects as a function, because only some need
to look at them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from edge_retina.boxes.anchors import AnchorGrid, default_shapes, square_shapes
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.choices import ANCHOR_SOURCES, load_choice
from edge_retina.config import AnchorConfig

log = logging.getLogger(__name__)

Objects = Callable[[], np.ndarray]  # (N, 4) yxyx in pixels of the network input


def choose_anchors(
    objects: Objects,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    settings: AnchorConfig,
    seed: int,
) -> AnchorGrid:
    """Return the anchors that settings ask for; `settings.shapes` go before everything else.

    Args:
        objects: returns the boxes to fit to, (N, 4) yxyx in pixels of the network input.
        image_hw: height and width of the input in pixels.
        levels: feature levels, finest first, without gaps.
        settings: which anchors.
        seed: of everything random.
    """
    if settings.shapes:
        return AnchorGrid(image_hw, levels[0], settings.shapes)
    source = load_choice(ANCHOR_SOURCES, settings.source)
    grid: AnchorGrid = source(
        objects, image_hw=image_hw, levels=levels, settings=settings, seed=seed
    )
    return grid


def fitted(
    objects: Objects,
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    settings: AnchorConfig,
    seed: int,
) -> AnchorGrid:
    """Return shapes by k-means, `settings.per_cell` for each level."""
    return fit_anchors(
        objects(),
        image_hw=image_hw,
        levels=levels,
        per_cell=settings.per_cell,
        evolve=settings.evolve,
        seed=seed,
    )


def square(
    objects: Objects,  # none needed
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    settings: AnchorConfig,
    seed: int,
) -> AnchorGrid:
    """Return squares of `settings.square_strides`, `settings.square_scales` for each level."""
    if settings.per_cell != AnchorConfig().per_cell:
        log.warning(
            'anchors.per_cell = %d has no effect with anchors.kind = "square", which has '
            "anchors.square_scales = %d per cell",
            settings.per_cell,
            settings.square_scales,
        )
    shapes = square_shapes(levels, strides=settings.square_strides, scales=settings.square_scales)
    return AnchorGrid(image_hw, levels[0], shapes)


def retinanet(
    objects: Objects,  # none needed
    *,
    image_hw: tuple[int, int],
    levels: tuple[int, ...],
    settings: AnchorConfig,
    seed: int,
) -> AnchorGrid:
    """Return RetinaNet's nine shapes for each level."""
    return AnchorGrid(image_hw, levels[0], default_shapes(levels))
