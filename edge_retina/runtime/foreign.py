"""Files of other frameworks: which form theirs is, and all that is needed to run them.

`read_settings` looks at the file once, on the machine where the user's label and anchor files are.
What it returns is plain data, so that a worker elsewhere needs only the .tflite file beside it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge_retina.errors import ModelError, choices_hint
from edge_retina.runtime.anchor_file import AnchorSet, described_anchors, load_anchors
from edge_retina.runtime.clients import POSTPROCESS
from edge_retina.runtime.detector import fits_contract, open_interpreter
from edge_retina.runtime.foreign_settings import ForeignChoices, ForeignSettings
from edge_retina.runtime.formats.output_format import Match, ModelTensors, OutputFormat
from edge_retina.runtime.formats.table import FORMATS
from edge_retina.runtime.formats.yolov8 import cell_counts
from edge_retina.runtime.graph import Graph, read_graph
from edge_retina.runtime.image import MEAN, STD
from edge_retina.runtime.label_files import BUILT_IN, Labels, find_labels, load_labels
from edge_retina.runtime.manifest import MANIFEST_NAME, load_manifest
from edge_retina.runtime.metadata import read_detector_options, read_metadata
from edge_retina.runtime.model_file import check_model_file
from edge_retina.runtime.normalization import (
    NORMALIZATIONS,
    Normalization,
    parse_normalization,
    quantized_range,
    stated_normalization,
)
from edge_retina.runtime.tensor_contract import DETECTIONS, INPUT_DTYPES, is_image
from edge_retina.runtime.tensor_values import Tensor, describe

_INPUT_DTYPES = (*INPUT_DTYPES, "int8")
_OUTPUT_DTYPES = ("float32", "int8", "uint8", "int16")
_YOLOV5_ANCHORS = 3
_YOLOV5_COLUMNS = 5  # x, y, w, h and "objectness"


def foreign_settings(
    path: Path, choices: ForeignChoices, *, spare_exports: bool = False
) -> ForeignSettings | None:
    """Return the settings of a file of another framework; None for one of this package's form.

    Args:
        path: of a .tflite file.
        choices: if there are any, the file is taken for a foreign one.
        spare_exports: unless the manifest beside it lists it: for choices that are made for
            several files.

    Raises:
        ModelError: not a TFLite file, or foreign and of no known form, or without what it needs.
    """
    check_model_file(path)
    interpreter = open_interpreter(path, 1, False)
    if spare_exports and is_listed(path):
        return None
    if not choices and _is_ours(path, interpreter):
        return None
    return _read_settings(path, interpreter, choices)


def _is_ours(path: Path, interpreter: Interpreter) -> bool:
    """Whether `TFLiteDetector` runs the file as it was meant."""
    form = fits_contract(interpreter)
    if form == "raw":
        return is_listed(path)
    if form == "detections" and interpreter.get_input_details()[0]["dtype"] == np.float32:
        stated = stated_normalization(read_metadata(path.read_bytes(), where=str(path)))
        return stated is None or stated == Normalization((MEAN,), (STD,))
    return form in ("detections", "levels")


def is_listed(path: Path) -> bool:
    """Whether the manifest of an export directory lists the file."""
    if not (path.parent / MANIFEST_NAME).is_file():
        return False
    return path.name in load_manifest(path.parent).files


def _read_settings(
    path: Path, interpreter: Interpreter, choices: ForeignChoices
) -> ForeignSettings:
    metadata = read_metadata(path.read_bytes(), where=str(path))
    picture = read_input(path, interpreter)
    labels = load_labels(choices.labels) if choices.labels else find_labels(path)
    anchors = _anchors(path, metadata, choices)
    model = ModelTensors(
        input_hw=picture.input_hw,
        outputs=read_outputs(path, interpreter),
        output_names=_output_names(path, interpreter, metadata),
        num_labels=len(labels.names) if labels else None,
        anchors=anchors,
        anchors_inside=choices.anchors is None and anchors is not None,
    )
    form, match = _find_form(path, model, choices.format)
    _check_anchors(path, form, match, model)
    names = _fit_labels(path, form, match, labels)
    rule = _normalization(picture.tensor, match, metadata, choices)
    return ForeignSettings(
        format=form.name,
        order=match.order,
        labels=names,
        mean=rule.mean,
        std=rule.std,
        resize=choices.resize or match.resize,
        anchors=None if model.anchors is None else dataclasses.asdict(model.anchors),
    )


@dataclass(frozen=True)
class PictureInput:
    """The input of a network.

    Attributes:
        tensor: its shape, type and quantisation.
        channels_first: [1,3,H,W], as networks of PyTorch have it.
    """

    tensor: Tensor
    channels_first: bool

    @property
    def input_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        sides = self.tensor.shape[2:] if self.channels_first else self.tensor.shape[1:3]
        return sides[0], sides[1]


def read_input(path: Path, interpreter: Interpreter) -> PictureInput:
    """Return the network's one input.

    Raises:
        ModelError: it is not one picture.
    """
    tensors = [Tensor.of(details) for details in interpreter.get_input_details()]
    if len(tensors) == 1 and tensors[0].dtype in _INPUT_DTYPES:
        tensor = tensors[0]
        shape = tensor.shape
        usable = tensor.dtype != "int8" or tensor.is_quantized
        if usable and is_image(shape):
            return PictureInput(tensor, False)
        if usable and len(shape) == 4 and is_image((shape[0], *shape[2:], shape[1])):
            return PictureInput(tensor, True)
    raise ModelError(
        f"{path}: expected one input [1,H,W,3] or [1,3,H,W] of {', '.join(_INPUT_DTYPES)}, found "
        f"{describe(tensors)}; not a detector of pictures"
    )


def read_outputs(path: Path, interpreter: Interpreter) -> tuple[Tensor, ...]:
    """Return the outputs in the file's order.

    Raises:
        ModelError: one is of a type that no form has.
    """
    tensors = tuple(Tensor.of(details) for details in interpreter.get_output_details())
    for tensor in tensors:
        if tensor.dtype not in _OUTPUT_DTYPES:
            raise ModelError(
                f"{path}: output {tensor}; outputs must be of {', '.join(_OUTPUT_DTYPES)}"
            )
    return tensors


def _output_names(
    path: Path, interpreter: Interpreter, metadata: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Return all that is said of each output, in lower case.

    The postprocessing operator knows best: of its outputs, only their places in it count.
    """
    details = interpreter.get_output_details()
    signed: dict[int, str] = {}
    for key in interpreter.get_signature_list():
        outputs = interpreter.get_signature_runner(key).get_output_details()
        signed |= {int(item["index"]): name for name, item in outputs.items()}
    graphs = (metadata or {}).get("subgraph_metadata", [])
    described = graphs[0].get("output_tensor_metadata", []) if graphs else []
    places = _postprocess_places(read_graph(path))
    names = []
    for number, item in enumerate(details):
        index = int(item["index"])
        known = described[number].get("name", "") if len(described) == len(details) else ""
        said = f"{item['name']} {signed.get(index, '')} {known}"
        names.append(places.get(index, said).lower())
    return tuple(names)


def _postprocess_places(graph: Graph) -> dict[int, str]:
    for operator in graph.operators:
        if operator.name == POSTPROCESS and len(operator.outputs) == len(DETECTIONS.names):
            return dict(zip(operator.outputs, DETECTIONS.names, strict=True))
    return {}


def _anchors(
    path: Path, metadata: Mapping[str, Any] | None, choices: ForeignChoices
) -> AnchorSet | None:
    if choices.anchors is not None:
        return load_anchors(choices.anchors)
    options = read_detector_options(metadata, where=str(path)) if metadata else None
    return described_anchors(options) if options else None


def _find_form(path: Path, model: ModelTensors, chosen: str) -> tuple[OutputFormat, Match]:
    if chosen and chosen not in FORMATS:
        raise ModelError(f"--format {chosen}: no such form; {choices_hint(chosen, FORMATS)}")
    _refuse_yolov5(path, model)
    forms = [FORMATS[chosen]] if chosen else list(FORMATS.values())
    for form in forms:
        try:
            match = form.match(model)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from None
        if match is not None and (chosen or form.automatic(model)):
            return form, match
    if chosen:
        raise ModelError(
            f"--format {chosen}: {path} has the outputs {describe(model.outputs)}; "
            f"{chosen} needs {FORMATS[chosen].outputs}"
        )
    known = "; ".join(f"{form.name}: {form.outputs}" for form in FORMATS.values())
    raise ModelError(
        f"{path}: its outputs {describe(model.outputs)} are of no known form; known are {known}"
    )


def _refuse_yolov5(path: Path, model: ModelTensors) -> None:
    """YOLOv5's table looks like YOLOv8's, but has a column of objectness."""
    if len(model.outputs) != 1 or len(model.shapes[0]) != 3:
        return
    rows = {_YOLOV5_ANCHORS * cells for cells in cell_counts(model.input_hw)}
    _, first, second = model.shapes[0]
    if first in rows and second > _YOLOV5_COLUMNS:
        raise ModelError(
            f"{path}: its output {model.outputs[0]} is YOLOv5's, with a column of objectness, "
            "which is not supported; export a YOLOv8 or later"
        )


def _check_anchors(path: Path, form: OutputFormat, match: Match, model: ModelTensors) -> None:
    if not form.needs_anchors or len(match.order) > 2:
        return
    if model.anchors is None:
        raise ModelError(
            f"{path}: its outputs {describe(model.outputs)} are codes relative to anchors, which "
            "are neither in its metadata nor an output; pass --anchors FILE (docs/foreign.md), "
            f"keep an exported file beside its {MANIFEST_NAME}, or for a DETR pass --format "
            "end_to_end"
        )
    coded, known = model.shapes[match.order[0]][1], len(model.anchors.anchors)
    if coded != known:
        raise ModelError(
            f"{path}: its outputs are of {coded} anchors, but {known} are given; the anchors are "
            "another model's: pass its own with --anchors FILE"
        )


def _fit_labels(
    path: Path, form: OutputFormat, match: Match, labels: Labels | None
) -> tuple[str, ...]:
    count = " or ".join(map(str, sorted(match.label_counts))) or "its"
    if labels is None:
        lists = " or ".join(f"--labels {name}" for name in BUILT_IN)
        raise ModelError(
            f"{path}: no class names, neither inside the file nor in a labels.txt or metadata.yaml "
            f"beside it; pass --labels FILE with {count} names, one a line, or {lists}"
        )
    fitted = labels.fitted(match.label_counts)
    if fitted is None:
        raise ModelError(
            f"{labels.source}: {len(labels.names)} class names, but {path} has scores of {count} "
            f"classes (form {form.name}); the list is another model's: pass --labels FILE"
        )
    # With NMS inside, classes are counted without the background
    return (fitted if match.label_counts else fitted.without_background()).names


def _normalization(
    tensor: Tensor,
    match: Match,
    metadata: Mapping[str, Any] | None,
    choices: ForeignChoices,
) -> Normalization:
    if choices.normalise:
        return parse_normalization(choices.normalise)
    held = quantized_range(tensor) if tensor.is_quantized else None
    default = "0..255" if tensor.dtype == "uint8" else match.normalization
    return held or stated_normalization(metadata) or NORMALIZATIONS[default]
