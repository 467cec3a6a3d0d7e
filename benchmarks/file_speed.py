"""How fast are our files: before and after a change, float beside int8, and where the time goes.

    python benchmarks/speed_files.py --out before     # in a checkout of the older version
    python benchmarks/speed_files.py --out after      # in this one
    python benchmarks/file_speed.py before after --json benchmarks/results/file_speed.json

Each directory has CLASSES_PRECISION.tflite, e.g. 80_int8.tflite. All files are timed in turn, round
by round, with XNNPACK; ratios are of each round, with a 95 % interval over the rounds. Beside each
whole file run parts of it, cut out as models of their own: what XNNPACK takes, all other operators,
and the network without input step, decoding and NMS. The profile of every file, by part and by
operator, follows.
Beside the JSON a Markdown file with the tables is written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.piece_timing import Kernels, TimedPiece, sample_tensors
from edge_retina.benchmark.profile import noise_picture, profile_model
from edge_retina.benchmark.statistics import interleaved_ratio
from edge_retina.files import sha256_file, write_json, write_text
from edge_retina.runtime.cutting import ModelCutter, Piece
from edge_retina.runtime.image import normalize
from edge_retina.runtime.ops import count_delegate_partitions, delegate_partitions
from edge_retina.runtime.parts import DECODE, INPUT, NMS, parts_of

_ROUNDS, _SLICE_MS = 15, 400.0
_OUTSIDE_BARS = {3: 0.05, 80: 0.12}  # of invoke, for so many classes; from issue 13
_INT8_BAR = 0.9  # of float32, on a machine with VNNI


@dataclass(frozen=True)
class File:
    """A file that is timed.

    Attributes:
        path: of it.
        version: name of its directory.
        classes: how many it tells apart.
        precision: "float32" or "int8".
    """

    path: Path
    version: str
    classes: int
    precision: str

    @property
    def name(self) -> str:
        """Unique in one run."""
        return f"{self.version}/{self.path.stem}"


class TimedFile:
    """A file with the pieces that are timed beside it."""

    def __init__(self, file: File, threads: int) -> None:
        content = file.path.read_bytes()
        cutter = ModelCutter(content, where=str(file.path))
        graph = cutter.graph
        kernels = Kernels("xnnpack", threads)
        (tensor,) = graph.input_tensors
        pixels = noise_picture((tensor.shape[1], tensor.shape[2]), seed=0)[np.newaxis]
        picture = pixels if tensor.dtype == "uint8" else normalize(pixels)
        values = sample_tensors(content, [picture], threads=threads, where=str(file.path))
        interpreter = kernels.open(content)
        interpreter.allocate_tensors()
        partitions = delegate_partitions(interpreter)
        delegated = sorted(frozenset[int]().union(*partitions))
        left = set(range(len(graph.operators))) - set(delegated) - cutter.constant
        parts = parts_of(graph)
        network = [
            place
            for place, part in enumerate(parts)
            if part not in (INPUT, DECODE, NMS) and place not in cutter.constant
        ]
        everything = tuple(range(len(graph.operators)))
        whole = Piece(content, everything, graph.inputs, graph.outputs)
        self.delegate = count_delegate_partitions(interpreter)
        self.network_partitions = sum(not part.isdisjoint(network) for part in partitions)
        scores = values[graph.outputs[3]]
        self.detections = float(scores.ravel()[0])
        self.pieces = {
            "whole": TimedPiece(whole, values, kernels),
            "delegated": TimedPiece(cutter.cut(delegated), values, kernels),
            "network": TimedPiece(cutter.cut(network), values, kernels),
            "outside": TimedPiece(cutter.cut(left), values, kernels),
        }


@click.command()
@click.argument(
    "directories", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
@click.option("--threads", default=1, show_default=True)
@click.option("--rounds", default=_ROUNDS, show_default=True)
@click.option("--slice-ms", default=_SLICE_MS, show_default=True, help="Of each file in a round.")
@click.option("--profiles/--no-profiles", default=True, show_default=True)
@click.option("--json", "target", required=True, type=click.Path(path_type=Path))
def main(
    directories: tuple[Path, ...],
    threads: int,
    rounds: int,
    slice_ms: float,
    profiles: bool,
    target: Path,
) -> None:
    """Time the files of all DIRECTORIES in one interleaved run."""
    files = [file for directory in directories for file in _files(directory)]
    environment = read_environment()
    timed = {file.name: TimedFile(file, threads) for file in files}
    samples: dict[str, dict[str, list[list[float]]]] = {
        name: {piece: [] for piece in item.pieces} for name, item in timed.items()
    }
    for number in range(rounds):
        for name, item in timed.items():
            for piece, stage in item.pieces.items():
                samples[name][piece].append([stage.median_ms(slice_ms)])
        click.echo(f"round {number + 1} of {rounds}", err=True)
    result: dict[str, Any] = {
        "schema_version": 1,
        "command": f"python benchmarks/file_speed.py {' '.join(item.name for item in directories)}"
        f" --threads {threads} --rounds {rounds} --slice-ms {slice_ms:g}",
        "environment": dataclasses.asdict(environment),
        "threads": threads,
        "files": {file.name: _row(file, timed[file.name], samples[file.name]) for file in files},
        "ratios": _ratios(files, samples),
    }
    del timed
    result["profiles"] = {
        file.name: profile_model(file.path, threads=threads).to_dict()
        for file in (files if profiles else ())
    }
    write_json(target, result)
    table = _markdown(result)
    write_text(target.with_suffix(".md"), table)
    click.echo(table)


def _files(directory: Path) -> list[File]:
    found = []
    for path in sorted(directory.glob("*_*.tflite")):
        classes, _, precision = path.stem.partition("_")
        found.append(File(path, directory.name, int(classes), precision))
    if not found:
        raise click.UsageError(f"{directory}: no CLASSES_PRECISION.tflite in it")
    return sorted(found, key=lambda file: (file.classes, file.precision))


def _row(
    file: File, timed: TimedFile, samples: Mapping[str, Sequence[Sequence[float]]]
) -> dict[str, Any]:
    rounds = {name: [times[0] for times in series] for name, series in samples.items()}
    outside = [
        1 - inner / whole for inner, whole in zip(rounds["delegated"], rounds["whole"], strict=True)
    ]
    alone = [piece / whole for piece, whole in zip(rounds["outside"], rounds["whole"], strict=True)]
    beyond = [
        1 - inner / whole for inner, whole in zip(rounds["network"], rounds["whole"], strict=True)
    ]
    return {
        "sha256": sha256_file(file.path),
        "bytes": file.path.stat().st_size,
        "classes": file.classes,
        "precision": file.precision,
        "detections": timed.detections,
        "delegate": dataclasses.asdict(timed.delegate),
        "network_partitions": timed.network_partitions,
        "rounds_ms": rounds,
        "median_ms": {name: float(np.median(series)) for name, series in rounds.items()},
        "outside_delegate": float(np.median(outside)),
        "outside_alone": float(np.median(alone)),
        "outside_network": float(np.median(beyond)),
    }


def _ratios(
    files: Sequence[File], samples: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
) -> list[dict[str, Any]]:
    """Compare int8 with float32 of one version, and each version with the first."""
    first = files[0].version
    pairs = []
    for file in files:
        for other in files:
            same_net = file.classes == other.classes
            is_int8_to_float = file.version == other.version and (
                file.precision,
                other.precision,
            ) == ("int8", "float32")
            is_newer = file.version != first == other.version and file.precision == other.precision
            if same_net and (is_int8_to_float or is_newer):
                pairs.append((file, other))
    return [
        {
            "file": file.name,
            "to": other.name,
            **dataclasses.asdict(
                interleaved_ratio(samples[file.name]["whole"], samples[other.name]["whole"])
            ),
        }
        for file, other in pairs
    ]


def _markdown(result: Mapping[str, Any]) -> str:
    environment = result["environment"]
    packages = environment["packages"]
    lines = [
        "# Speed of our own files",
        "",
        f"Written by `{result['command']}`, on {environment['cpu']}, {environment['cores']} cores, "
        f"LiteRT {packages['ai-edge-litert']}, {result['threads']} thread(s); other work kept "
        f"{environment['load_average']:.1f} cores busy at the start. Random weights, 320 px, "
        "MobileNetV2 1.0, 64 channels; medians over interleaved rounds.",
        "",
        "| file | invoke, ms | in XNNPACK, ms | outside, timed alone | outside, by difference "
        "| outside the network, by difference | bar | partitions (of the network) |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in result["files"].items():
        times, bar = row["median_ms"], _OUTSIDE_BARS.get(row["classes"])
        lines.append(
            f"| {name} | {times['whole']:.2f} | {times['delegated']:.2f} "
            f"| {row['outside_alone']:.1%} | {row['outside_delegate']:.1%} "
            f"| {row['outside_network']:.1%} "
            f"| {'' if bar is None else f'≤ {bar:.0%}'} "
            f"| {row['delegate']['partitions']} ({row['network_partitions']}) |"
        )
    lines += ["", "| ratio of invoke | value | 95 % interval |", "| --- | --- | --- |"]
    for ratio in result["ratios"]:
        interval = "" if ratio["low"] is None else f"{ratio['low']:.3f} to {ratio['high']:.3f}"
        lines.append(f"| {ratio['file']} / {ratio['to']} | {ratio['value']:.3f} | {interval} |")
    lines.append(f"\nThe bar for int8 / float32 is {_INT8_BAR}.")
    for name, profile in result["profiles"].items():
        lines += ["", f"## {name}", "", *_profile_lines(profile)]
    return "\n".join(lines) + "\n"


def _profile_lines(profile: Mapping[str, Any]) -> list[str]:
    whole = profile["whole"]["ms"]
    lines = [
        f"Whole {whole:.2f} ms; operators timed alone add up to {profile['explained']:.0%} of it.",
        "",
        "| part | ms | of whole | MMAC | GMAC/s | GB/s | of roof |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for part in profile["parts"]:
        work = part["work"]
        lines.append(
            f"| {part['name']} | {work['ms']:.3f} | {work['ms'] / whole:.1%} "
            f"| {work['macs'] / 1e6:.1f} | {work['gmacs_per_s'] or 0:.0f} "
            f"| {work['gbytes_per_s'] or 0:.1f} | {part['roof_ms'] / work['ms']:.0%} |"
        )
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for op in profile["operators"]:
        groups.setdefault((op["name"], op["dtype"]), []).append(op)
    ranked = sorted(groups.items(), key=lambda item: -sum(op["work"]["ms"] or 0 for op in item[1]))
    lines += ["", "| operator | type | count | ms | GMAC/s | of roof |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for (name, dtype), group in ranked[:10]:
        ms = sum(op["work"]["ms"] or 0 for op in group)
        macs, roof = (sum(op["work"]["macs"] for op in group), sum(op["roof_ms"] for op in group))
        lines.append(
            f"| {name} | {dtype} | {len(group)} | {ms:.3f} | {macs / max(ms, 1e-9) / 1e6:.0f} "
            f"| {roof / max(ms, 1e-9):.0%} |"
        )
    ceilings = profile["ceilings"]
    rates = ", ".join(f"{rate:.0f} GMAC/s {kind}" for kind, rate in ceilings["gmacs_per_s"].items())
    lines += ["", f"Roof: {rates}; {ceilings['gbytes_per_s']:.0f} GB/s."]
    return lines


if __name__ == "__main__":
    main()
