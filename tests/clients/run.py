"""Load exported files in every client and compare what they find with `edge-retina predict`.

Run: `make test-clients EXPORT=runs/mine/export`, which calls `python -m tests.clients.run`. Two
sets of pictures are compared: the originals, which a client resizes its own way, and the same at
the network's size, where it has nothing to resize. Clients that leave resizing to the app must
agree on both; those that resize themselves on the second. Then every client is given the detector
of `class_names.py`, whose classes, names and boxes are known beforehand.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_retina.files import sha256_file, write_json
from edge_retina.runtime.detector import TFLiteDetector
from tests.clients.class_names import LABELS, draw_pictures, names_at, write_models
from tests.clients.client import (
    CLIENTS,
    Client,
    ClientError,
    run_client,
    target_of,
    written_command,
)
from tests.clients.comparison import compare
from tests.clients.document import full_table, write_table
from tests.clients.environments import NoEnvironmentError
from tests.clients.pictures import gather, stretched

_PREDICT_SCORE = "0.2"
_SAME_OBJECTS = 0.95

Rows = dict[str, list[dict[str, Any]]]


def main() -> int:
    """Run all clients; return 0 if every one that could be run agrees."""
    args = _arguments()
    cells: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        gather([(Path(path), int(count)) for path, count in args.pictures], work / "original")
        for model in args.models:
            clients = [client for client in CLIENTS if client.takes(model)]
            if not clients:
                print(f"no client here takes {model.name}, which is for {target_of(model)}")
                continue
            stretched(work / "original", work / model.stem, TFLiteDetector(model).input_hw)
            sets = {"original": work / "original", "network": work / model.stem}
            backends = {client.backend(model) for client in clients}
            expected = {
                backend: {
                    name: _reference(model, path, work, backend) for name, path in sets.items()
                }
                for backend in sorted(backends)
            }
            for client in clients:
                cells.append(_cell(client, model, sets, expected[client.backend(model)], work))
                print(_line(cells[-1]), flush=True)
        names = [] if args.update else _class_names(work / "names")
    document: dict[str, Any] = {
        "schema_version": 1,
        "models": {model.name: sha256_file(model) for model in args.models},
        "pictures": [[Path(path).name, int(count)] for path, count in args.pictures],
        "cells": cells,
        "class_names": names,
    }
    if args.update:
        document = _updated(json.loads(args.json.read_text()), document)
    if args.json:
        write_json(args.json, document)
    if args.doc:
        write_table(args.doc, full_table(document))
    return int(any(cell["verdict"] == "red" for cell in [*cells, *names]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, help=".tflite files")
    parser.add_argument(
        "--pictures",
        nargs=2,
        action="append",
        required=True,
        metavar=("DIR", "COUNT"),
        help="that many pictures of a directory, and one more, turned; may be given again",
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--update",
        action="store_true",
        help="keep what the JSON file holds of other models, and of the known classes",
    )
    parser.add_argument("--doc", type=Path, help="a Markdown file whose table is replaced")
    return parser.parse_args()


def _updated(before: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document in which the models of the new one are replaced or added."""
    kept = [cell for cell in before["cells"] if cell["model"] not in document["models"]]
    return {
        **before,
        "models": {**before["models"], **document["models"]},
        "cells": [*kept, *document["cells"]],
    }


def _reference(model: Path, pictures: Path, work: Path, backend: str) -> Rows:
    """Return what `edge-retina predict` finds, by picture name."""
    out = work / "predicted.json"
    command = [sys.executable, "-m", "edge_retina.cli.main", "predict", str(model), str(pictures)]
    command += ["--out", str(work / "drawn"), "--force", "--score", _PREDICT_SCORE]
    command += ["--backend", backend]
    subprocess.run([*command, "--json", str(out)], check=True, stdout=subprocess.DEVNULL)
    found = json.loads(out.read_text())["predictions"]
    return {Path(item["path"]).name: item["detections"] for item in found}


def _cell(
    client: Client,
    model: Path,
    sets: Mapping[str, Path],
    expected: Mapping[str, Rows],
    work: Path,
) -> dict[str, Any]:
    """Run one client on one model."""
    cell: dict[str, Any] = {"client": client.name, "model": model.name, "version": ""}
    if client.compiles_only:
        return {**cell, **_compiled(client, model, sets["network"], work)}
    try:
        for name, pictures in sets.items():
            result = run_client(client, model, pictures, work)
            found = compare(expected[name], result["pictures"], whole_pixels=client.whole_pixels)
            cell["version"] = result["version"]
            cell[name] = {**asdict(found), "is_full": found.is_full}
    except (NoEnvironmentError, ClientError) as error:
        return {**cell, **_failure(error)}
    cell["command"] = written_command(client, model)
    cell["compared_with"] = f"edge-retina predict --backend {client.backend(model)}"
    return {**cell, **_judge(client, model, cell)}


def _compiled(client: Client, model: Path, pictures: Path, work: Path) -> dict[str, Any]:
    """Let a compiler have the model; it is green if nothing is left to the CPU."""
    try:
        result = run_client(client, model, pictures, work)
    except (NoEnvironmentError, ClientError) as error:
        return _failure(error)
    operators = result["operators"]
    return {
        "version": result["version"],
        "operators": operators,
        "command": written_command(client, model),
        "verdict": "green" if operators["NPU"] and not operators["CPU"] else "red",
    }


def _class_names(work: Path) -> list[dict[str, Any]]:
    """Run every client on the detector whose classes are known; return a cell for each file."""
    objects = draw_pictures(work / "pictures")
    cells = []
    for model in write_models(work):
        for client in (client for client in CLIENTS if client.takes(model)):
            cells.append(_names_cell(client, model, objects, work))
            print(f"{cells[-1]['verdict']:9}{model.name:26}{client.name:32}", end="")
            print(cells[-1].get("error") or ", ".join(cells[-1]["printed"]), flush=True)
    return cells


def _names_cell(client: Client, model: Path, objects: Rows, work: Path) -> dict[str, Any]:
    """Run one client; it is right if it finds these objects and no others."""
    cell: dict[str, Any] = {"client": client.name, "model": model.name}
    try:
        result = run_client(client, model, work / "pictures", work)
    except (NoEnvironmentError, ClientError) as error:
        return {**cell, **_failure(error)}
    found = compare(objects, result["pictures"], whole_pixels=client.whole_pixels)
    cell["version"] = result["version"]
    cell["objects"] = {**asdict(found), "is_full": found.is_full}
    # By class index, of the first picture, in which the objects are in this order
    first = next(iter(objects))
    cell["expected"] = list(LABELS)
    cell["printed"] = names_at(objects[first], result["pictures"][first])
    if found.is_full:
        return {**cell, "verdict": "green"}
    printed = ", ".join(name or "nothing" for name in cell["printed"])
    return {**cell, "verdict": "red", "error": f"{_rows(cell['objects'])}; printed: {printed}"}


def _failure(error: Exception) -> dict[str, str]:
    verdict = "skipped" if isinstance(error, NoEnvironmentError) else "red"
    return {"verdict": verdict, "error": str(error)}


def _judge(client: Client, model: Path, cell: Mapping[str, Any]) -> dict[str, str]:
    """Return the verdict, and the numbers behind it unless it is green."""
    needed = ("network",) if client.resizes else ("network", "original")
    if all(cell[name]["is_full"] for name in needed):
        return {"verdict": "green"}
    # int8 differs between runtimes where float32 agrees on the same pixels, so it is arithmetic: a
    # step here and there, which can also turn two boxes around that NMS chooses from. That is less
    # than was asked for and has a verdict of its own. With float32 nothing is forgiven.
    share = min(cell[name]["same"] / max(cell[name]["rows"], 1) for name in needed)
    rounding = model.stem.endswith("int8") and share >= _SAME_OBJECTS
    return {
        "verdict": "rounding" if rounding else "red",
        "error": "; ".join(f"{name}: {_rows(cell[name])}" for name in needed),
    }


def _rows(agreement: Mapping[str, Any]) -> str:
    return (
        "{agreed} of {rows} rows agree, {same} are the same object, boxes differ by up to "
        "{max_box_px:.1f} px, scores by {max_score:.3f}"
    ).format(**agreement)


def _line(cell: Mapping[str, Any]) -> str:
    text = f"{cell['verdict']:9}{cell['model']:26}{cell['client']:32}{cell['version']:8}"
    if "network" in cell:
        text += f"network size: {_rows(cell['network'])}; originals: {_rows(cell['original'])}"
    return text + ("  " + cell["error"] if cell.get("error") and "network" not in cell else "")


if __name__ == "__main__":
    sys.exit(main())
