"""What thirty labelled pictures are enough for: the detector of docs/tutorial.md.

    python benchmarks/thirty_pictures.py ../shared/data/raccoon --work runs/thirty \
        --json benchmarks/results/thirty_pictures.json

Thirty pictures of a Pascal VOC set are taken by the hashes of their names. `doctor` writes the
config, `run` trains and exports. The int8 file is then measured on pictures that nobody trained on:
the `train` part of the rest, which is split by a hash of names too. What is there isn't made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import write_json

_TAKEN = 30


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--work", type=click.Path(path_type=Path), required=True)
@click.option("--set", "overrides", multiple=True, help="Of the training, such as its weights.")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(data: Path, work: Path, overrides: tuple[str, ...], target: Path | None) -> None:
    """Split, train, measure, tell."""
    mine, others, config, run = (
        work / name for name in ("raccoons", "others", "raccoons.toml", "runs/raccoons")
    )
    if not others.exists():
        _split(data, mine, others)
    if not config.exists():
        _edge_retina("doctor", mine, "--write-config", config)
    sets = [word for item in ("name=raccoons", *overrides) for word in ("--set", item)]
    if not (run / "report.html").exists():
        _edge_retina("run", config, "--out", run, *sets)
    measured = {}
    for name, model in (("int8", run / "export" / "raccoons_int8.tflite"), ("float", run)):
        file = work / f"{name}.json"
        _edge_retina("evaluate", model, others, "--split", "train", "--json", file)
        measured[name] = _figures(json.loads(file.read_text(encoding="utf-8")))
        click.echo(f"{name}: {measured[name]}")
    if target is not None:
        steps = json.loads((run / "stages" / "train.json").read_text(encoding="utf-8"))
        document = {
            "schema_version": 1,
            "environment": dataclasses.asdict(read_environment()),
            "pictures": len(list((mine / "images").iterdir())),
            "train": steps,
            "measured_on_others": measured,
        }
        write_json(target, document)


def _split(data: Path, mine: Path, others: Path) -> None:
    images = sorted(
        (data / "images").iterdir(),
        key=lambda path: hashlib.sha256(path.name.encode()).hexdigest(),
    )
    for directory, part in ((mine, images[:_TAKEN]), (others, images[_TAKEN:])):
        for name in ("images", "annotations"):
            (directory / name).mkdir(parents=True)
        for path in part:
            shutil.copy(path, directory / "images")
            shutil.copy(data / "annotations" / f"{path.stem}.xml", directory / "annotations")


def _edge_retina(*arguments: object) -> None:
    command = [sys.executable, "-m", "edge_retina.cli.main", *map(str, arguments)]
    subprocess.run(command, check=True)


def _figures(result: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: result[name] for name in ("mAP", "mAP50", "images")},
        "mAP_interval": result["intervals"]["mAP"],
        "mAP50_interval": result["intervals"]["mAP50"],
    }


if __name__ == "__main__":
    main()
