"""Spoil 5 % of the labels in four known ways, and see which of them `doctor --labels` lists.

    python benchmarks/label_errors.py judge SET --runs DIR [--spoilt]
    python benchmarks/label_errors.py table
    python benchmarks/label_errors.py pictures SET ... --runs DIR --out FILE.jpg

Without --spoilt the labels are judged as they are, and DIR/SET/found.html shows what is suspicious
in the set itself. With it, the training split is copied with spoilt labels first, and precision and
recall of the list are added to benchmarks/results/label_errors.json. A suspect is right if it names
the planted kind and place. Precision is that of the first N suspects, N being the number of planted
errors; errors that the set has itself count as wrong there.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from ablation import HERE, commit_of, run_command, runs_option

from edge_retina.boxes.iou import pairwise_iou
from edge_retina.config import load_config
from edge_retina.datasets import load_dataset
from edge_retina.datasets.saving import write_dataset
from edge_retina.datasets.schema import Example
from edge_retina.doctor.labels.report import picture_of
from edge_retina.doctor.labels.suspects import (
    KIND_TEXTS,
    MISPLACED,
    MISSED,
    SPURIOUS,
    SWAPPED,
    Suspect,
)
from edge_retina.files import atomic_path, write_json, write_text
from edge_retina.report.markdown import markdown_table

_RESULTS = HERE / "results" / "label_errors.json"
_SPOILT = 0.05  # of the objects, a quarter of them in each way
_SAME_PLACE_IOU = 0.5
_MOVED = 0.35  # of a box's sides: IoU about .3
_TILE, _CAPTION, _COLUMNS, _WHITE = 200, 20, 5, (255, 255, 255)  # px of a picture in the docs
_SETTINGS = ("train.steps=1000", "train.tensorboard=false", "train.probe_images=0")


@click.group()
def main() -> None:
    """Judge the labels of a set, or write the table."""


@main.command("judge")
@click.argument("name", metavar="SET")
@runs_option
@click.option("--spoilt", is_flag=True, help="Spoil labels first.")
def judge(name: str, runs: Path, spoilt: bool) -> None:
    """Judge the labels of a set of benchmarks/configs."""
    config = HERE / "configs" / f"{name}.toml"
    loaded = load_config(config)
    data, planted = Path(loaded.data.path), []
    work = runs.resolve() / (f"{name}-spoilt" if spoilt else name)
    if spoilt:
        data = work / "data"
        planted = write_spoilt(loaded.data.path, data, truth=work / "planted.json")
    model = loaded.to_dict()["model"]
    settings = [*_SETTINGS, "data.skip_invalid=true"]
    settings += [f"model.{key}={json.dumps(value)}" for key, value in model.items()]
    found, page = work / "found.json", work / "found.html"
    overrides = [part for text in settings for part in ("--set", text)]
    run_command(
        *("doctor", data, "--labels", "--out", work / "folds"),
        *("--json", found, "--html", page, *overrides),
    )
    if spoilt:
        tree = json.loads(found.read_text(encoding="utf-8"))
        results = _read()
        results[name] = {**score(planted, tree["suspects"]), "commit": commit_of(HERE.parent)}
        write_json(_RESULTS, {"schema_version": 1, "results": results})


@main.command()
def table() -> None:
    """Write the table from the results."""
    rows = [
        [name, kind, *(str(figures[kind][key]) for key in ("planted", "found_first", "found"))]
        for name, figures in _read().items()
        for kind in KIND_TEXTS
    ]
    totals = [
        f"{name}: {figures['planted']} planted, {figures['suspects']} suspects; of the first "
        f"{figures['planted']} suspects {figures['precision']:.0%} are planted errors."
        for name, figures in _read().items()
    ]
    header = ["", "kind", "planted", "among the first N", "in the list"]
    text = "\n".join(
        [
            "# Does `doctor DATA --labels` find wrong labels?\n",
            "5 % of the objects were spoilt in four ways. N is the number of planted errors.\n",
            markdown_table(header, rows),
            *totals,
            "",
            "Written by `python benchmarks/label_errors.py table`.\n",
        ]
    )
    write_text(_RESULTS.with_suffix(".md"), text)
    click.echo(text)


@main.command()
@click.argument("names", metavar="SET", nargs=-1, required=True)
@runs_option
@click.option("--first", default=10, show_default=True, help="So many suspects of each set.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def pictures(names: tuple[str, ...], runs: Path, first: int, out: Path) -> None:
    """Draw the first suspects of untouched sets, row by row, as one picture."""
    tiles = []
    for name in names:
        config = load_config(HERE / "configs" / f"{name}.toml")
        dataset = load_dataset(config.data.path, skip_invalid=True, seed=0)
        by_id = {item.image_id: item for split in dataset.splits.values() for item in split}
        tree = json.loads((runs / name / "found.json").read_text(encoding="utf-8"))
        for number, item in enumerate(tree["suspects"][:first], 1):
            suspect = Suspect(**item)
            image = picture_of(suspect, by_id[suspect.image_id])
            tiles.append(_captioned(image, f"{name} {number}: {suspect.kind}"))
    rows = [np.hstack(tiles[place : place + _COLUMNS]) for place in range(0, len(tiles), _COLUMNS)]
    widest = max(row.shape[1] for row in rows)
    rows = [
        cv2.copyMakeBorder(row, 0, 0, 0, widest - row.shape[1], cv2.BORDER_CONSTANT, value=_WHITE)
        for row in rows
    ]
    with atomic_path(out) as temporary:
        cv2.imwrite(str(temporary), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    click.echo(out)


def _captioned(image: np.ndarray, text: str) -> np.ndarray:
    """Fit an image into a square tile with a caption under it."""
    tile = np.full((_TILE + _CAPTION, _TILE, 3), 255, np.uint8)
    scale = (_TILE - 4) / max(image.shape[:2])
    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    shrinks = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile[2 : 2 + height, 2 : 2 + width] = cv2.resize(image, (width, height), interpolation=shrinks)
    place = (4, _TILE + _CAPTION - 6)
    cv2.putText(tile, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def write_spoilt(source: str, out: Path, *, truth: Path) -> list[dict[str, Any]]:
    """Write the training split with spoilt labels; return what was planted."""
    if truth.exists():
        planted: list[dict[str, Any]] = json.loads(truth.read_text(encoding="utf-8"))
        return planted
    dataset = load_dataset(source, skip_invalid=True, seed=0)
    rng, planted = np.random.default_rng(0), []
    count = len(dataset.labels)
    spoilt = tuple(_spoil(one, count, rng, planted) for one in dataset.splits["train"])
    write_dataset(dataclasses.replace(dataset, splits={"train": spoilt}), out, layout="coco")
    truth.write_text(json.dumps(planted), encoding="utf-8")
    return planted


def _spoil(
    example: Example, classes: int, rng: np.random.Generator, planted: list[dict[str, Any]]
) -> Example:
    """Spoil some objects of a picture, and note each in `planted`."""
    boxes, labels = example.boxes_px.copy(), example.classes.copy()
    kept = np.ones(len(labels), bool)
    height, width = example.image_hw
    extra = []
    for place in np.flatnonzero(~example.ignored):
        if rng.random() >= _SPOILT:
            continue
        box, kind = boxes[place].copy(), rng.choice(list(KIND_TEXTS))
        if kind == MISSED:
            kept[place] = False
        elif kind == SWAPPED and classes > 1:
            labels[place] = (labels[place] + rng.integers(1, classes)) % classes
        elif kind == SPURIOUS:
            size = box[2:] - box[:2]
            corner = rng.uniform(0, np.maximum((height, width) - size, 1))
            box = np.concatenate([corner, corner + size]).astype(np.float32)
            if pairwise_iou(box[None], boxes).max(initial=0) > 0.1:
                continue
            extra.append((box, labels[place]))
        else:
            kind = MISPLACED
            shift = np.tile((box[2:] - box[:2]) * rng.choice([-_MOVED, _MOVED], 2), 2)
            box = np.clip(box + shift, 0, (height, width) * 2).astype(np.float32)
            boxes[place] = box
        planted.append({"kind": str(kind), "image_id": example.image_id, "box": box.tolist()})
    added = np.array([box for box, _ in extra], np.float32).reshape(-1, 4)
    return dataclasses.replace(
        example,
        boxes_px=np.concatenate([boxes[kept], added]),
        classes=np.concatenate([labels[kept], [label for _, label in extra]]).astype(np.int32),
        crowd=np.append(example.crowd[kept], np.zeros(len(extra), bool)),
        difficult=np.append(example.difficult[kept], np.zeros(len(extra), bool)),
    )


def score(planted: list[dict[str, Any]], suspects: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how many planted errors are listed, by kind, and the precision of the list."""
    first = suspects[: len(planted)]
    found, found_first = (_found(planted, items) for items in (suspects, first))
    kinds = Counter(item["kind"] for item in planted)
    return {
        "planted": len(planted),
        "suspects": len(suspects),
        "precision": len(found_first) / max(len(first), 1),
        **{
            kind: {
                "planted": kinds[kind],
                "found": sum(planted[number]["kind"] == kind for number in found),
                "found_first": sum(planted[number]["kind"] == kind for number in found_first),
            }
            for kind in KIND_TEXTS
        },
    }


def _found(planted: list[dict[str, Any]], suspects: list[dict[str, Any]]) -> set[int]:
    """Return the numbers of the planted errors that are among some suspects."""
    found = set()
    for number, error in enumerate(planted):
        for item in suspects:
            box = item["proposed_px"] if error["kind"] == MISSED else item["box_px"]
            if (
                item["kind"] != error["kind"]
                or item["image_id"].split("/")[-1] != error["image_id"].split("/")[-1]
            ):
                continue
            iou = pairwise_iou(np.array([error["box"]]), np.array([box]))[0, 0]
            if iou >= _SAME_PLACE_IOU:
                found.add(number)
                break
    return found


def _read() -> dict[str, Any]:
    if not _RESULTS.exists():
        return {}
    results: dict[str, Any] = json.loads(_RESULTS.read_text(encoding="utf-8"))["results"]
    return results


if __name__ == "__main__":
    main()
