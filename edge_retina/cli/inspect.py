"""`edge-retina inspect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.cli.options import STDOUT, debug_option, emit_json, json_option

if TYPE_CHECKING:
    from edge_retina.runtime.graph import TensorInfo
    from edge_retina.runtime.inspection import Inspection


@click.command("inspect")
@click.argument("file", metavar="FILE.tflite", type=click.Path(path_type=Path))
@json_option
@debug_option
def command(file: Path, json_target: str | None) -> None:
    """Show what is in a .tflite file, this package's or any other, and who can load it.

    MACs are multiplications with an addition for one picture. What XNNPACK takes is measured here;
    the other delegates are estimated from their documentation.

    Example: edge-retina inspect runs/demo/export/demo_int8.tflite
    """
    from edge_retina.runtime.inspection import inspect_model

    found = inspect_model(file)
    if json_target != STDOUT:
        for line in _lines(found):
            click.echo(line)
    emit_json(found.to_dict(), json_target)


def _lines(found: Inspection) -> Iterator[str]:
    yield f"{found.path}: {found.size_bytes / 1e6:.2f} MB, {found.macs / 1e6:.1f} million MACs"
    yield "\nTensors"
    for kind, tensors in (("input", found.inputs), ("output", found.outputs)):
        for tensor in tensors:
            yield f"  {kind:8}{_tensor(tensor)}"
    yield f"  signatures: {', '.join(found.signatures) or 'none'}; subgraphs: {found.subgraphs}"
    yield "\nOperators"
    for row in found.operators:
        share = f"{row.macs_share:7.1%} of MACs" if row.macs else ""
        custom = "custom" if row.custom else ""
        yield f"  {row.count:5} {row.name:28}{share}{custom}".rstrip()
    yield "\nQuantisation"
    yield from _quantization(found)
    yield "\nMetadata"
    yield from _metadata(found.metadata)
    yield "\nClients"
    for verdict in found.clients:
        reasons = f": {'; '.join(verdict.reasons)}" if verdict.reasons else ""
        yield f"  {'yes' if verdict.accepts else 'no':4} {verdict.client}{reasons}"
    yield "\nDelegates"
    yield from _delegates(found)


def _tensor(tensor: TensorInfo) -> str:
    shape = ",".join(map(str, tensor.shape))
    text = f"[{shape}] {tensor.dtype}  {tensor.name}"
    if len(tensor.scales) == 1:
        text += f"  scale {tensor.scales[0]:.6g}, zero point {tensor.zero_points[0]}"
    return text if tensor.is_static else f"{text}  (size left open)"


def _quantization(found: Inspection) -> Iterator[str]:
    quantization = found.quantization
    total = sum(quantization.operators.values())
    for kind, count in quantization.operators.items():
        yield f"  {kind:8}{count:5} of {total} operators"
    yield f"  int8 does {quantization.int8_macs_share:.1%} of the MACs"
    for name, kernels in quantization.kernels.items():
        counts = [f"{count} {kind.replace('_', ' ')}" for kind, count in kernels.items() if count]
        if counts:
            yield f"  kernels of {name}: {', '.join(counts)}"


def _metadata(metadata: Mapping[str, Any] | None) -> Iterator[str]:
    if metadata is None:
        yield "  none"
        return
    for key in ("name", "description", "version", "author", "license", "min_parser_version"):
        if key in metadata:
            yield f"  {key}: {metadata[key]}"
    for graph in metadata.get("subgraph_metadata", []):
        outputs = graph.get("output_tensor_metadata", [])
        names = [tensor.get("name", "unnamed") for tensor in outputs]
        files = [file.get("name", "") for x in outputs for file in x.get("associated_files", [])]
        yield f"  outputs: {', '.join(names) or 'none'}; files: {', '.join(files) or 'none'}"


def _delegates(found: Inspection) -> Iterator[str]:
    if found.xnnpack is None:
        yield f"  XNNPACK   can't be tried: {found.xnnpack_error}"
    else:
        took = found.xnnpack
        yield (
            f"  XNNPACK   {took.nodes_delegated} of {took.nodes_total} operators "
            f"in {took.partitions} partition{'' if took.partitions == 1 else 's'} (measured)"
        )
    for item in found.delegates:
        left = f"; the rest: {', '.join(item.left[:6])}" if item.left else ""
        more = ", ..." if len(item.left) > 6 else ""
        whole = "the whole graph" if item.whole else f"{item.operators} of {item.operators_total}"
        yield f"  {item.name:9} {whole}, {item.macs_share:.0%} of MACs (estimated){left}{more}"
