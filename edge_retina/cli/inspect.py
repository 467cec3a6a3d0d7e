"""`edge-retina inspect`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_retina.benchmark.backends import BUILTIN, XNNPACK, short_name
from edge_retina.cli.inspect_compilers import compiler_table, target_table
from edge_retina.cli.inspect_profile import profile_blocks
from edge_retina.cli.options import STDOUT, debug_option, emit_json, json_option
from edge_retina.cli.terminal import show
from edge_retina.report.plain_text import Block
from edge_retina.report.tables import Column, Table, megabytes
from edge_retina.workflow.opening import MOST_THREADS

if TYPE_CHECKING:
    from edge_retina.runtime.graph import TensorInfo
    from edge_retina.runtime.inspection import Inspection

_LABELLED = (Column("", text=True), Column("", text=True))
_KERNELS = tuple(map(short_name, (XNNPACK, BUILTIN)))
_LEFT_OUT = 6  # operators named that a delegate leaves to the CPU


@click.command("inspect")
@click.argument("file", metavar="FILE.tflite", type=click.Path(path_type=Path))
@click.option(
    "--profile",
    is_flag=True,
    help="Time the file here: where the time goes, by part and by operator.",
)
@click.option(
    "--threads",
    type=click.IntRange(1, MOST_THREADS),
    help="Threads of the interpreter for --profile.  [default: 1]",
)
@click.option(
    "--backend",
    type=click.Choice(_KERNELS),
    help="Kernels for --profile.  [default: xnnpack]",
)
@click.option(
    "--image",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Picture to run on for --profile; how long NMS takes depends on it. Default: noise.",
)
@click.option(
    "--compiler",
    "compilers",
    metavar="NAME[:CONFIG]",
    multiple=True,
    help="Ask a compiler: vela:ethos-u55-128, vela:ACCELERATOR,SYSTEM,MEMORY or tflite-micro. Can "
    "be repeated.",
)
@click.option(
    "--arena",
    is_flag=True,
    help="Memory on a microcontroller: same as --compiler tflite-micro.",
)
@click.option(
    "--compiler-python",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Python of the environment that has the compilers. Default: the one that runs this.",
)
@json_option
@debug_option
def command(
    file: Path,
    profile: bool,
    threads: int | None,
    backend: str | None,
    image: Path | None,
    compilers: tuple[str, ...],
    arena: bool,
    compiler_python: Path | None,
    json_target: str | None,
) -> None:
    """Show what is inside a .tflite file, ours or any other, and which clients can load it.

    MACs are multiply-accumulate operations per picture. What XNNPACK runs is measured on this
    machine; other delegates are estimated from their documentation.

    With --profile the file is run instead: each operator, each part (backbone, FPN, heads,
    decoding, NMS) and the whole are timed in turn, beside what the machine can do at best.

    With --compiler or --arena, compilers say what they take and estimate time and memory. They are
    packages of their own (ethos-u-vela, tflite-micro) in another environment, see
    docs/microcontrollers.md.

    Example: edge-retina inspect runs/demo/export/demo_int8.tflite --profile
    """
    if not profile and (threads or backend or image):
        raise click.UsageError("--threads, --backend and --image belong to --profile; add it")
    if arena:
        compilers += ("tflite-micro",)
    if profile and compilers:
        raise click.UsageError("--profile can't be combined with --compiler or --arena")
    if compiler_python and not compilers:
        raise click.UsageError("--compiler-python belongs to --compiler or --arena; add one")
    if profile:
        _profile(file, backend or _KERNELS[0], threads or 1, image, json_target)
        return
    from edge_retina.compilers.other_python import OtherPython
    from edge_retina.compilers.table import prepare
    from edge_retina.export.targets.estimate import estimate_targets
    from edge_retina.runtime.graph import read_graph
    from edge_retina.runtime.inspection import inspect_model

    requests = prepare(compilers, OtherPython(compiler_python))
    found = inspect_model(file)
    targets = estimate_targets(read_graph(file))
    reports = [request.examine(file) for request in requests]
    if json_target != STDOUT:
        show(*_blocks(found), target_table(targets), compiler_table(reports))
    more = {
        "targets": [dataclasses.asdict(item) for item in targets],
        "compilers": [dataclasses.asdict(report) for report in reports],
    }
    emit_json({**found.to_dict(), **more}, json_target)


def _profile(
    file: Path, backend: str, threads: int, image: Path | None, json_target: str | None
) -> None:
    from edge_retina.benchmark.profile import profile_model
    from edge_retina.runtime.image import load_image

    picture = None if image is None else load_image(image)
    found = profile_model(file, backend=backend, threads=threads, image_rgb=picture)
    if json_target != STDOUT:
        show(*profile_blocks(found))
    emit_json(found.to_dict(), json_target)


def _blocks(found: Inspection) -> Iterator[Block]:
    yield f"{found.path}: {megabytes(found.size_bytes)}, {found.macs / 1e6:.1f} million MACs"
    yield _tensors(found)
    yield f"signatures: {', '.join(found.signatures) or 'none'}; subgraphs: {found.subgraphs}"
    yield _operators(found)
    yield Table(_LABELLED, list(_quantization(found)), title="Quantisation")
    yield Table(_LABELLED, list(_metadata(found.metadata)), title="Metadata")
    yield _clients(found)
    yield _delegates(found)


def _tensors(found: Inspection) -> Table:
    columns = (
        Column("tensor", text=True),
        Column("shape", text=True),
        Column("type", text=True),
        Column("scale"),
        Column("zero point"),
        Column("name", text=True),
    )
    kinds = (("input", found.inputs), ("output", found.outputs))
    rows = [_tensor(kind, tensor) for kind, tensors in kinds for tensor in tensors]
    return Table(columns, rows, title="Inputs and outputs")


def _tensor(kind: str, tensor: TensorInfo) -> tuple[str, ...]:
    scale = zero_point = ""
    if len(tensor.scales) == 1:
        scale, zero_point = f"{tensor.scales[0]:.6g}", str(tensor.zero_points[0])
    name = tensor.name if tensor.is_static else f"{tensor.name} (size left open)"
    shape = f"[{','.join(map(str, tensor.shape))}]"
    return kind, shape, tensor.dtype, scale, zero_point, name


def _operators(found: Inspection) -> Table:
    columns = (Column("operator", text=True), Column("count"), Column("of MACs"))
    rows = [
        (
            f"{row.name} (custom)" if row.custom else row.name,
            str(row.count),
            f"{row.macs_share:.1%}" if row.macs else "",
        )
        for row in found.operators
    ]
    return Table(columns, rows, title="Operators")


def _quantization(found: Inspection) -> Iterator[tuple[str, str]]:
    quantization = found.quantization
    total = sum(quantization.operators.values())
    for kind, count in quantization.operators.items():
        yield kind, f"{count} of {total} operators"
    yield "int8 share", f"{quantization.int8_macs_share:.1%} of MACs"
    for name, kernels in quantization.kernels.items():
        counts = [f"{count} {kind.replace('_', ' ')}" for kind, count in kernels.items() if count]
        if counts:
            yield f"kernels of {name}", ", ".join(counts)


def _metadata(metadata: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if metadata is None:
        yield "none", ""
        return
    for key in ("name", "description", "version", "author", "license", "min_parser_version"):
        if key in metadata:
            yield key.replace("_", " "), str(metadata[key])
    for graph in metadata.get("subgraph_metadata", []):
        outputs = graph.get("output_tensor_metadata", [])
        names = [tensor.get("name", "unnamed") for tensor in outputs]
        files = [file.get("name", "") for x in outputs for file in x.get("associated_files", [])]
        yield "outputs", ", ".join(names) or "none"
        yield "files", ", ".join(files) or "none"


def _clients(found: Inspection) -> Table:
    columns = (Column("client", text=True), Column("loads it", text=True), Column("", text=True))
    rows = [
        (verdict.client, "yes" if verdict.accepts else "no", "; ".join(verdict.reasons))
        for verdict in found.clients
    ]
    return Table(columns, rows, title="Clients")


def _delegates(found: Inspection) -> Table:
    columns = (
        Column("delegate", text=True),
        Column("operators", text=True),
        Column("of MACs"),
        Column("", text=True),
    )
    rows = [_xnnpack(found)]
    for item in found.delegates:
        left = ", ".join(item.left[:_LEFT_OUT]) + (", ..." if len(item.left) > _LEFT_OUT else "")
        note = f"estimated; not {left}" if left else "estimated"
        operators = "all" if item.whole else f"{item.operators} of {item.operators_total}"
        rows.append((item.name, operators, f"{item.macs_share:.0%}", note))
    return Table(columns, rows, title="Delegates")


def _xnnpack(found: Inspection) -> tuple[str, ...]:
    took = found.xnnpack
    if took is None:
        return "XNNPACK", "unknown", "", f"can't be tried: {found.xnnpack_error}"
    partitions = f"{took.partitions} partition{'' if took.partitions == 1 else 's'}"
    operators = f"{took.nodes_delegated} of {took.nodes_total}"
    return "XNNPACK", operators, "", f"measured; {partitions}"
