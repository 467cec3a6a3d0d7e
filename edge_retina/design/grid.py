"""The networks that are looked at: a table of values for the fields of the config."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid, size_text, square_shapes
from edge_retina.config import Config
from edge_retina.errors import ConfigError

# By field of the config, in the order in which the networks are named. A field that the user sets
# has that value only.
AXES: Mapping[str, tuple[Any, ...]] = {
    "model.backbone_width": (0.35, 0.5, 0.75, 1.0),
    "model.image_hw": tuple((side, side) for side in (*range(128, 513, 32), 576, 640)),
    "model.min_level": (3, 4),
    "model.max_level": (5, 6, 7),
    "model.fpn_channels": (48, 64, 96),
    "model.head_depth": (2, 3, 4),
    "anchors.square_scales": (1, 3),
}
# Without a data set nothing tells what is gained by leaving out the finest level, or by more
# anchors; then these have their default.
_NEED_DATA = ("model.min_level", "anchors.square_scales")
# So much longer than the coarsest anchor an object may be: their IoU is .44 then.
_LARGEST_OBJECT = 1.5
_ANCHOR_STRIDES = 4.0


@dataclass(frozen=True)
class Network:
    """One network of the grid.

    Attributes:
        config: a whole config, so that it is checked as one and can be written as one.
    """

    config: Config

    @property
    def title(self) -> str:
        """Short name, unique in the grid."""
        model = self.config.model
        return (
            f"w{model.backbone_width:g} {size_text(model.image_hw)}px "
            f"P{model.min_level}-{model.max_level} c{model.fpn_channels}x{model.head_depth} "
            f"a{self.per_cell}"
        )

    @property
    def per_cell(self) -> int:
        """Anchors of a cell."""
        return self.config.anchors.square_scales

    @property
    def anchors(self) -> AnchorGrid:
        """Its anchors, squares."""
        model, anchors = self.config.model, self.config.anchors
        shapes = square_shapes(
            model.levels, strides=anchors.square_strides, scales=anchors.square_scales
        )
        return AnchorGrid(model.image_hw, model.min_level, shapes)


def networks(base: Config, *, fixed: Collection[str], with_data: bool) -> list[Network]:
    """Return the networks of the grid.

    Args:
        base: gives all other fields.
        fixed: keys of `AXES` that have the value of `base` only.
        with_data: a data set is there to judge the levels and the anchors by.

    Raises:
        ConfigError: `base` fixes what the grid does not have, or what can't be.
    """
    _check(base)
    skipped = () if with_data else _NEED_DATA
    axes = {key: values for key, values in AXES.items() if key not in {*fixed, *skipped}}
    chosen = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    return [
        Network(_with(base, choice))
        for choice in chosen
        if _is_sensible(base, choice, with_data=with_data)
    ]


def _check(base: Config) -> None:
    if base.model.wiring != "own":
        raise ConfigError(
            f'model.wiring is "{base.model.wiring}"; networks are designed with "own" only'
        )
    if base.anchors.shapes or base.anchors.source != "square":
        raise ConfigError(
            "anchors of given shapes or of another kind than squares hold for one input size; "
            'design with anchors.kind = "square", and change it in the config that is written '
            "(the number of anchors of a cell is what costs time)"
        )


def _with(base: Config, choice: Mapping[str, Any]) -> Config:
    sections: dict[str, dict[str, Any]] = {}
    for key, value in choice.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    return base.replace(
        **{
            section: dataclasses.replace(getattr(base, section), **fields)
            for section, fields in sections.items()
        }
    )


def _is_sensible(base: Config, choice: Mapping[str, Any], *, with_data: bool) -> bool:
    """Leave out levels that the input is too small for, or that large objects need."""
    if "model.max_level" not in choice:
        return True
    side = min(choice.get("model.image_hw", base.model.image_hw))
    coarsest = choice["model.max_level"]
    if side < 2**coarsest or choice.get("model.min_level", base.model.min_level) > coarsest:
        return False
    return with_data or coarsest == _coarsest_needed(side)


def _coarsest_needed(side_px: int) -> int:
    """Return the level whose square anchor still finds an object as large as the picture."""
    needed = math.log2(side_px / (_LARGEST_OBJECT * _ANCHOR_STRIDES))
    return min(max(math.ceil(needed), 5), 7)


def iterate_fixed(overrides: Collection[str]) -> Iterator[str]:
    """Yield the keys of `AXES` that `--set` overrides give a value."""
    for text in overrides:
        key = text.partition("=")[0].strip()
        key = "model.image_hw" if key == "model.image_size" else key
        if key in AXES:
            yield key
