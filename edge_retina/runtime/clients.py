"""Which clients load a .tflite file as an object detector, and why not.

The rules were found by running the clients; `make test-clients` and `docs/clients.md`
show the same clients at work.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_retina.runtime.graph import Graph

POSTPROCESS = "TFLite_Detection_PostProcess"  # a custom operator that all these runtimes have
_OUTPUT_NAMES = ("location", "category", "score", "number of detections")
_YXYX = [1, 0, 3, 2]
# Operators of exported detectors that these runtimes don't have
_NOT_IN_MICRO = frozenset({"TOPK_V2", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"})


@dataclass(frozen=True)
class ClientVerdict:
    """Whether a client takes the file.

    Attributes:
        client: its name.
        accepts: it loads the file and its results can be used.
        reasons: why not, each with what would be needed.
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
        content: of the file, in which the labels are looked for.
    """
    runtime, detector = _runtime(graph), _detector(graph)
    tasks = [*runtime, *detector, *_task(graph, metadata, content)]
    return (
        _verdict("LiteRT Interpreter, tf.lite, tflite-runtime", runtime),
        _verdict("LiteRT CompiledModel", [*runtime, *_compiled(graph)]),
        _verdict("LiteRT.js", [*runtime, *_compiled(graph)]),
        _verdict("MediaPipe Tasks ObjectDetector", [*tasks, *_one_normalisation(metadata)]),
        _verdict("Task Library ObjectDetector", tasks),
        _verdict("TensorFlow Lite Micro", [*runtime, *_missing(graph)]),
    )


def _verdict(client: str, reasons: list[str]) -> ClientVerdict:
    return ClientVerdict(client, not reasons, tuple(reasons))


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
    return [f"has no {name}" for name in names]


def _detector(graph: Graph) -> list[str]:
    """Say what keeps the tensors from being a detector's."""
    reasons = []
    if graph.subgraphs != 1:
        reasons.append(f"{graph.subgraphs} subgraphs; one is needed")
    inputs, outputs = graph.input_tensors, graph.output_tensors
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[3] != 3:
        reasons.append(f"inputs {_shapes(inputs)}; one picture [1,H,W,3] is needed")
    elif inputs[0].dtype not in ("uint8", "float32"):
        reasons.append(f"input is {inputs[0].dtype}; uint8 or float32 is needed")
    rows = outputs[0].shape[1] if outputs and len(outputs[0].shape) == 3 else 0
    if [tensor.shape for tensor in outputs] != [(1, rows, 4), (1, rows), (1, rows), (1,)]:
        reasons.append(
            f"outputs {_shapes(outputs)}; boxes [1,N,4], classes [1,N], scores [1,N], count [1] "
            "are needed"
        )
    wrong = sorted({tensor.dtype for tensor in outputs} - {"float32"})
    if wrong:
        reasons.append(f"outputs of {', '.join(wrong)}; float32 is needed")
    return reasons


def _task(graph: Graph, metadata: Mapping[str, Any] | None, content: bytes) -> list[str]:
    """Say what is missing in the metadata."""
    if metadata is None:
        return ["no metadata; export the model with 'edge-retina export'"]
    subgraphs = metadata.get("subgraph_metadata", [])
    described = subgraphs[0] if subgraphs else {}
    outputs = described.get("output_tensor_metadata", [])
    if len(outputs) != 4:
        return [f"metadata of {len(outputs)} outputs; of 4 is needed"]
    reasons = []
    names = tuple(output.get("name", "") for output in outputs)
    if names != _OUTPUT_NAMES:
        reasons.append(f"outputs are named {', '.join(names)}; needed: {', '.join(_OUTPUT_NAMES)}")
    box = _member(outputs[0].get("content"), "content_properties", "BoundingBoxProperties")
    if box is None or box.get("type") != "BOUNDARIES" or box.get("index") != _YXYX:
        reasons.append(
            "boxes are not described as BOUNDARIES with index 1,0,3,2; x and y would be swapped"
        )
    if not described.get("output_tensor_groups"):
        reasons.append("no tensor group of the outputs")
    reasons += _labels(outputs[1], content)
    inputs = graph.input_tensors
    if inputs and inputs[0].dtype == "float32" and _normalisation(metadata) is None:
        reasons.append("float32 input without normalisation")
    return reasons


def _labels(category: Mapping[str, Any], content: bytes) -> list[str]:
    names = [
        file.get("name", "")
        for file in category.get("associated_files", [])
        if file.get("type") == "TENSOR_VALUE_LABELS"
    ]
    if not names:
        return ["no associated file of type TENSOR_VALUE_LABELS at the classes"]
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
    return " ".join(f"[{','.join(map(str, tensor.shape))}]" for tensor in tensors) or "none"
