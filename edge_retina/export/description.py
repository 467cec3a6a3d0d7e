"""The manifest of an export."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina import __version__
from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.boxes.codec import CODE_SCALES, MAX_LOG_SIZE
from edge_retina.config import Config
from edge_retina.export.plan import PlannedFile
from edge_retina.export.raw_layouts import read_layout
from edge_retina.export.targets.target import NMS
from edge_retina.runtime.image import MEAN, STD
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest, OutputSpec
from edge_retina.runtime.raw_layout import FLAT
from edge_retina.runtime.tensor_contract import DETECTIONS, RAW


def describe_export(
    directory: Path,
    planned: Sequence[PlannedFile],
    *,
    config: Config,
    labels: tuple[str, ...],
    grid: AnchorGrid,
    quantization: dict[str, Any],
) -> Manifest:
    """Return the manifest of the files that lie in `directory`.

    Args:
        directory: with all of them; no other files.
        planned: what they are.
        config: resolved.
        labels: class names by index.
        grid: the anchors.
        quantization: how the int8 file was made.

    Raises:
        ExportError: the outputs of a file without NMS are not those of its form.
    """
    dtypes = {file.name: file.input_dtype for file in planned}
    forms = {file.form for file in planned}
    return Manifest(
        edge_retina_version=__version__,
        input=InputSpec(
            height=grid.image_hw[0], width=grid.image_hw[1], dtype=dtypes, mean=MEAN, std=STD
        ),
        outputs=_outputs(grid, len(labels), config.export.max_detections, forms=forms),
        labels=labels,
        anchors=_anchors(grid),
        thresholds=dataclasses.asdict(config.export),
        quantization=quantization,
        metrics={},
        files={path.name: FileEntry.of(path) for path in sorted(directory.iterdir())},
        config=_resolved(config, grid),
        layouts={
            file.name: read_layout(
                directory / file.name,
                target=file.target.name,
                form=file.form,
                grid=grid,
                num_classes=len(labels),
            )
            for file in planned
            if file.form != NMS
        },
    )


def _resolved(config: Config, grid: AnchorGrid) -> dict[str, Any]:
    """Return the whole config, with the anchors that were fitted."""
    anchors = dataclasses.replace(config.anchors, shapes=grid.shapes)
    return config.replace(anchors=anchors).to_dict()


def _outputs(
    grid: AnchorGrid, num_classes: int, rows: int, *, forms: Collection[str]
) -> tuple[OutputSpec, ...]:
    if not {NMS, FLAT} & set(forms):
        return ()
    contract = DETECTIONS if NMS in forms else RAW
    shapes = contract.shapes(N=rows, A=sum(grid.level_counts()), K=num_classes)
    return tuple(
        OutputSpec(name, index, shape)
        for index, (name, shape) in enumerate(zip(contract.names, shapes, strict=True))
    )


def _anchors(grid: AnchorGrid) -> dict[str, Any]:
    """Return all that a device needs to decode raw outputs, with the input's size and the labels.

    Level l has cells of 2**l px; a shape is (height, width) in px around the centre of its cell.
    Where there are `offsets`, by level, it lies around the cell's upper left corner plus so many
    strides.
    """
    return {
        "min_level": grid.min_level,
        "shapes": np.array(grid.shapes).tolist(),
        **({"offsets": list(grid.offsets)} if grid.offsets else {}),
        "count": sum(grid.level_counts()),
        "order": "level, row, column, shape",
        "box_code": {
            "order": "ty, tx, th, tw",
            "scales": list(CODE_SCALES),
            "max_log_size": MAX_LOG_SIZE,
        },
    }
