"""`label_map.pbtxt`: names and numbers of classes, as the TF Object Detection API writes them.

    item { id: 1 name: 'cat' }
    item { id: 2 name: '/m/0bt9lr' display_name: 'dog' }

It is a protocol buffer in text form, of which only what label maps consist of is read: messages,
numbers and quoted texts, commas and comments. Other fields and nested messages are skipped.

Source: object_detection/protos/string_int_label_map.proto, and the text format's specification.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.datasets.boundary import Boundary
from edge_retina.datasets.class_names import check_class_names
from edge_retina.datasets.image_files import read_text
from edge_retina.errors import DatasetError

_TOKEN = re.compile(
    r"\s+|\#[^\n]*"
    r"|(?P<text>'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")"
    r"|(?P<word>[\w.+-]+)"
    r"|(?P<mark>[{}<>:,;\[\]])"
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f"}
_EXPECTED = "expected item { id: 1 name: 'cat' }"


@dataclass(frozen=True)
class LabelMap:
    """Classes with their numbers.

    Attributes:
        numbers: in ascending order.
        labels: the name of each number; the display name where there is one.
        aliases: labels by every text that names them, display name or not.
    """

    numbers: tuple[int, ...]
    labels: tuple[str, ...]
    aliases: dict[str, str]


def read_label_map(path: Path, *, boundary: Boundary) -> LabelMap:
    """Read a `label_map.pbtxt`. The number 0, which stands for the background, is left out.

    Raises:
        DatasetError: it can't be read, is no label map, or its classes can't be told apart.
    """
    by_number: dict[int, dict[str, str]] = {}
    for item in _items(read_text(path, boundary=boundary), path):
        number = item.get("id", "")
        name = item.get("display_name") or item.get("name")
        if not number.isdecimal() or len(number) > 9 or not name:
            raise DatasetError(f"{path}: an item has id {number!r} and name {name!r}; {_EXPECTED}")
        if int(number) in by_number:
            raise DatasetError(f"{path}: a second item has id {number}; each class has its own")
        if int(number):
            by_number[int(number)] = item
    numbers = tuple(sorted(by_number))
    items = [by_number[number] for number in numbers]
    labels = tuple((item.get("display_name") or item["name"]).strip() for item in items)
    check_class_names(labels, where=str(path))
    aliases = {
        item["name"]: label for item, label in zip(items, labels, strict=True) if "name" in item
    }
    return LabelMap(numbers, labels, {**aliases, **{label: label for label in labels}})


def label_map_text(labels: Sequence[str]) -> str:
    """Return a label map that numbers these classes from 1 on."""
    return "".join(
        f"item {{\n  id: {number}\n  name: '{_escaped(label)}'\n}}\n"
        for number, label in enumerate(labels, 1)
    )


def _items(text: str, path: Path) -> Iterator[dict[str, str]]:
    """Yield the fields of each `item`; of a repeated field the first value."""
    depth, name, is_item = 0, "", False
    fields: dict[str, str] = {}
    for token, kind in _tokens(text, path):
        if kind == "mark" and token in "{<":
            depth += 1
            if depth == 1:
                is_item, fields = name == "item", {}
            name = ""
        elif kind == "mark" and token in "}>":
            depth -= 1
            if depth == 0 and is_item:
                yield fields
            name = ""
        elif kind == "mark":
            continue
        elif kind == "word" and not name:
            name = token
        else:
            if depth == 1 and name:
                fields.setdefault(name, token)
            name = ""
        if depth < 0:
            break
    if depth:
        raise DatasetError(f"{path}: its braces don't match; {_EXPECTED}")


def _tokens(text: str, path: Path) -> Iterator[tuple[str, str]]:
    """Yield (token, kind); quoted texts without their quotes."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise DatasetError(f"{path}, line {line}: not a label map; {_EXPECTED}")
        at = found.end()
        if found.lastgroup == "text":
            yield _unescaped(found[0][1:-1]), "text"
        elif found.lastgroup is not None:
            yield found[0], found.lastgroup


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def replaced(found: re.Match[bytes]) -> bytes:
        octal, hexadecimal, letter = found.groups()
        if letter is not None:
            return _LETTERS.get(letter, letter)
        return bytes([int(octal, 8) & 0xFF if octal else int(hexadecimal, 16)])

    data = _ESCAPE.sub(replaced, text.encode("utf-8", "surrogatepass"))
    return data.decode("utf-8", "replace")


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace("'", "\\'")
