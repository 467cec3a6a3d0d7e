"""Whatever stands in annotation files: a data set, or a DatasetError. Never anything else."""

from __future__ import annotations

import io
import json
import re
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_retina.datasets import load_dataset
from edge_retina.datasets.image_header import read_image_header
from edge_retina.datasets.tf_example import encode_example
from edge_retina.datasets.tfrecord_file import write_record
from edge_retina.errors import DatasetError

FAST, SLOW = 150, 1300
IMAGE_HW = (40, 60)

# What a number or a name is replaced by: limits, other types, other notations, paths.
NUMBERS = ("nan", "-inf", "1e400", "0x1F", "1_000", "-1", "0", "2.5", "1" * 5000, "29.999999999")
NAMES = ("cat", "a.jpg", "b.jpg", "../x", "/etc/passwd", "C:\\x", "./", "x" * 300, "é", "٣")
MARKS = ("", " ", "\t", "\r", "\n", "\0", "\ud800", "\ufeff", "\u2028", "\x85", "true", "null")
SYNTAX = (
    "<",
    "]]>",
    "&lt;",
    '"',
    "'",
    ",",
    ":",
    "- ",
    "{",
    "[",
    "}",
    "*a",
    "&a",
    "!!set",
    "2024-99-99",
)
ODD_TEXTS = st.sampled_from(NUMBERS + NAMES + MARKS + SYNTAX)
ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 0, 1, 2**63]),
    st.floats(),
    ODD_TEXTS,
    st.text(max_size=8),
    st.lists(st.integers(-5, 70), max_size=5),
    st.dictionaries(st.sampled_from(["id", "name", "bbox"]), st.integers(0, 3), max_size=2),
)

VOC = (
    "<annotation><filename>a.jpg</filename><size><width>60</width><height>40</height></size>"
    "<object><name>cat</name><bndbox><xmin>6</xmin><ymin>4</ymin><xmax>30</xmax><ymax>20</ymax>"
    "</bndbox></object></annotation>"
)
YAML = "path: .\ntrain: images\nval: images\nnames:\n  0: cat\n  1: dog\n"
TOML = 'layout = "voc"\nimages = "images"\nannotations = "Annotations"\nlabels = ["cat"]\n'
CSV = (
    "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    "a.jpg,60,40,cat,6,4,30,20\na.jpg,60,40,dog,1,1,9,9\nb.jpg,60,40,,,,,\n"
)
HEADERLESS = "a.jpg,6,4,30,20,cat\nb.jpg,,,,,\n"


def coco_tree() -> dict[str, Any]:
    images = [{"id": n, "file_name": f"{n}.jpg", "height": 40, "width": 60} for n in "ab"]
    bbox = [6, 4, 24, 16]
    item = {"id": 1, "image_id": "a", "category_id": 1, "bbox": bbox, "area": 9, "iscrowd": 0}
    return {
        "images": images,
        "annotations": [item, {**item, "id": 2, "category_id": 3}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
    }


@lru_cache
def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, np.full((*IMAGE_HW, 3), 128, np.uint8))[1].tobytes()


WORDS, LINES, ANYWHERE = r"\w[\w.]*", r"[^\n]*\n", r"(?s).{1,20}"
XML_TEXTS, XML_ELEMENTS = r"(?<=>)[^<>]+(?=<)", r"<(\w+)>[^<>]*</\1>"
FIELDS, QUOTED = r"[^,\n]+", r'(?<=")[^"\n]+(?=")'


@st.composite
def edited(draw: st.DrawFn, text: str, *forms: str) -> str:
    """A valid file with a few pieces of these forms removed, doubled or replaced.

    Most edits leave the syntax whole, so that they reach what lies behind it.
    """
    form = draw(st.sampled_from([*forms * 3, WORDS, LINES, ANYWHERE]))
    for _ in range(draw(st.integers(1, 4))):
        pieces = list(re.finditer(form, text))
        if not pieces:
            break
        piece = draw(st.sampled_from(pieces))
        new = draw(st.one_of(st.just(""), st.just(piece.group() * 2), ODD_TEXTS, ODD_TEXTS))
        text = text[: piece.start()] + new + text[piece.end() :]
    return text


@st.composite
def bytes_of(draw: st.DrawFn, text: st.SearchStrategy[str]) -> bytes:
    """The text in UTF-8; now and then in an encoding that is not read here; or noise."""
    kind = draw(st.integers(0, 19))
    if kind == 19:
        return draw(st.binary(max_size=60))
    encoding = {18: "utf-16", 17: "latin-1"}.get(kind, "utf-8")
    return draw(text).encode(encoding, "replace")


@st.composite
def coco_files(draw: st.DrawFn) -> bytes:
    """A COCO tree with values replaced, removed or of another type, or its text edited."""
    if draw(st.integers(0, 3)) == 0:
        return draw(bytes_of(edited(json.dumps(coco_tree()))))
    tree: Any = coco_tree()
    for _ in range(draw(st.integers(1, 4))):
        if not tree:
            break
        holder, key = draw(st.sampled_from(list(_places(tree))))
        if draw(st.integers(0, 4)) == 0:
            del holder[key]
        else:
            holder[key] = draw(ODD_VALUES)
    return json.dumps(tree).encode()


def _places(value: Any) -> Any:
    """Every (container, key) of a tree."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


Files = dict[str, bytes]


def coco_case() -> st.SearchStrategy[Files]:
    return st.builds(lambda data: {"annotations/instances_train.json": data}, coco_files())


def voc_case() -> st.SearchStrategy[Files]:
    lists = st.one_of(st.none(), bytes_of(edited("a\nb\n")))
    return st.builds(
        lambda xml, names: {
            "Annotations/a.xml": xml,
            **({} if names is None else {"ImageSets/Main/train.txt": names}),
        },
        bytes_of(edited(VOC, XML_TEXTS, XML_ELEMENTS)),
        lists,
    )


def yolo_case() -> st.SearchStrategy[Files]:
    return st.builds(
        lambda yaml, labels, classes, listed: {
            "data.yaml": yaml,
            "labels/a.txt": labels,
            **({} if classes is None else {"classes.txt": classes}),
            **({} if listed is None else {"images.txt": listed, "data.yaml": LISTED}),
        },
        bytes_of(st.one_of(st.just(YAML), edited(YAML))),
        bytes_of(edited("0 0.3 0.3 0.4 0.4\n1 0 0 0.2 0.2 0.1 0.4\n")),
        st.one_of(st.none(), st.none(), bytes_of(edited("cat\ndog\n"))),
        st.one_of(st.none(), bytes_of(edited("images/a.jpg\nimages/b.jpg\n"))),
    )


LISTED = YAML.replace("train: images", "train: images.txt").encode()


def csv_case() -> st.SearchStrategy[Files]:
    text = st.one_of(edited(CSV, FIELDS), edited(HEADERLESS, FIELDS))
    classes = st.one_of(st.none(), st.none(), bytes_of(edited("cat\ndog\n")))
    return st.builds(
        lambda data, names: {
            "train.csv": data,
            **({} if names is None else {"classes.txt": names}),
        },
        bytes_of(text),
        classes,
    )


def toml_case() -> st.SearchStrategy[Files]:
    return st.builds(
        lambda toml: {"dataset.toml": toml, "Annotations/a.xml": VOC.encode()},
        bytes_of(edited(TOML + '[splits]\ntrain = "Annotations"\n', QUOTED)),
    )


BOXES = {
    f"image/object/bbox/{side}": [0.1 if side.endswith("min") else 0.5] * 2
    for side in ("ymin", "xmin", "ymax", "xmax")
}


def shard_example(name: str) -> bytes:
    return encode_example(
        {
            "image/encoded": encoded(".jpg"),
            "image/filename": name.encode(),
            "image/height": [40],
            "image/width": [60],
            "image/object/class/text": [b"cat", b"dog"],
            "image/object/class/label": [1, 2],
            "image/object/is_crowd": [0, 1],
            **BOXES,
        }
    )


@st.composite
def shards(draw: st.DrawFn) -> bytes:
    """Two records with bytes of the messages changed, and checksums that fit, or of the file."""
    examples = [bytearray(shard_example(f"{name}.jpg")) for name in "ab"]
    picture = examples[0].index(encoded(".jpg"))
    pieces = st.one_of(
        st.binary(max_size=4),
        st.sampled_from([b"\xff" * 9 + b"\x01", b"\x80" * 12, b"\x0b" * 200, b"\0", b"\x7f"]),
    )
    edit = st.tuples(st.integers(0, 400), st.booleans(), st.booleans(), pieces)
    for place, in_first, before_picture, piece in draw(st.lists(edit, min_size=1, max_size=4)):
        data = examples[not in_first]
        at = place % picture if before_picture else picture + len(encoded(".jpg")) + place
        data[at : at + draw(st.integers(0, 4))] = piece
    stream = io.BytesIO()
    for data in examples:
        write_record(stream, bytes(data))
    content = bytearray(stream.getvalue())
    for place, piece in draw(st.lists(st.tuples(st.integers(0, 3000), pieces), max_size=1)):
        content[place : place + len(piece)] = piece
    return bytes(content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content)


def tfrecord_case() -> st.SearchStrategy[Files]:
    label_map = "item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }\n"
    maps = st.one_of(st.none(), bytes_of(edited(label_map)))
    return st.builds(
        lambda data, text: {
            "train-00000-of-00001.tfrecord": data,
            **({} if text is None else {"label_map.pbtxt": text}),
        },
        shards(),
        maps,
    )


CASES: dict[str, Callable[[], st.SearchStrategy[Files]]] = {
    "coco": coco_case,
    "voc": voc_case,
    "yolo": yolo_case,
    "csv": csv_case,
    "tfrecord": tfrecord_case,
    "dataset.toml": toml_case,
}


def read_all(files: Files) -> None:
    """Read a data set of these files, strictly and leniently, and hold what comes to the schema."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "data")
        for name, data in {**files, **{f"images/{n}.jpg": encoded(".jpg") for n in "ab"}}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)
        for skip_invalid in (False, True):
            try:
                dataset = load_dataset(root, skip_invalid=skip_invalid)
            except DatasetError as error:
                str(error).encode()  # a message must be printable
                continue
            for example in (item for split in dataset.splits.values() for item in split):
                assert example.image_hw == IMAGE_HW
                low, high = example.boxes_px[:, :2], example.boxes_px[:, 2:]
                assert np.isfinite(example.boxes_px).all()
                assert (low >= 0).all()
                assert (high > low).all()
                assert (high <= IMAGE_HW).all()
                assert set(example.classes) <= set(range(len(dataset.labels)))
                assert example.path.resolve().is_relative_to(root.resolve())


@pytest.mark.parametrize("layout", CASES)
def test_edited_annotations(layout: str):
    run(layout, FAST)


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.parametrize("layout", CASES)
def test_many_edited_annotations(layout: str):
    """Of `make test-faults`; in every `make test`, tests/fuzz damages such files too."""
    run(layout, SLOW)


def run(layout: str, cases: int) -> None:
    @settings(max_examples=cases, suppress_health_check=list(HealthCheck))
    @given(CASES[layout]())
    def check(files: Files) -> None:
        read_all(files)

    check()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp", ".webp", ".tif"])
def test_edited_picture_headers(suffix: str):
    good = encoded(suffix)

    @settings(max_examples=FAST)
    @given(
        st.lists(st.tuples(st.integers(0, 63), st.binary(max_size=4)), max_size=4), st.integers(0)
    )
    def check(edits: list[tuple[int, bytes]], cut: int) -> None:
        data = bytearray(good[: max(len(good) - cut, 0)])
        for place, piece in edits:
            data[place : place + len(piece)] = piece
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "a")
            path.write_bytes(data)
            try:
                height, width = read_image_header(path).image_hw
            except DatasetError:
                return
            assert height > 0
            assert width > 0

    check()
