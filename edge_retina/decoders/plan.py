"""What a decoder has to know of its model file: one description for all languages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.boxes.anchors import AnchorGrid, Shape
from edge_retina.decoders.threshold import least_passing
from edge_retina.errors import ModelError
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.manifest import MANIFEST_NAME, InputSpec, Manifest, load_manifest
from edge_retina.runtime.model_file import check_manifest_hash, check_model_file
from edge_retina.runtime.raw_layout import CODES, LEVELS, LOGITS, SCORES, RawLayout, RawTensor
from edge_retina.runtime.raw_outputs import anchors_of, settings_of
from edge_retina.runtime.tensor_contract import shape_text

_DTYPES = ("float32", "int8", "uint8")
_MOST_ROWS = 2**31
_SUPPRESSION = frozenset({"NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"})
_STEP_TOLERANCE = 1e-4  # of an integer step that is a pixel's
_REMEDY = "export the model again"


@dataclass(frozen=True)
class LevelPlan:
    """One level of the pyramid, and where its values are among the outputs.

    Attributes:
        level: its number; the stride is 2**level pixels.
        rows, columns: of its cells.
        offset: of an anchor's centre from its cell's upper left corner, in strides.
        shapes: height and width in pixels of the anchors of a cell.
        first_anchor: its first one's number among all anchors.
        classes: the output that holds its logits or scores, [row][column][shape][class].
        classes_start: the place of its first value in there.
        codes: the output that holds its box codes, [row][column][shape][4].
        codes_start: the place of its first value in there.
        least: the least stored value of `classes` whose score reaches the threshold.
    """

    level: int
    rows: int
    columns: int
    offset: float
    shapes: tuple[Shape, ...]
    first_anchor: int
    classes: RawTensor
    classes_start: int
    codes: RawTensor
    codes_start: int
    least: float

    @property
    def stride(self) -> int:
        """Pixels from cell to cell."""
        return int(2**self.level)

    @property
    def anchors(self) -> int:
        """How many the level has."""
        return self.rows * self.columns * len(self.shapes)


@dataclass(frozen=True)
class DecoderPlan:
    """Everything that is filled into a decoder.

    Attributes:
        model_file: name of the .tflite file.
        sha256: of it, as hex digits.
        image_hw: of the network's input.
        image_dtype: type of the network's input.
        image_values: how its values are made of a pixel's 0..255, for people.
        labels: class names by index.
        outputs: of the file, in its order.
        levels: of the pyramid, finest first.
        has_logits: the outputs of classes hold logits, not scores.
        score_threshold: lower scores are dropped.
        iou_threshold: a box is dropped when its IoU with a better one is at least this.
        max_detections: the most that are returned.
        candidates: (anchor, class) pairs that are decoded, best scores first.
        class_agnostic: suppress across classes too.
    """

    model_file: str
    sha256: str
    image_hw: tuple[int, int]
    image_dtype: str
    image_values: str
    labels: tuple[str, ...]
    outputs: tuple[RawTensor, ...]
    levels: tuple[LevelPlan, ...]
    has_logits: bool
    score_threshold: float
    iou_threshold: float
    max_detections: int
    candidates: int
    class_agnostic: bool

    @property
    def classes_dtype(self) -> str:
        """Type of the values of classes."""
        return self.levels[0].classes.dtype

    @property
    def codes_dtype(self) -> str:
        """Type of the box codes."""
        return self.levels[0].codes.dtype


def load_plan(path: Path) -> DecoderPlan:
    """Return the plan of a .tflite file without NMS from the manifest beside it.

    Raises:
        ModelError: no such file, NMS inside, or a manifest that can't serve; says which.
    """
    check_model_file(path)
    where = path.parent / MANIFEST_NAME
    manifest = load_manifest(where) if where.is_file() else None
    listed = manifest is not None and path.name in manifest.files
    if (manifest is None or path.name not in manifest.layouts) and _has_nms(path):
        raise ModelError(
            f"{path}: decoding and NMS are inside the file, so it needs no decoder; export a file "
            "without them with --no-nms or --target"
        )
    if manifest is None or not listed:
        found = "doesn't list it" if manifest else "is missing"
        raise ModelError(
            f"{path}: a decoder is made from {where}, which {found}; keep the file in its export "
            "directory"
        )
    check_manifest_hash(path)
    return plan_decoder(manifest, path.name, where=where)


def plan_decoder(manifest: Manifest, name: str, *, where: Path) -> DecoderPlan:
    """Return the plan of a file that a manifest lists.

    Args:
        manifest: of an export directory.
        name: of the .tflite file.
        where: the manifest was read from, for messages.

    Raises:
        ModelError: no layout of the file, or one that doesn't fit the anchors and labels.
    """
    layout = manifest.layouts.get(name)
    if layout is None:
        raise ModelError(
            f"{where}: has no layout of the outputs of {name}; the edge-retina that exported it "
            f"({manifest.edge_retina_version}) wrote none: {_REMEDY}"
        )
    settings = settings_of(manifest, where)
    grid = anchors_of(manifest, where)
    labels = tuple(label.encode("utf-8", "replace").decode() for label in manifest.labels)
    try:
        _check_settings(settings)
        _check_outputs(layout)
        levels = _levels(layout, grid, len(labels), settings["score_threshold"])
    except ValueError as error:
        message = f"{where}: no decoder can be made for {name} ({error}); {_REMEDY}"
        raise ModelError(message) from None
    return DecoderPlan(
        model_file=name,
        sha256=manifest.files[name].sha256,
        image_hw=grid.image_hw,
        image_dtype=layout.input.dtype,
        image_values=_pixel_formula(layout.input, manifest.input),
        labels=labels,
        outputs=layout.outputs,
        levels=levels,
        has_logits=levels[0].classes.content == LOGITS,
        **settings,
    )


def _pixel_formula(image: RawTensor, spec: InputSpec) -> str:
    """Return how stored values are made of pixels: (pixel - mean) / std, quantised."""
    steps = spec.std * image.scale
    if image.dtype == "float32":
        return f"(pixel - {spec.mean:g}) / {spec.std:g}"
    if abs(steps - 1) > _STEP_TOLERANCE:
        return f"round((pixel - {spec.mean:g}) / {steps:g}) + {image.zero_point}"
    shift = round(image.zero_point - spec.mean)
    return f"pixel - {-shift}" if shift else "the pixels themselves"


def _has_nms(path: Path) -> bool:
    operators = {operator.name for operator in read_graph(path).operators}
    return bool(operators & _SUPPRESSION)


def _check_settings(settings: dict[str, Any]) -> None:
    """Raise ValueError for numbers that no export writes."""
    for name in ("score_threshold", "iou_threshold"):
        if not 0 <= settings[name] <= 1:
            raise ValueError(f"{name} is {settings[name]}, not in 0..1")
    for name in ("max_detections", "candidates"):
        if not 1 <= settings[name] < _MOST_ROWS:
            raise ValueError(f"{name} is {settings[name]}, not in 1..{_MOST_ROWS - 1}")


def _check_outputs(layout: RawLayout) -> None:
    """Raise ValueError for outputs that no decoder is made for."""
    for place, output in enumerate(layout.outputs):
        if output.index != place:
            raise ValueError(f"output {place} has index {output.index}")
        if output.dtype not in _DTYPES:
            raise ValueError(f"output {output.name} is {output.dtype}, not {' or '.join(_DTYPES)}")
        if output.content not in (LOGITS, SCORES, CODES):
            raise ValueError(f"output {output.name} holds {output.content!r}")
        if output.dtype != "float32" and not output.scale > 0:
            raise ValueError(f"output {output.name} has scale {output.scale}")
    for kinds in ((CODES,), (LOGITS, SCORES)):
        found = {(x.dtype, x.content) for x in layout.outputs if x.content in kinds}
        if not found:
            raise ValueError(f"no outputs of {' or '.join(kinds)}")
        if len(found) > 1:
            told = " and ".join(sorted(map(" ".join, found)))
            raise ValueError(f"some outputs are {told}, but one kind is needed")


def _levels(
    layout: RawLayout, grid: AnchorGrid, num_classes: int, score_threshold: float
) -> tuple[LevelPlan, ...]:
    """Return the levels; raises ValueError if the outputs are not of these anchors and classes."""
    plans: list[LevelPlan] = []
    expected = len(grid.levels) if layout.form == LEVELS else 1
    if len(layout.outputs) != 2 * expected:
        raise ValueError(f"it has {len(layout.outputs)} outputs, not {2 * expected}")
    first = 0
    for number, (level, shapes) in enumerate(zip(grid.levels, grid.shapes, strict=True)):
        rows, columns = grid.cells_hw(level)
        own_level, start = (level, 0) if layout.form == LEVELS else (None, first)
        classes = _output(layout, (LOGITS, SCORES), own_level)
        codes = _output(layout, (CODES,), own_level)
        for output, values in ((classes, num_classes), (codes, 4)):
            shape: tuple[int, ...] = (1, rows, columns, len(shapes) * values)
            if layout.form != LEVELS:
                shape = (1, sum(grid.level_counts()), values)
            if output.shape != shape:
                raise ValueError(
                    f"output {output.name} is {shape_text(output.shape)}, but anchors and labels "
                    f"need {shape_text(shape)}"
                )
        plans.append(
            LevelPlan(
                level=level,
                rows=rows,
                columns=columns,
                offset=grid.offsets[number] if grid.offsets else 0.5,
                shapes=shapes,
                first_anchor=first,
                classes=classes,
                classes_start=start * num_classes,
                codes=codes,
                codes_start=start * 4,
                least=least_passing(classes, score_threshold),
            )
        )
        first += plans[-1].anchors
    return tuple(plans)


def _output(layout: RawLayout, kinds: tuple[str, ...], level: int | None) -> RawTensor:
    found = [x for x in layout.outputs if x.content in kinds and x.level == level]
    if len(found) != 1:
        of = "all levels" if level is None else f"level {level}"
        raise ValueError(f"{len(found)} outputs hold the {' or '.join(kinds)} of {of}, not one")
    return found[0]
