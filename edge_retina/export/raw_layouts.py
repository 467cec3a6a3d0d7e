"""The layout of a written file without NMS, for the manifest: see `runtime.raw_layout`."""

from __future__ import annotations

from pathlib import Path

from edge_retina.boxes.anchors import AnchorGrid
from edge_retina.errors import ExportError
from edge_retina.runtime.graph import TensorInfo, read_graph
from edge_retina.runtime.raw_layout import (
    CODES,
    LEVELS,
    LOGITS,
    SCORES,
    RawLayout,
    RawTensor,
)
from edge_retina.runtime.tensor_contract import RAW, level_outputs, shape_text

_CODE_NUMBERS = 4


def read_layout(
    path: Path, *, target: str, form: str, grid: AnchorGrid, num_classes: int
) -> RawLayout:
    """Describe the tensors of a file that was just written.

    Args:
        path: of the file; its outputs are in the order that `convert.finish` gives them.
        target: of `export.targets` that it was made for.
        form: `FLAT` or `LEVELS`.
        grid: its anchors.
        num_classes: K.

    Raises:
        ExportError: its outputs are not those of the form.
    """
    graph = read_graph(path)
    expected = _levels(grid, num_classes) if form == LEVELS else _flat(grid, num_classes)
    found = [tensor.shape for tensor in graph.output_tensors]
    if found != [shape for _, shape, _, _ in expected]:
        wanted = " ".join(shape_text(shape) for _, shape, _, _ in expected)
        raise ExportError(
            f"{path.name}: its outputs are {' '.join(map(shape_text, found))}, expected {wanted}; "
            "this is a bug, please report it with the config"
        )
    outputs = tuple(
        _tensor(tensor, index, name, content=content, level=level)
        for index, (tensor, (name, _, content, level)) in enumerate(
            zip(graph.output_tensors, expected, strict=True)
        )
    )
    return RawLayout(target, form, _tensor(graph.input_tensors[0], 0, "image"), outputs)


_Expected = list[tuple[str, tuple[int, ...], str, int | None]]


def _levels(grid: AnchorGrid, num_classes: int) -> _Expected:
    """Return name, shape, content and level of each output."""
    kinds = [
        (content, numbers, level)
        for content, numbers in ((LOGITS, num_classes), (CODES, _CODE_NUMBERS))
        for level in grid.levels
    ]
    return [
        (name, (1, *grid.cells_hw(level), grid.per_cell * numbers), content, level)
        for name, (content, numbers, level) in zip(level_outputs(grid.levels), kinds, strict=True)
    ]


def _flat(grid: AnchorGrid, num_classes: int) -> _Expected:
    shapes = RAW.shapes(A=sum(grid.level_counts()), K=num_classes)
    return [
        (name, shape, content, None)
        for name, shape, content in zip(RAW.names, shapes, (CODES, SCORES), strict=True)
    ]


def _tensor(
    tensor: TensorInfo, index: int, name: str, *, content: str = "", level: int | None = None
) -> RawTensor:
    is_quantized = tensor.dtype != "float32"
    return RawTensor(
        name=name,
        index=index,
        shape=tensor.shape,
        dtype=tensor.dtype,
        scale=tensor.scales[0] if is_quantized else 1.0,
        zero_point=tensor.zero_points[0] if is_quantized else 0,
        content=content,
        level=level,
    )
