"""Time and memory that small, hostile annotation files cost: CSV, Pascal VOC, COCO and YOLO.

    python benchmarks/hostile_annotations.py --json benchmarks/results/hostile_annotations.json

Each file was made to cost far more than its size: deep nesting, repetition, expansion, quadratic
work. A fresh process reads it
with `load_dataset`, or examines it as `doctor DATA` does. It may take 12 s of processor time and
6 GB of addresses; what needs more is ended. Asked: no case over 10 s or over 1 GiB, which is what
the fuzzing asks too, and an error of one line or none.

`--baseline FILE` puts the figures of an earlier run, of the code before a change, beside the new
ones. It may be given several times, for runs with `--only`.
"""

from __future__ import annotations

import dataclasses
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from edge_retina.benchmark.environment import read_environment
from edge_retina.files import load_json, write_json

MOST_SECONDS, MOST_MEGABYTES = 10, 1024
_LIMIT_SECONDS, _LIMIT_BYTES = 12, 6 * 10**9
_IMAGE_HW = (400, 600)
_HEADER = "filename,class,xmin,ymin,xmax,ymax\n"
_WORK = """
import json, resource, sys
from edge_retina.errors import EdgeRetinaError
from edge_retina.datasets import load_dataset
from edge_retina.doctor.data.examine import examine

def kilobytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before, began = kilobytes(), resource.getrusage(resource.RUSAGE_SELF)
try:
    found = load_dataset(sys.argv[2]) if sys.argv[1] == "load" else examine(sys.argv[2])
    answer = "read" if sys.argv[1] == "load" else "examined"
except EdgeRetinaError as error:
    answer = f"refused: {error}"
except MemoryError:
    answer = "no memory"
except Exception as error:
    answer = f"unexpected {type(error).__name__}: {error}"
ended = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "cpu_seconds": round(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime, 2),
    "peak_mb": round(kilobytes() / 1024),
    "idle_mb": round(before / 1024),
    "answer": answer.replace(sys.argv[2], "DATA")[:300],
}))
"""

Files = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Hostile:
    """A hostile file.

    Attributes:
        name: of the case.
        make: returns the data set's text files by path; the pictures `a.jpg` and `b.jpg`, which
            are the same, go with them.
        commands: what is done with it, "load" or "doctor".
    """

    name: str
    make: Callable[[], Files]
    commands: tuple[str, ...] = ("load",)


def _csv(rows: Iterable[str], header: str = _HEADER) -> Files:
    return {"train.csv": header + "\n".join(rows) + "\n"}


def _csv_row(label: str = "cat", name: str = "a.jpg") -> str:
    return f"{name},{label},10,10,50,60"


def _voc(objects: str, *, head: str = "", opening: str = "<annotation>", **files: str) -> Files:
    text = f"{head}{opening}<filename>a.jpg</filename>{objects}</annotation>"
    return {
        "Annotations/a.xml": text,
        **{name.replace("_", "."): text for name, text in files.items()},
    }


def _voc_object(label: str = "cat") -> str:
    return (
        f"<object><name>{label}</name><bndbox><xmin>10</xmin><ymin>10</ymin>"
        "<xmax>50</xmax><ymax>60</ymax></bndbox></object>"
    )


def _coco(
    annotations: Iterable[Mapping[str, Any]],
    categories: Iterable[Mapping[str, Any]] = ({"id": 1, "name": "cat"},),
    image: str = "a.jpg",
) -> Files:
    tree = {
        "images": [{"id": 1, "file_name": image}],
        "annotations": list(annotations),
        "categories": list(categories),
    }
    return {"annotations/instances_train.json": json.dumps(tree)}


def _coco_box(category: Any = 1) -> dict[str, Any]:
    return {"image_id": 1, "category_id": category, "bbox": [10, 10, 40, 50]}


def _yolo(lines: Iterable[str], yaml: str = "names: [cat]\ntrain: images\n", **more: str) -> Files:
    return {"data.yaml": yaml, "labels/a.txt": "\n".join(lines) + "\n", **more}


_BOTH = ("load", "doctor")
_YOLO_BOX = "0 0.3 0.3 0.4 0.4"


def _words(count: int, length: int) -> list[str]:
    """Return long names of very many letters, which take longest to compare."""
    chosen = random.Random(0)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 400)]
    return ["".join(chosen.choices(letters, k=length)) for _ in range(count)]


def _merged_yaml() -> str:
    """Return 30 mappings, each of which merges the one before it twice."""
    lines = ["m0: &m0 {k: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, 31)]
    return "\n".join([*lines, "names: [cat]", "train: images", ""])


CASES: tuple[Hostile, ...] = (
    Hostile("csv: one quoted field of 20 MB", lambda: _csv(['"' + "x" * 20_000_000])),
    Hostile("csv: one line of 20 MB", lambda: {"train.csv": "x" * 20_000_000}),
    Hostile("csv: one line of 20 MB, of commas", lambda: _csv(["a.jpg" + "," * 20_000_000])),
    Hostile(
        "csv: 20,000 columns, 5,000 rows",
        lambda: _csv(
            [_csv_row()] * 5_000,
            _HEADER.strip() + "," + ",".join(f"c{n}" for n in range(20_000)) + "\n",
        ),
        _BOTH,
    ),
    Hostile("csv: 5,000 times the same box", lambda: _csv([_csv_row()] * 5_000), _BOTH),
    Hostile("csv: 100,000 times the same box", lambda: _csv([_csv_row()] * 100_000), _BOTH),
    Hostile(
        "csv: 20,000 boxes in two copies of a picture",
        lambda: _csv([_csv_row(name=name) for name in ("a.jpg", "b.jpg") for _ in range(20_000)]),
        _BOTH,
    ),
    Hostile(
        "csv: 60,000 boxes, each of its own class",
        lambda: _csv([_csv_row(f"class {n}") for n in range(60_000)]),
        _BOTH,
    ),
    Hostile(
        "csv: 20,000 boxes of unknown classes, 2,000 known ones",
        lambda: {
            **_csv([_csv_row(f"klass number {n}") for n in range(20_000)]),
            "labels.txt": "\n".join(f"class number {n}" for n in range(2_000)),
        },
    ),
    Hostile(
        "csv: unknown class names of 40,000 letters",
        lambda: {
            **_csv([_csv_row(name) for name in _words(20, 40_000)[:10]]),
            "labels.txt": "\n".join(_words(20, 40_000)[10:]),
        },
    ),
    Hostile(
        "csv: 100,000 missing pictures",
        lambda: _csv([_csv_row(name=f"{n}.jpg") for n in range(100_000)]),
    ),
    Hostile("voc: elements nested 500,000 deep", lambda: _voc("<a>" * 500_000 + "</a>" * 500_000)),
    Hostile(
        "voc: objects nested 100,000 deep",
        lambda: _voc("<object>" * 100_000 + "</object>" * 100_000),
    ),
    Hostile("voc: an attribute of 20 MB", lambda: _voc(f'<a b="{"x" * 20_000_000}"/>')),
    Hostile(
        "voc: a number of 10 MB", lambda: _voc(_voc_object().replace("10", "1" * 10_000_000, 1))
    ),
    Hostile(
        "voc: entities that expand a billion times",
        lambda: _voc(
            "&e9;",
            head="<!DOCTYPE annotation [<!ENTITY e0 'lol'>"
            + "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
            + "]>",
        ),
    ),
    Hostile(
        "voc: a default attribute of 100 KB in 50,000 elements",
        lambda: _voc(
            "<a/>" * 50_000,
            head=f"<!DOCTYPE annotation [<!ATTLIST a b CDATA '{'x' * 100_000}'>]>",
        ),
    ),
    Hostile(
        "voc: a name space of 1 MB around 200,000 elements",
        lambda: _voc("<a/>" * 200_000, opening=f"<annotation xmlns='{'x' * 1_000_000}'>"),
    ),
    Hostile("voc: a million elements of nothing", lambda: _voc("<a/>" * 1_000_000)),
    Hostile("voc: 5,000 times the same box", lambda: _voc(_voc_object() * 5_000)),
    Hostile("voc: 100,000 times the same box", lambda: _voc(_voc_object() * 100_000)),
    Hostile(
        "voc: 20,000 objects, each of its own class",
        lambda: _voc("".join(_voc_object(f"class {n}") for n in range(20_000))),
        _BOTH,
    ),
    Hostile(
        "voc: 20,000 objects of unknown classes, 2,000 known ones",
        lambda: _voc(
            "".join(_voc_object(f"klass number {n}") for n in range(20_000)),
            labels_txt="\n".join(f"class number {n}" for n in range(2_000)),
        ),
    ),
    Hostile("coco: lists nested 500,000 deep", lambda: {"a.json": "[" * 500_000 + "]" * 500_000}),
    Hostile(
        "coco: a whole number of 1 MB",
        lambda: {
            "a.json": '{"images": [' + "1" * 1_000_000 + '], "annotations": [], "categories": []}'
        },
    ),
    Hostile(
        "coco: NaN and Infinity as coordinates",
        lambda: _coco([{**_coco_box(), "bbox": [float("nan"), float("inf"), 1, 1]}] * 1_000),
    ),
    Hostile(
        "coco: a category id of 300,000,000",
        lambda: _coco(
            [_coco_box(), _coco_box(3 * 10**8)],
            ({"id": 1, "name": "cat"}, {"id": 3 * 10**8, "name": "dog"}),
        ),
        _BOTH,
    ),
    Hostile(
        "coco: a category id of 10^300",
        lambda: _coco(
            [_coco_box(), _coco_box(10**300)],
            ({"id": 1, "name": "cat"}, {"id": 10**300, "name": "dog"}),
        ),
    ),
    Hostile("coco: 5,000 times the same box", lambda: _coco([_coco_box()] * 5_000), _BOTH),
    Hostile("coco: 100,000 times the same box", lambda: _coco([_coco_box()] * 100_000)),
    Hostile(
        "coco: 60,000 classes with a box each",
        lambda: _coco(
            [_coco_box(n) for n in range(1, 60_001)],
            ({"id": n, "name": f"class {n}"} for n in range(1, 60_001)),
        ),
        _BOTH,
    ),
    Hostile(
        "coco: 100,000 broken boxes of a picture whose name has 1 MB",
        lambda: _coco([{**_coco_box(), "bbox": []}] * 100_000, image="x" * 1_000_000),
    ),
    Hostile(
        "coco: a million empty objects",
        lambda: _coco([{}] * 1_000_000),
    ),
    Hostile("yolo: 5,000 times the same box", lambda: _yolo([_YOLO_BOX] * 5_000)),
    Hostile("yolo: 100,000 times the same box", lambda: _yolo([_YOLO_BOX] * 100_000)),
    Hostile("yolo: one line of 5,000,000 numbers", lambda: _yolo(["0 " + "0.5 " * 5_000_000])),
    Hostile(
        "yolo: 100,000 unknown classes, 20,000 known ones",
        lambda: _yolo(
            ["20000 0.3 0.3 0.4 0.4"] * 100_000,
            "train: images\n",
            **{"classes.txt": "\n".join(f"class {n}" for n in range(20_000))},
        ),
    ),
    Hostile(
        "yolo: data.yaml with 1,000 times the same directory of 1,000 pictures",
        lambda: {
            **_yolo([], "names: [cat]\ntrain: [" + ", ".join(["images"] * 1_000) + "]\n"),
            **{f"images/{n}.jpg": "" for n in range(1_000)},
        },
    ),
    Hostile(
        "yolo: a list with 2,000 times a picture of 20,000 boxes",
        lambda: _yolo(
            [_YOLO_BOX] * 20_000,
            "names: [cat]\ntrain: list.txt\n",
            **{"list.txt": "images/a.jpg\n" * 2_000},
        ),
    ),
    Hostile(
        "yolo: data.yaml that merges itself 30 times", lambda: _yolo([], _merged_yaml()), _BOTH
    ),
    Hostile(
        "yolo: data.yaml with aliases that unfold to a billion",
        lambda: _yolo(
            [],
            "a0: &a0 [x]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
            + "names: *a9\ntrain: images\n",
        ),
    ),
    Hostile(
        "yolo: data.yaml of 5 MB",
        lambda: _yolo([], "names: [cat]\ntrain: images\nx: [" + "1, " * 1_700_000 + "]\n"),
    ),
    Hostile("yolo: data.yaml nested 50,000 deep", lambda: _yolo([], "names: " + "[" * 50_000)),
)


@click.command()
@click.option("--json", "target", type=click.Path(path_type=Path))
@click.option("--baseline", "earlier", type=click.Path(path_type=Path, exists=True), multiple=True)
@click.option("--only", default="", help="cases whose names hold this")
def main(target: Path | None, earlier: tuple[Path, ...], only: str) -> None:
    """Write each file, read it in a process of its own, tell, remove."""
    before = _by_case(row for path in earlier for row in load_json(path)["results"])
    results = []
    for case in CASES:
        if only not in case.name:
            continue
        with tempfile.TemporaryDirectory() as directory:
            size_bytes = write_case(case, Path(directory))
            for command in case.commands:
                row = {"case": case.name, "command": command, "bytes": size_bytes}
                row |= _measure(command, directory)
                row |= {"before": old} if (old := before.get((case.name, command))) else {}
                results.append(row)
                click.echo(_line(row))
    bad = [row for row in results if not row["within"]]
    click.echo(f"{len(results) - len(bad)} of {len(results)} within the limits")
    if target is not None:
        environment = dataclasses.asdict(read_environment())
        asked = {"cpu_seconds": MOST_SECONDS, "peak_mb": MOST_MEGABYTES}
        write_json(
            target,
            {"schema_version": 1, "asked": asked, "environment": environment, "results": results},
        )


def write_case(case: Hostile, directory: Path) -> int:
    """Write a hostile data set, and return the size of its text files in bytes."""
    picture = bytes(cv2.imencode(".jpg", np.full((*_IMAGE_HW, 3), 128, np.uint8))[1])
    size_bytes = 0
    for name, text in {"images/a.jpg": "", "images/b.jpg": "", **case.make()}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = picture if path.suffix == ".jpg" else text.encode()
        size_bytes += 0 if path.suffix == ".jpg" else len(data)
        path.write_bytes(data)
    return size_bytes


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_LIMIT_SECONDS, _LIMIT_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_BYTES, _LIMIT_BYTES))


def _measure(command: str, directory: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _WORK, command, directory],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_limit,
    )
    if done.returncode:
        answer = done.stderr[-200:] or f"ended by signal {-done.returncode}"
        if -done.returncode == signal.SIGXCPU:
            answer = f"over {_LIMIT_SECONDS} s"
        return {"cpu_seconds": None, "peak_mb": None, "answer": answer, "within": False}
    row = json.loads(done.stdout)
    small = row["cpu_seconds"] <= MOST_SECONDS and row["peak_mb"] <= MOST_MEGABYTES
    said = not row["answer"].startswith(("unexpected", "no memory"))
    return {**row, "within": small and said}


def _by_case(results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (row["case"], row["command"]): {
            key: row.get(key) for key in ("cpu_seconds", "peak_mb", "answer", "within")
        }
        for row in results
    }


def _line(row: Mapping[str, Any]) -> str:
    seconds = "-" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.1f} s"
    memory = "-" if row["peak_mb"] is None else f"{row['peak_mb']} MB"
    mark = " " if row["within"] else "!"
    size = f"{row['bytes'] / 1e6:.2f} MB"
    figures = f"{size:>9}{seconds:>9}{memory:>9}"
    return f"{mark} {row['case']:<66}{row['command']:<7}{figures}  {row['answer'][:110]}"


if __name__ == "__main__":
    main()
