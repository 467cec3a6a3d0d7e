"""Which clients load a .tflite file as an object detector, and why not.

The rules come from running the clients; `make test-clients` does, and `docs/clients.md` shows the
results.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_retina.errors import ModelError
from edge_retina.runtime.graph import Graph
from edge_retina.runtime.metadata import read_detector_options
from edge_retina.runtime.metadata_schema import DETECTOR_ENTRY
from edge_retina.runtime.tensor_contract import (
    CORNER_PLACES,
    DETECTIONS,
    INPUT_DTYPES,
    RAW,
    TensorContract,
    is_image,
    shape_text,
)

POSTPROCESS = "TFLite_Detection_PostProcess"  # a custom operator that all these runtimes have
# Observed; its Python and web options offer no other.
_MEDIAPIPE_NMS = (
    "runs its own NMS: across classes, IoU above 0.3, best class of each anchor; it needs a "
    "score_threshold"
)
_DECODE = (
    "outputs are the heads of each level, which the app has to decode (see the manifest); export "
    "with --target cpu"
)
# Operators of exported detectors that these runtimes don't have
_NOT_IN_MICRO = frozenset({"TOPK_V2", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"})


@dataclass(frozen=True)
class ClientVerdict:
    """Whether a client takes the file.

    Attributes:
        client: its name.
        accepts: it loads the file and its results can be used.
        reasons: why not, each with what is needed; for a client that accepts, what it does
            differently from the others.
    """

    client: str
    accepts: bool
    reasons: tuple[str, ...]


def judge_clients(
    graph: Graph, metadata: Mapping[str, Any] | None, content: bytes
) -> tuple[ClientVerdict, ...]:
    """Return a verdict for each client.

    Args:
        graph: of the file.
        metadata: of the file, or None.
        content: of the file; the labels are searched in it.
    """
    runtime, detector = _runtime(graph), _detector(graph)
    tasks = [*runtime, *detector, *_task(graph, metadata, content)]
    raw = is_raw(graph)
    mediapipe = [*runtime, *_raw_task(graph, metadata, content)] if raw else tasks
    if has_levels(graph):
        mediapipe = tasks = [*runtime, _DECODE]
    return (
        _verdict("LiteRT Interpreter, tf.lite, tflite-runtime", runtime),
        _verdict("LiteRT CompiledModel", [*runtime, *_compiled(graph)]),
        _verdict("LiteRT.js", [*runtime, *_compiled(graph)]),
        _verdict(
            "MediaPipe Tasks ObjectDetector",
            mediapipe if has_levels(graph) else [*mediapipe, *_one_normalisation(metadata)],
            note=_MEDIAPIPE_NMS if raw else "",
        ),
        _verdict("Task Library ObjectDetector", tasks),
        _verdict("TensorFlow Lite Micro", [*runtime, *_missing(graph)]),
    )


def _verdict(client: str, reasons: list[str], *, note: str = "") -> ClientVerdict:
    return ClientVerdict(client, not reasons, tuple(reasons) or ((note,) if note else ()))


def _runtime(graph: Graph) -> list[str]:
    custom = {op.name for op in graph.operators if op.is_custom and op.name != POSTPROCESS}
    return [f"custom operator {name}: the app must register it" for name in sorted(custom)]


def _compiled(graph: Graph) -> list[str]:
    return [
        f"output {tensor.name} is a scalar; give it shape [1]"
        for tensor in graph.output_tensors
        if not tensor.shape
    ]


def _missing(graph: Graph) -> list[str]:
    names = dict.fromkeys(op.name for op in graph.operators if op.name in _NOT_IN_MICRO)
    halves = any(tensor.dtype == "float16" for tensor in graph.tensors)
    return [f"has no {name}" for name in names] + (["has no float16"] if halves else [])


def is_raw(graph: Graph) -> bool:
    """Whether the outputs are those of a detector without NMS."""
    return _fits(graph, RAW)


def has_levels(graph: Graph) -> bool:
    """Whether the outputs are logits and box codes of each level, as maps."""
    shapes = [tensor.shape for tensor in graph.output_tensors]
    half = len(shapes) // 2
    logits, codes = shapes[:half], shapes[half:]
    return (
        half > 0
        and len(logits) == len(codes)
        and all(len(shape) == 4 and shape[0] == 1 for shape in shapes)
        and all(a[1:3] == b[1:3] and b[3] % 4 == 0 for a, b in zip(logits, codes, strict=True))
    )


def _fits(graph: Graph, contract: TensorContract) -> bool:
    return contract.sizes_of([tensor.shape for tensor in graph.output_tensors]) is not None


def _detector(graph: Graph) -> list[str]:
    """Return what keeps the tensors from being a detector's."""
    reasons = _image(graph)
    if not _fits(graph, DETECTIONS):
        reasons.append(f"outputs {_shapes(graph.output_tensors)}; {DETECTIONS} are needed")
    return reasons + _float_outputs(graph)


def _float_outputs(graph: Graph) -> list[str]:
    wrong = sorted({tensor.dtype for tensor in graph.output_tensors} - {"float32"})
    return [f"outputs of {', '.join(wrong)}; float32 is needed"] if wrong else []


def _image(graph: Graph) -> list[str]:
    """Return what keeps the input from being one image."""
    reasons = []
    if graph.subgraphs != 1:
        reasons.append(f"{graph.subgraphs} subgraphs; one is needed")
    inputs = graph.input_tensors
    if len(inputs) != 1 or not is_image(inputs[0].shape):
        reasons.append(f"inputs {_shapes(inputs)}; one image [1,H,W,3] is needed")
    elif inputs[0].dtype not in INPUT_DTYPES:
        reasons.append(f"input is {inputs[0].dtype}; {' or '.join(INPUT_DTYPES)} is needed")
    return reasons


def _task(graph: Graph, metadata: Mapping[str, Any] | None, content: bytes) -> list[str]:
    """Return what the metadata lacks."""
    if metadata is None:
        return ["no metadata; export the model with 'edge-retina export'"]
    subgraphs = metadata.get("subgraph_metadata", [])
    described = subgraphs[0] if subgraphs else {}
    outputs = described.get("output_tensor_metadata", [])
    needed = DETECTIONS.metadata_names
    if len(outputs) != len(needed):
        return [f"metadata of {len(outputs)} outputs; {len(needed)} are needed"]
    reasons = []
    names = tuple(output.get("name", "") for output in outputs)
    if names != needed:
        reasons.append(f"outputs are named {', '.join(names)}; needed: {', '.join(needed)}")
    box = _member(outputs[0].get("content"), "content_properties", "BoundingBoxProperties")
    if box is None or box.get("type") != "BOUNDARIES" or box.get("index") != list(CORNER_PLACES):
        places = ",".join(map(str, CORNER_PLACES))
        reasons.append(
            f"boxes are not described as BOUNDARIES with index {places}; x and y would be swapped"
        )
    if not described.get("output_tensor_groups"):
        reasons.append("no tensor group of the outputs")
    reasons += _labels(outputs[1], content, kind=DETECTIONS.labels_kind, place="classes")
    return reasons + _float_input(graph, metadata)


def _raw_task(graph: Graph, metadata: Mapping[str, Any] | None, content: bytes) -> list[str]:
    """Return what MediaPipe misses in the metadata of a detector without NMS."""
    reasons = [*_image(graph), *_float_outputs(graph)]
    if metadata is None:
        return [*reasons, "no metadata; export the model with 'edge-retina export'"]
    subgraphs = metadata.get("subgraph_metadata", [])
    outputs = subgraphs[0].get("output_tensor_metadata", []) if subgraphs else []
    names = tuple(output.get("name", "") for output in outputs)
    if names != RAW.metadata_names:
        needed = ", ".join(RAW.metadata_names)
        return [*reasons, f"outputs are named {', '.join(names) or 'nothing'}; needed: {needed}"]
    box = _member(outputs[0].get("content"), "content_properties", "BoundingBoxProperties")
    if box is None or box.get("type") != "BOUNDARIES":
        reasons.append("boxes are not described as BOUNDARIES")
    reasons += _labels(outputs[1], content, kind=RAW.labels_kind, place="scores")
    try:
        options = read_detector_options(metadata, where="metadata")
    except ModelError as error:
        return [*reasons, str(error)]
    if options is None:
        return [*reasons, f"no {DETECTOR_ENTRY} with the anchors"]
    schema = (options.get("ssd_anchors_options") or {}).get("fixed_anchors_schema") or {}
    described, actual = len(schema.get("anchors", [])), graph.output_tensors[0].shape[1]
    if described != actual:
        reasons.append(f"{described} anchors in the metadata, outputs of {actual}")
    return reasons + _float_input(graph, metadata)


def _float_input(graph: Graph, metadata: Mapping[str, Any]) -> list[str]:
    inputs = graph.input_tensors
    if inputs and inputs[0].dtype == "float32" and _normalisation(metadata) is None:
        return ["float32 input without normalisation"]
    return []


def _labels(output: Mapping[str, Any], content: bytes, *, kind: str, place: str) -> list[str]:
    names = [
        file.get("name", "")
        for file in output.get("associated_files", [])
        if file.get("type") == kind
    ]
    if not names:
        return [f"no associated file of type {kind} at the {place}"]
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return [f"{names[0]} is not inside the file"]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = {entry.filename: entry for entry in archive.infolist()}
    except zipfile.BadZipFile as error:
        return [f"the archive at the end of the file is broken ({error})"]
    if names[0] not in inside:
        return [f"{names[0]} is not inside the file"]
    if inside[names[0]].compress_type != zipfile.ZIP_STORED:
        return [f"{names[0]} is compressed; it must be stored"]
    return []


def _one_normalisation(metadata: Mapping[str, Any] | None) -> list[str]:
    options = _normalisation(metadata or {})
    if options is None:
        return []
    values = (set(options.get("mean", [])), set(options.get("std", [])))
    if all(len(value) == 1 for value in values):
        return []
    return ["normalisation differs by channel; one value for all is needed"]


def _normalisation(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    subgraphs = metadata.get("subgraph_metadata", [])
    inputs = subgraphs[0].get("input_tensor_metadata", []) if subgraphs else []
    units = inputs[0].get("process_units", []) if inputs else []
    found = (_member(unit, "options", "NormalizationOptions") for unit in units)
    return next((options for options in found if options is not None), None)


def _member(table: Mapping[str, Any] | None, union: str, name: str) -> Mapping[str, Any] | None:
    """Return a union's value if it is of the wanted kind."""
    member: Mapping[str, Any] | None = ((table or {}).get(union) or {}).get(name)
    return member


def _shapes(tensors: tuple[Any, ...]) -> str:
    return " ".join(shape_text(tensor.shape) for tensor in tensors) or "none"
