"""Class names of other people's detectors: inside the file, beside it, or in a file of their own.

Known kinds: one name a line; `0 person` lines (Coral); YAML with `names` (Ultralytics); a label map
`.pbtxt` (TensorFlow Object Detection API); Ultralytics' metadata inside the .tflite file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.coco_names import COCO_CLASSES
from edge_retina.errors import ModelError
from edge_retina.files import decode_text, parse_json, read_small_text
from edge_retina.runtime.model_file import LABELS_NAME, files_inside
from edge_retina.yaml_text import parse_yaml

ULTRALYTICS_YAML = "metadata.yaml"
UNNAMED = "???"  # a class number that has no class, as the label maps of COCO detectors write it
_PLACEHOLDERS = frozenset({"", "-", "n/a", UNNAMED})
_BACKGROUND = _PLACEHOLDERS | {"background", "__background__"}
_INSIDE = ("metadata.json", "temp_meta.txt")  # Ultralytics' names for its metadata, new and old
_NUMBERED = re.compile(r"(\d{1,9})[\s:]+(\S.*)")  # more digits are part of a name
_ITEM = re.compile(r"item\s*\{")
# From the start of a word only: a word of 70,000 letters is gone through once
_FIELD = re.compile(r"(?<!\w)(\w+)\s*:\s*(?:\"([^\"]*)\"|'([^']*)'|(\d+))")
_MOST_CLASSES = 100_000

BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "coco80": tuple(COCO_CLASSES.values()),
    "coco91": tuple(COCO_CLASSES.get(number, UNNAMED) for number in range(1, 91)),
}


@dataclass(frozen=True)
class Labels:
    """Class names and where they are from.

    Attributes:
        names: by index; `UNNAMED` where a number has no class.
        source: for messages.
    """

    names: tuple[str, ...]
    source: str

    def fitted(self, counts: Sequence[int]) -> Labels | None:
        """Return the names for a detector of one of `counts` classes; None if they don't fit.

        A leading name of the background is left out where only that makes them fit.
        """
        if not counts or len(self.names) in counts:
            return self
        without = self.without_background()
        return without if len(without.names) in counts else None

    def without_background(self) -> Labels:
        """Return the names without a leading one of the background."""
        has_it = bool(self.names) and self.names[0].lower() in _BACKGROUND
        return Labels(self.names[1:], self.source) if has_it else self


def is_named(label: str) -> bool:
    """Whether a label is a class and not a gap in the numbers."""
    return label.strip().lower() not in _PLACEHOLDERS


def load_labels(chosen: str) -> Labels:
    """Read `--labels`: a file, or the name of a built-in list.

    Raises:
        ModelError: no such file, or no names in it.
    """
    if chosen in BUILT_IN:
        return Labels(BUILT_IN[chosen], f"--labels {chosen}")
    path = Path(chosen)
    try:
        text = read_small_text(path)
    except ValueError as error:
        raise ModelError(f"--labels {path}: {error}; expected one name a line") from None
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(
            f"--labels {path}: can't be read ({reason}); expected a file of class names, or "
            f"{' or '.join(BUILT_IN)}"
        ) from None
    return Labels(_parse(text, path), f"--labels {path}")


def find_labels(path: Path) -> Labels | None:
    """Return the names inside a .tflite file or beside it; None without any.

    Raises:
        ModelError: they can't be read, or the file is Ultralytics' for another task.
    """
    inside = _labels_inside(path)
    if inside is not None:
        return inside
    beside = (path.parent / LABELS_NAME, path.parent / ULTRALYTICS_YAML)
    for file in beside:
        if file.is_file():
            return Labels(load_labels(str(file)).names, str(file))
    return None


def _labels_inside(path: Path) -> Labels | None:
    files = files_inside(path, lambda name: name.endswith((".txt", ".json")))
    for name in _INSIDE:
        if name in files:
            where = f"{path}, {name} inside"
            return Labels(_ultralytics(_literal(files[name], where), where), where)
    texts = sorted(name for name in files if name.endswith(".txt"))
    likely = [name for name in texts if "label" in name.lower()] or texts[:1]
    if not likely:
        return None
    where = f"{path}, {likely[0]} inside"
    try:
        return Labels(_lines(files[likely[0]].decode("utf-8"), where), where)
    except UnicodeDecodeError:
        raise ModelError(f"{where}: not UTF-8 text; pass --labels FILE") from None


def _literal(content: bytes, where: str) -> Any:
    """Read a JSON object, or a Python literal as older exporters wrote it."""
    try:
        text = decode_text(content)
        return parse_json(text) if where.endswith(".json inside") else ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ModelError(f"{where}: can't be read ({error}); pass --labels FILE") from None


def _parse(text: str, path: Path) -> tuple[str, ...]:
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml"):
        try:
            tree = parse_yaml(text)
        except ValueError as error:
            raise ModelError(f"{path}: not valid YAML ({error})") from None
        return _ultralytics(tree, str(path))
    if suffix == ".pbtxt":
        return _label_map(text, str(path))
    return _lines(text, str(path))


def _lines(text: str, where: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ModelError(f"{where}: empty; expected one class name a line")
    matches = [_NUMBERED.fullmatch(line) for line in lines if line]
    numbers = [int(match[1]) for match in matches if match]
    # From 0 upwards on every line; else "2 euro" is a name
    if len(numbers) == len(matches) and numbers[0] == 0 and numbers == sorted(set(numbers)):
        return _by_number({int(match[1]): match[2] for match in matches if match}, where)
    return tuple(line or UNNAMED for line in lines)


def _items(text: str) -> Iterator[str]:
    """Yield what is between the braces of each item, or up to the first closing one within."""
    at = 0
    while (found := _ITEM.search(text, at)) and (end := text.find("}", found.end())) >= 0:
        yield text[found.end() : end]
        at = end


def _label_map(text: str, where: str) -> tuple[str, ...]:
    names = {}
    for item in _items(text):
        fields = {field[0]: "".join(field[1:]) for field in _FIELD.findall(item)}
        number = fields.get("id", "")
        if not number.isdecimal() or len(number) > 9:
            raise ModelError(f"{where}: an item without a number 'id'; expected a label map")
        # Numbers in label maps begin with 1, the background's being 0
        names[int(number) - 1] = fields.get("display_name") or fields.get("name", UNNAMED)
    names.pop(-1, None)
    return _by_number(names, where)


def _ultralytics(tree: Any, where: str) -> tuple[str, ...]:
    names = tree.get("names") if isinstance(tree, Mapping) else None
    if isinstance(names, Mapping):
        try:
            names_by_number = {int(key): str(value) for key, value in names.items()}
        except (TypeError, ValueError, OverflowError):
            raise ModelError(f"{where}: 'names' must be numbered from 0") from None
    elif isinstance(names, Sequence) and not isinstance(names, str):
        names_by_number = {index: str(value) for index, value in enumerate(names)}
    else:
        raise ModelError(f"{where}: no 'names' with the class names by number")
    task = tree.get("task", "detect")
    if task != "detect":
        raise ModelError(f"{where}: a model for the task '{task}'; only 'detect' can be read")
    return _by_number(names_by_number, where)


def _by_number(names: Mapping[int, str], where: str) -> tuple[str, ...]:
    if not names:
        raise ModelError(f"{where}: no class names in it")
    if min(names) < 0 or max(names) > _MOST_CLASSES:
        raise ModelError(f"{where}: class numbers must be 0 to {_MOST_CLASSES}")
    return tuple(names.get(number, UNNAMED) for number in range(max(names) + 1))
