"""What each target's file has in it, and that it finds what the file with NMS inside finds.

    edge-retina export runs/bccd --out targets --target gpu,npu,edgetpu,ethos-u,micro
    python benchmarks/targets.py runs/bccd targets --json benchmarks/results/targets.json

evaluates each file on the RUN's test split, with XNNPACK and with LiteRT's own kernels. int8 files
are compared with the RUN's NAME_int8.tflite, others with its NAME_float32.tflite; asked is a mAP
that differs by .001 at the most. How many operators of the file with NMS inside break a target's
rules stands beside it. A Markdown table is written beside the JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.datasets.schema import Example
from edge_retina.evaluation.evaluator import evaluate
from edge_retina.export.targets.check import broken_rules
from edge_retina.export.targets.table import TARGETS
from edge_retina.export.targets.target import NMS, Target
from edge_retina.files import write_json, write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.graph import read_graph
from edge_retina.runtime.inspection import inspect_model
from edge_retina.runtime.manifest import load_manifest
from edge_retina.workflow.context import RunContext
from edge_retina.workflow.prepare import open_run

_ASKED = 0.001
_KERNELS = {"xnnpack": True, "builtin": False}


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("files", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="Default: the RUN's.")
@click.option("--json", "target", type=click.Path(path_type=Path), required=True)
def main(run: Path, files: Path, data: Path | None, target: Path) -> None:
    """Evaluate the FILES that were exported from RUN, and compare."""
    overrides = [f"data.path={data.resolve()}"] if data else []
    context = open_run(RunDirectory(run), overrides=overrides, decode=False)
    result = measure_targets(context, files)
    write_json(target, result)
    write_text(target.with_suffix(".md"), _markdown(result))
    click.echo(_markdown(result))
    far = [name for name, file in result["files"].items() if file["map_difference"] > _ASKED]
    if far:
        raise click.ClickException(f"mAP differs by more than {_ASKED}: {', '.join(far)}")


def measure_targets(context: RunContext, directory: Path) -> dict[str, Any]:
    """Return what the files of a RUN have in them and find.

    Args:
        context: a RUN with exported files.
        directory: with the files for other targets.

    Raises:
        ModelError: a file is missing.
    """
    manifest, name = load_manifest(directory), context.config.name
    split, examples = context.measured_split
    whole = {precision: context.exported(precision) for precision in ("float32", "int8")}
    files: dict[str, dict[str, Any]] = {}
    for precision, path in whole.items():
        files[path.name] = _describe(path, TARGETS["cpu"], precision)
        files[path.name]["mAP"] = _maps(path, examples, manifest.labels)
        files[path.name] |= {"compared_with": path.name, "map_difference": 0.0}
    for target in TARGETS.values():
        path = directory / target.file_name(name, target.precision)
        if target.form == NMS or path.name not in manifest.files:
            continue
        reference = whole["int8" if target.precision == "int8" else "float32"]
        found = _describe(path, target, target.precision)
        found["mAP"] = _maps(path, examples, manifest.labels)
        graph = read_graph(reference)
        broken = {operator.outputs for operator, _, _ in broken_rules(graph, target)}
        found["refused_with_nms"] = {"operators": len(broken), "of": len(graph.operators)}
        found["compared_with"] = reference.name
        found["map_difference"] = max(
            abs(found["mAP"][kernels] - files[reference.name]["mAP"][kernels])
            for kernels in _KERNELS
        )
        files[path.name] = found
    return {
        "schema_version": 1,
        "command": "python benchmarks/targets.py RUN FILES --json FILE",
        "environment": dataclasses.asdict(read_environment()),
        "model": name,
        "input_hw": [manifest.input.height, manifest.input.width],
        "split": split,
        "images": len(examples),
        "quantization": manifest.quantization["method"],
        "asked": _ASKED,
        "files": files,
    }


def _describe(path: Path, target: Target, precision: str) -> dict[str, Any]:
    found = inspect_model(path)
    return {
        "target": target.name,
        "precision": precision,
        "bytes": found.size_bytes,
        "input": found.inputs[0].dtype,
        "outputs": [[*tensor.shape, tensor.dtype] for tensor in found.outputs],
        "operators": {row.name: row.count for row in found.operators},
        "xnnpack": None if found.xnnpack is None else dataclasses.asdict(found.xnnpack),
    }


def _maps(path: Path, examples: Sequence[Example], labels: Sequence[str]) -> dict[str, float]:
    maps = {}
    for kernels, use_xnnpack in _KERNELS.items():
        detector = TFLiteDetector(path, use_xnnpack=use_xnnpack)
        metrics, _ = evaluate(detector, examples, labels=labels)
        maps[kernels] = metrics.mAP
    return maps


def _markdown(result: dict[str, Any]) -> str:
    height, width = result["input_hw"]
    rows = []
    for name, file in result["files"].items():
        delegate, refused = file["xnnpack"], file.get("refused_with_nms")
        rows.append(
            (
                file["target"],
                name,
                f"{file['input']} / {file['outputs'][0][-1]}",
                str(sum(file["operators"].values())),
                f"{delegate['partitions']} ({delegate['nodes_delegated']} operators)",
                f"{file['bytes'] / 1000:.0f} kB",
                f"{file['mAP']['xnnpack']:.4f}",
                f"{file['mAP']['builtin']:.4f}",
                f"{file['map_difference']:.4f}" if refused else "",
                f"{refused['operators']} of {refused['of']}" if refused else "",
            )
        )
    head = (
        "target",
        "file",
        "input / output",
        "operators",
        "XNNPACK partitions",
        "size",
        "mAP, XNNPACK",
        "mAP, own kernels",
        "from the file with NMS",
        "refused in that file",
    )
    return (
        "# Files for each target\n\n"
        f"Written by `{result['command']}`: `{result['model']}`, {height}x{width} px, "
        f"{result['images']} images of the split `{result['split']}`, int8 by "
        f"{result['quantization'].upper()}. *From the file with NMS* is the larger difference of "
        f"mAP with the two kinds of kernels; asked is {result['asked']} at the most. *Refused in "
        "that file* counts its operators that break the target's rules.\n\n"
        + markdown_table(head, rows)
    )


if __name__ == "__main__":
    main()
