"""Where a network's anchors come from: one function for each value of `anchors.kind`.

`choices.ANCHOR_SOURCES` lists them. Each takes the objects as a function, because only some need
to look at them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_retina.boxes.anchors import AnchorGrid, default_shapes, square_shapes
from edge_retina.boxes.fitting import fit_anchors
from edge_retina.boxes.kmeans import MIN_OBJECTS
from edge_retina.boxes.samples import BoxSample
from edge_retina.choices import ANCHOR_SOURCES, load_choice
from edge_retina.config import AnchorConfig

log = logging.getLogger(__name__)

Objects = Callable[[], BoxSample]


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
        objects: returns the boxes to fit to.
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
    """Return shapes by k-means, `settings.per_cell` for each level if there are enough objects."""
    grid = fit_anchors(
        objects(),
        image_hw=image_hw,
        levels=levels,
        per_cell=settings.per_cell,
        evolve=settings.evolve,
        seed=seed,
    ).grid
    if grid.per_cell < settings.per_cell:
        log.warning("%s", fewer_shapes_text(grid.per_cell, settings.per_cell))
    return grid


def fewer_shapes_text(fitted_per_cell: int, asked: int) -> str:
    """Return the line that says why there are fewer fitted shapes than were asked for."""
    return (
        f"anchors.per_cell = {asked} is more than the objects carry: {fitted_per_cell} per cell "
        f"were fitted, since a shape needs {MIN_OBJECTS} objects of its size"
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
