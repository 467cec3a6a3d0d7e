"""Spoil trainings in known ways, and see whether `doctor RUN` names what was done.

    python benchmarks/sabotage.py train [SABOTAGE ...] --runs DIR [--sets chess,vehicles5]
    python benchmarks/sabotage.py judge --runs DIR [--sets chess,vehicles5]
    python benchmarks/sabotage.py prove SABOTAGE --sets SET --runs DIR
    python benchmarks/sabotage.py table

`train` trains every (sabotage, set) of `sabotage.toml` that has no result yet, examines it and adds
what was suspected to benchmarks/results/sabotage.json; start it again to go on, or start one for
each core (`taskset -c N`). `judge` examines the RUNs that are there once more, after a threshold
has changed. `prove` mends the first suspect of RUNs and measures the gain. `table` writes
benchmarks/results/sabotage.md.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from ablation import (
    HERE,
    Cell,
    add_result,
    claim,
    commit_of,
    read_results,
    run_command,
    runs_option,
    sets_option,
)

from edge_retina.config import load_config, read_toml
from edge_retina.datasets import load_dataset
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.schema import Dataset, Example
from edge_retina.files import write_text
from edge_retina.report.markdown import markdown_table
from edge_retina.run_directory import RunDirectory

_PLAN = HERE / "sabotage.toml"
_RESULTS = HERE / "results" / "sabotage.json"
# Spoilt copies have no test split; a calibration set goes with the splits of its config.
_USUAL = (
    "train.eval_every_epochs=1000",
    "train.tensorboard=false",
    "data.test_split=",
    "quantize.calibration_set=",
)
_SHIFT = 0.15  # of a box's sides
_PROOF = "proof"  # the study of the gains
_SPOILT = 0.3  # share of the objects


@click.group()
def main() -> None:
    """Spoil trainings and examine them."""


@main.command()
@click.argument("names", nargs=-1, metavar="[SABOTAGE ...]")
@runs_option
@sets_option
def train(names: tuple[str, ...], runs: Path, sets: str) -> None:
    """Train and examine what has no result yet."""
    plan, runs = read_toml(_PLAN), runs.resolve()
    for cell in cells(plan, names, sets):
        if cell.key in read_results(_RESULTS):
            continue
        with claim(runs / f"{cell.key}.lock") as free:
            if free:
                train_spoilt(cell, plan, runs)
                add_result(_RESULTS, cell, judged(runs / cell.key), lock=runs / "results.lock")


@main.command()
@runs_option
@sets_option
def judge(runs: Path, sets: str) -> None:
    """Examine the RUNs that are there once more."""
    runs = runs.resolve()
    for cell in cells(read_toml(_PLAN), (), sets):
        if RunDirectory(runs / cell.key).config_file.is_file():
            add_result(_RESULTS, cell, judged(runs / cell.key), lock=runs / "results.lock")


@main.command()
@click.argument("names", nargs=-1, required=True, metavar="SABOTAGE ...")
@runs_option
@sets_option
def prove(names: tuple[str, ...], runs: Path, sets: str) -> None:
    """Mend the first suspect of RUNs that are there, and measure the gain."""
    runs = runs.resolve()
    for cell in cells(read_toml(_PLAN), names, sets):
        proof = dataclasses.replace(cell, study=_PROOF)
        if proof.key not in read_results(_RESULTS):
            (figures,) = examined(runs / cell.key, "--prove", 1)["proofs"]
            figures["commit"] = commit_of(HERE.parent)
            add_result(_RESULTS, proof, figures, lock=runs / "results.lock")


@main.command()
def table() -> None:
    """Write the table from the results."""
    text = report(read_toml(_PLAN), read_results(_RESULTS))
    write_text(_RESULTS.with_suffix(".md"), text)
    click.echo(text)


def cells(plan: dict[str, Any], names: tuple[str, ...], sets: str) -> list[Cell]:
    """Return the trainings that the command line asks for."""
    return [
        Cell("sabotage", name, set_name, 0)
        for set_name in plan["sets"]
        for name in plan["sabotages"]
        if (not names or name in names) and (not sets or set_name in sets.split(","))
    ]


def train_spoilt(cell: Cell, plan: dict[str, Any], runs: Path) -> None:
    """Train a cell; one whose training fails is examined as it was left."""
    sabotage = plan["sabotages"][cell.variant]
    config = HERE / "configs" / f"{cell.set_name}.toml"
    settings = [
        *_USUAL,
        *plan["sets"][cell.set_name]["set"],
        *sabotage.get("set", []),
        f"train.steps={sabotage.get('steps', plan['steps'])}",
        "seed=0",
    ]
    if "labels" in sabotage:
        data = runs / "data" / cell.set_name / cell.variant
        write_spoilt(config, settings, sabotage["labels"], data)
        settings.append(f"data.path={json.dumps(str(data))}")
    click.echo(f"{cell.key}: {' '.join(settings)}")
    overrides = [part for text in settings for part in ("--set", text)]
    try:
        run_command("train", config, "--out", runs / cell.key, *overrides)
    except subprocess.CalledProcessError:
        click.echo(f"{cell.key}: the training failed")


def write_spoilt(config: Path, settings: list[str], how: str, out: Path) -> None:
    """Write a copy of a config's training and validation data with spoilt labels."""
    if out.exists():
        return
    data = load_config(config, overrides=settings).data
    dataset = load_dataset(data.path, skip_invalid=True, seed=0)
    names = (data.train_split, data.val_split)
    kept = {name: dataset.splits[name] for name in names}
    spoil = SPOILERS[how]
    spoilt = spoil(dataclasses.replace(dataset, splits=kept), np.random.default_rng(0))
    write_dataset(spoilt, out, layout="coco")


def shift(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Move every box to the right and down."""

    def change(example: Example) -> Example:
        boxes = example.boxes_px
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        limits = np.array(example.image_hw * 2)
        moved = np.clip(boxes + _SHIFT * sides, 0, limits).astype(np.float32)
        kept = (moved[:, 2:] - moved[:, :2]).min(axis=1, initial=np.inf) > 1
        return _chosen(dataclasses.replace(example, boxes_px=moved), kept)

    return _changed(dataset, change)


def shuffle(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Give objects another class."""

    def change(example: Example) -> Example:
        count, classes = len(dataset.labels), example.classes
        others = (classes + rng.integers(1, count, len(classes))) % count
        spoilt = rng.random(len(classes)) < _SPOILT
        return dataclasses.replace(
            example, classes=np.where(spoilt, others, classes).astype(np.int32)
        )

    return _changed(dataset, change)


def drop(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Leave boxes out."""
    return _changed(
        dataset, lambda example: _chosen(example, rng.random(len(example.classes)) >= _SPOILT)
    )


def rename(dataset: Dataset, rng: np.random.Generator) -> Dataset:
    """Give half of the objects of the most frequent class another name."""
    classes = np.concatenate([e.classes for split in dataset.splits.values() for e in split])
    frequent, new = int(np.bincount(classes).argmax()), len(dataset.labels)

    def change(example: Example) -> Example:
        half = (example.classes == frequent) & (rng.random(len(example.classes)) < 0.5)
        return dataclasses.replace(
            example, classes=np.where(half, new, example.classes).astype(np.int32)
        )

    labels = (*dataset.labels, f"a {dataset.labels[frequent]}")
    return dataclasses.replace(_changed(dataset, change), labels=labels)


SPOILERS: dict[str, Callable[[Dataset, np.random.Generator], Dataset]] = {
    "shift": shift,
    "shuffle": shuffle,
    "drop": drop,
    "rename": rename,
}


def _changed(dataset: Dataset, change: Callable[[Example], Example]) -> Dataset:
    splits = {name: tuple(map(change, items)) for name, items in dataset.splits.items()}
    return dataclasses.replace(dataset, splits=splits)


def _chosen(example: Example, kept: np.ndarray) -> Example:
    fields = ("boxes_px", "classes", "crowd", "difficult")
    return dataclasses.replace(example, **{name: getattr(example, name)[kept] for name in fields})


def judged(run: Path) -> dict[str, Any]:
    """Return what `doctor RUN` suspects, with its costs, and how good the detector is."""
    tree = examined(run)
    measured = {split: figures["mAP"] for split, figures in tree["measured"].items()}
    return {
        "suspected": [item["code"] for item in tree["suspicions"]],
        "costs": [item["cost"] for item in tree["suspicions"]],
        "mAP": measured,
        "commit": commit_of(HERE.parent),
    }


def examined(run: Path, *options: object) -> dict[str, Any]:
    """Return what `doctor RUN` finds."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "doctor.json"
        run_command("doctor", run, "--json", file, *options)
        tree: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return tree


def report(plan: dict[str, Any], results: dict[str, Any]) -> str:
    """Return the Markdown: the rank of each planted cause on each set, and how often it is 1."""
    parts = [f"# {plan['title']}\n\n{plan['text'].strip()}\n"]
    for title, sets in (
        ("Thresholds were fixed on these", plan["calibrated"]),
        ("And tried on these", plan["tried"]),
    ):
        known = [name for name in sets if any(f"/{name}/" in key for key in results)]
        if not known:
            continue
        parts.append(f"## {title}\n")
        rows, ranks = [], []
        for name, sabotage in plan["sabotages"].items():
            cells_of_row = []
            for set_name in known:
                result = results.get(Cell("sabotage", name, set_name, 0).key)
                cells_of_row += ["", "", ""] if result is None else _cells(result, sabotage)
                if result is not None and sabotage["cause"]:
                    ranks.append(rank_of(sabotage["cause"], result["suspected"]))
            rows.append([sabotage["label"], *cells_of_row])
        header = [part for name in known for part in (name, "rank", "suspected")]
        parts.append(markdown_table(["planted", *header], rows))
        parts.append(
            f"Named first: {sum(rank == 1 for rank in ranks)} of {len(ranks)}; among the first "
            f"three: {sum(rank is not None and rank <= 3 for rank in ranks)}.\n"
        )
    proofs = [_proof_row(key, plan, x) for key, x in results.items() if key.startswith(_PROOF)]
    if proofs:
        parts.append("## What mending gains\n")
        parts.append(
            "`doctor RUN --prove 1`: the first suspect is mended in short trainings of two seeds "
            "each, and in new decodings where nothing needs to be trained.\n"
        )
        header = [
            "planted",
            "set",
            "proven cause",
            "estimated",
            "gain",
            "noise",
            "steps",
            "verdict",
        ]
        parts.append(markdown_table(header, proofs))
    return "\n".join(parts)


def _proof_row(key: str, plan: dict[str, Any], proof: dict[str, Any]) -> list[str]:
    _, name, set_name, _ = key.split("/")
    figures = (f"{100 * proof[item]:.1f}" for item in ("estimate", "gain", "noise"))
    label = plan["sabotages"][name]["label"]
    return [label, set_name, proof["code"], *figures, str(proof["steps"]), proof["verdict"]]


def rank_of(cause: str, suspected: list[str]) -> int | None:
    """Return the place of a cause, from 1; None if it isn't suspected."""
    return suspected.index(cause) + 1 if cause in suspected else None


def _cells(result: dict[str, Any], sabotage: dict[str, Any]) -> list[str]:
    scores = list(result["mAP"].values())
    rank = rank_of(sabotage["cause"], result["suspected"]) if sabotage["cause"] else None
    suspected = ", ".join(result["suspected"]) or "nothing"
    return [f"{scores[-1]:.3f}" if scores else "–", str(rank) if rank else "–", suspected]


if __name__ == "__main__":
    main()
