"""What Vela and TensorFlow Lite Micro say of detectors at 96, 160 and 256 px, and of a trained one.

    python benchmarks/compilers.py --python .venv-compilers/bin/python --export runs/bccd/export \
        --pictures data/bccd/JPEGImages --json benchmarks/results/compilers.json \
        --doc docs/microcontrollers.md

The three networks have random weights and ranges calibrated on noise: size, arena and time don't
depend on the weights. The trained one is that of an export with the targets ethos-u and micro. Each
file is compiled by Vela for several systems. Each is run by TFLite Micro, whose outputs are
compared with those of LiteRT's reference kernels and of XNNPACK: on noise, and those of the trained
one on pictures.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.compilers.micro import run_litert, run_micro
from edge_retina.compilers.other_python import OtherPython
from edge_retina.compilers.report import CompilerReport
from edge_retina.compilers.table import Request, prepare
from edge_retina.config import Config
from edge_retina.design.grid import Network
from edge_retina.errors import BenchmarkError, EdgeRetinaError
from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.report.tables import milliseconds
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.image import load_image, stretch

_SIDES = (96, 160, 256)
_LEVELS: dict[str, Any] = {"min_level": 3, "max_level": 5}
_LABELS = ("a", "b", "c")
_COMPILERS = (
    "vela:ethos-u55-128,Ethos_U55_Deep_Embedded,Shared_Sram",
    "vela:ethos-u55-128",
    "vela:ethos-u55-256",
    "vela:ethos-u65-256",
    "tflite-micro",
)
_TARGETS = ("ethos-u", "micro")
_NOISE_PICTURES, _SEED = 8, 0
_FEWEST_VALUES = 10  # of an output, for a comparison to mean something
_BEGIN, _END = "<!-- compilers: begin -->", "<!-- compilers: end -->"


@click.command()
@click.option("--python", type=click.Path(path_type=Path), help="With the two compilers.")
@click.option("--export", type=click.Path(exists=True, path_type=Path), help="Of a trained one.")
@click.option("--pictures", type=click.Path(exists=True, path_type=Path), help="A directory.")
@click.option("--count", default=8, show_default=True, help="So many of the pictures.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), required=True)
@click.option("--doc", type=click.Path(path_type=Path), help="A page whose table is replaced.")
def main(
    python: Path | None,
    export: Path | None,
    pictures: Path | None,
    count: int,
    json_path: Path,
    doc: Path | None,
) -> None:
    """Make the files, ask the compilers, write."""
    if bool(export) != bool(pictures):
        raise click.UsageError("--export and --pictures belong together; add the other one")
    try:
        requests = prepare(_COMPILERS, OtherPython(python))
        files = [] if export is None or pictures is None else _trained(export, pictures, count)
        with tempfile.TemporaryDirectory() as name:
            files += _random_files(Path(name))
            rows = [_examine(file, requests) for file in files]
    except EdgeRetinaError as error:
        raise click.ClickException(str(error)) from error
    document = {
        "schema_version": 1,
        "environment": dataclasses.asdict(read_environment()),
        "files": rows,
    }
    write_json(json_path, document)
    table = _table(rows)
    click.echo(table)
    if doc is not None:
        _replace(doc, table)


@dataclasses.dataclass(frozen=True)
class _File:
    """A file to ask about.

    Attributes:
        name: for people.
        side_px: of the input.
        paths: by target: the file for Vela and that for TFLite Micro.
        inputs: (N, 1, H, W, 3) int8 pictures to compare outputs on.
        compared_on: what these are.
    """

    name: str
    side_px: int
    paths: Mapping[str, Path]
    inputs: np.ndarray
    compared_on: str


def _trained(export: Path, pictures: Path, count: int) -> list[_File]:
    """Return the files of an export, with pictures as the app would give them."""
    paths = {}
    for target in _TARGETS:
        found = sorted(export.glob(f"*_{target}_int8.tflite"))
        if len(found) != 1:
            raise BenchmarkError(
                f"{export}: {len(found)} files *_{target}_int8.tflite, expected one; export with "
                f"--target {','.join(_TARGETS)}"
            )
        paths[target] = found[0]
    (tensor,) = read_graph(paths["micro"]).input_tensors
    _, height, width, _ = tensor.shape
    chosen = sorted(path for path in pictures.iterdir() if path.is_file())[:count]
    pixels = np.stack([stretch(load_image(path), (height, width)) for path in chosen])[:, None]
    # Scale 1/128 and zero point 0: an int8 value is the pixel less 128
    inputs = (pixels.astype(np.int16) - 128).astype(np.int8)
    name = paths["micro"].name.removesuffix("_micro_int8.tflite")
    return [_File(f"{name}, trained", height, paths, inputs, f"{len(inputs)} pictures")]


def _random_files(directory: Path) -> list[_File]:
    generator = np.random.default_rng(_SEED)
    files = []
    for side in _SIDES:
        inputs = generator.integers(-128, 128, (_NOISE_PICTURES, 1, side, side, 3), np.int8)
        contents = _contents(side, inputs[:, 0].astype(np.float32) / 128)
        paths = {target: directory / f"{side}_{target}.tflite" for target in _TARGETS}
        for target, path in paths.items():
            path.write_bytes(contents[target])
        files.append(_File("random weights", side, paths, inputs, f"{len(inputs)} of noise"))
    return files


def _contents(side: int, pictures: np.ndarray) -> dict[str, bytes]:
    """Return the files of a network with random weights, calibrated on normalised pictures."""
    from edge_retina.export.levels_file import LevelsFiles
    from edge_retina.export.targets.table import TARGETS
    from edge_retina.export.targets.target import CONCATENATION
    from edge_retina.model.deploy import build_deploy_graph
    from edge_retina.model.keras import keras
    from edge_retina.model.retinanet import build_retinanet
    from edge_retina.quantization.ranges import measure_ranges
    from edge_retina.quantization.wrapping import build_quantized_model

    config = Config()
    model = dataclasses.replace(
        config.model, image_hw=(side, side), backbone_width=0.35, prior_probability=0.5, **_LEVELS
    )
    grid = Network(config.replace(model=model)).anchors
    keras.utils.set_random_seed(_SEED)
    deploy = build_deploy_graph(build_retinanet(model, num_classes=len(_LABELS), anchors=grid))
    quantized = build_quantized_model(deploy)
    ranges = measure_ranges(deploy, [pictures], score_threshold=config.export.score_threshold)
    quantized.set_activation_ranges(ranges)
    quantized.round_biases()
    files = LevelsFiles(
        {("int8", CONCATENATION): quantized.model},
        levels=grid.levels,
        labels=_LABELS,
        config=config,
    )
    return {target: files.content(TARGETS[target]) for target in _TARGETS}


def _examine(file: _File, requests: Sequence[Request]) -> dict[str, Any]:
    """Ask every compiler about one file; return what the JSON holds of it."""
    reports = []
    for request in requests:
        target = "micro" if request.compiler.name == "tflite-micro" else "ethos-u"
        reports.append(request.examine(file.paths[target]))
        click.echo(f"{file.name} at {file.side_px} px: {reports[-1]}")
    macs = sum(op.macs for op in read_graph(file.paths["micro"]).operators)
    return {
        "name": file.name,
        "side_px": file.side_px,
        "bytes": {target: path.stat().st_size for target, path in file.paths.items()},
        "sha256": {target: sha256_file(path) for target, path in file.paths.items()},
        "macs": macs,
        "reports": [dataclasses.asdict(report) for report in reports],
        "outputs": _compare(file, requests[-1].python, reports[-1]),
    }


def _compare(file: _File, python: OtherPython, report: CompilerReport) -> dict[str, Any]:
    """Compare the outputs of TFLite Micro with LiteRT's, in steps of int8."""
    if report.refused:
        raise BenchmarkError(f"{file.name} at {file.side_px} px: {report.refused}")
    path = file.paths["micro"]
    found = run_micro(path, [file.inputs], python).outputs
    reference = run_litert(path, [file.inputs])
    xnnpack = run_litert(path, [file.inputs], xnnpack=True)
    return {
        "on": file.compared_on,
        "distinct_values": min(len(np.unique(output)) for output in reference),
        "reference": _difference(found, reference),
        "xnnpack": _difference(found, xnnpack),
    }


def _difference(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> dict[str, Any]:
    steps = np.concatenate(
        [
            np.abs(one.astype(np.int16) - two.reshape(one.shape)).ravel()
            for one, two in zip(found, expected, strict=True)
        ]
    )
    return {
        "values": int(steps.size),
        "unequal": int((steps > 0).sum()),
        "mean_steps": float(steps.mean()),
        "most_steps": int(steps.max()),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of Ethos-U systems and one of the arena."""
    return f"{_npu_table(rows)}\n{_arena_table(rows)}"


def _npu_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("network", "compiled for", "clock", "on the NPU", "estimated ms", "memory in bytes")
    return markdown_table(
        head,
        [
            (
                _network(row),
                f"{report['configuration'].partition(',')[0]}, {report['settings']['system']}",
                report["settings"]["clock"],
                f"{report['operators']} of {report['operators_total']} operators, "
                f"{report['macs_share']:.0%} of MACs",
                milliseconds(report["estimated_ms"]),
                ", ".join(f"{name} {size:,}" for name, size in report["memory_bytes"].items()),
            )
            for row in rows
            for report in row["reports"]
            if report["compiler"] == "vela"
        ],
    )


def _arena_table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = ("network", "file", "arena", "activations in it", "values unequal to LiteRT's reference")
    return markdown_table(
        head,
        [
            (
                _network(row),
                f"{row['bytes']['micro']:,}",
                f"{report['memory_bytes']['arena']:,}",
                f"{report['memory_bytes']['activations in it']:,}",
                _unequal(row["outputs"]),
            )
            for row in rows
            for report in row["reports"]
            if report["compiler"] == "tflite-micro"
        ],
    )


def _unequal(outputs: Mapping[str, Any]) -> str:
    """Return how many values differ; equality of outputs that are constant proves nothing."""
    if outputs["distinct_values"] < _FEWEST_VALUES:
        return "not counted: an output is constant"
    found = outputs["reference"]
    return f"{found['unequal']:,} of {found['values']:,} ({outputs['on']})"


def _network(row: Mapping[str, Any]) -> str:
    return f"{row['side_px']} px, {row['name']}"


def _replace(doc: Path, table: str) -> None:
    head, _, rest = doc.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not end:
        raise click.ClickException(f"{doc}: the marks {_BEGIN} and {_END} are missing")
    write_text(doc, f"{head}{_BEGIN}\n{table}{_END}{tail}")


if __name__ == "__main__":
    main()
