"""Everything there is to know about a .tflite file without running it on images."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from edge_retina.errors import ModelError
from edge_retina.runtime.clients import ClientVerdict, judge_clients
from edge_retina.runtime.delegates import DelegateEstimate, estimate_delegates
from edge_retina.runtime.graph import Graph, OperatorInfo, TensorInfo, read_graph
from edge_retina.runtime.metadata import read_metadata
from edge_retina.runtime.ops import DelegateInfo, count_delegate_partitions
from edge_retina.runtime.start_up_lines import without_start_up_lines

SCHEMA_VERSION = 1
_QUANTIZED = frozenset({"int8", "uint8", "int16"})
_FLOAT = frozenset({"float32", "float16"})
_KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class OperatorCount:
    """Operators of one type.

    Attributes:
        name: of the type.
        count: how many.
        macs: of all of them.
        macs_share: of the whole graph's, 0..1.
        custom: not built in.
    """

    name: str
    count: int
    macs: int
    macs_share: float
    custom: bool


@dataclass(frozen=True)
class Quantization:
    """How much of the graph computes in integers.

    Attributes:
        operators: by what they compute in: "int8" (any integer type), "float", "mixed" (QUANTIZE,
            DEQUANTIZE and hybrid operators) and "other" (indices and shapes).
        int8_macs_share: of the multiplications, 0..1.
        kernels: of convolutions and depthwise ones: how many have a scale for each channel, one
            scale for all, or are float; "float16", if there are any stored so.
    """

    operators: dict[str, int]
    int8_macs_share: float
    kernels: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Inspection:
    """What `edge-retina inspect` shows."""

    path: str
    size_bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    signatures: tuple[str, ...]
    subgraphs: int
    operators: tuple[OperatorCount, ...]
    macs: int
    quantization: Quantization
    metadata: dict[str, Any] | None
    clients: tuple[ClientVerdict, ...]
    xnnpack: DelegateInfo | None
    xnnpack_error: str
    delegates: tuple[DelegateEstimate, ...]
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document, version first."""
        return {"schema_version": self.schema_version, **dataclasses.asdict(self)}


def inspect_model(path: Path) -> Inspection:
    """Look into a .tflite file, ours or foreign.

    Raises:
        ModelError: it is no TFLite file, or not a whole one.
    """
    graph = read_graph(path)
    content = path.read_bytes()
    xnnpack, xnnpack_error = _measure_xnnpack(path)
    metadata = read_metadata(content, where=str(path))
    return Inspection(
        path=str(path),
        size_bytes=len(content),
        inputs=graph.input_tensors,
        outputs=graph.output_tensors,
        signatures=graph.signatures,
        subgraphs=graph.subgraphs,
        operators=_count(graph),
        macs=sum(op.macs for op in graph.operators),
        quantization=_quantization(graph),
        metadata=_readable(metadata),
        clients=judge_clients(graph, metadata, content),
        xnnpack=xnnpack,
        xnnpack_error=xnnpack_error,
        delegates=estimate_delegates(graph),
    )


def _readable(metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return metadata without the bytes of custom ones, which JSON can't hold: their length."""
    readable = copy.deepcopy(metadata)
    for graph in (readable or {}).get("subgraph_metadata", []):
        for entry in graph.get("custom_metadata", []):
            entry["data"] = f"{len(entry.get('data', b''))} bytes"
    return readable


def _measure_xnnpack(path: Path) -> tuple[DelegateInfo | None, str]:
    """Open the file with XNNPACK; return what it took, or why LiteRT can't prepare the graph.

    Raises:
        ModelError: LiteRT finds the file broken.
    """
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
    except (RuntimeError, ValueError) as error:  # the flatbuffer is verified here
        raise ModelError(
            f"{path}: LiteRT can't open the model ({_first_line(error)}); if it was cut off in "
            "copying, copy it again"
        ) from None
    try:
        with without_start_up_lines():
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:  # an unknown custom operator, or a wrong shape
        return None, _first_line(error)
    return count_delegate_partitions(interpreter), ""


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _count(graph: Graph) -> tuple[OperatorCount, ...]:
    """Count operators by type, those with the most multiplications first."""
    counts, macs = Counter[tuple[str, bool]](), Counter[tuple[str, bool]]()
    for op in graph.operators:
        counts[op.name, op.is_custom] += 1
        macs[op.name, op.is_custom] += op.macs
    total = sum(macs.values())
    rows = [
        OperatorCount(name, count, macs[name, custom], _share(macs[name, custom], total), custom)
        for (name, custom), count in counts.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.macs, -row.count, row.name)))


def _quantization(graph: Graph) -> Quantization:
    kinds = [(op, _computes_in(graph, op)) for op in graph.operators]
    macs = sum(op.macs for op in graph.operators)
    return Quantization(
        operators=dict(Counter(kind for _, kind in kinds).most_common()),
        int8_macs_share=_share(sum(op.macs for op, kind in kinds if kind == "int8"), macs),
        kernels={name: _kernels(graph, name) for name in _KERNELS},
    )


def _computes_in(graph: Graph, operator: OperatorInfo) -> str:
    used = [graph.tensors[index] for index in (*operator.inputs, *operator.outputs)]
    # Quantised constants make an operator mixed too: hybrid kernels; index tensors say nothing
    is_float = any(tensor.dtype in _FLOAT for tensor in used)
    is_quantized = any(tensor.dtype in _QUANTIZED for tensor in used)
    if is_float and is_quantized:
        return "mixed"
    return "float" if is_float else "int8" if is_quantized else "other"


def _kernels(graph: Graph, name: str) -> dict[str, int]:
    found = {"per_channel": 0, "per_tensor": 0, "float": 0}
    halves = _from_float16(graph)
    for op in graph.operators:
        if op.name == name and len(op.inputs) > 1:
            kernel = graph.tensors[op.inputs[1]]
            if op.inputs[1] in halves:
                found["float16"] = found.get("float16", 0) + 1
            elif kernel.dtype not in _QUANTIZED:
                found["float"] += 1
            else:
                # tfmot's depthwise layers come out with a scale for each channel, all of them equal
                found["per_channel" if len(set(kernel.scales)) > 1 else "per_tensor"] += 1
    return found


def _from_float16(graph: Graph) -> set[int]:
    """Return the tensors that are float16 constants made float32 by a DEQUANTIZE."""
    return {
        index
        for op in graph.operators
        if op.name == "DEQUANTIZE" and any(graph.tensors[i].dtype == "float16" for i in op.inputs)
        for index in op.outputs
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
