"""manifest.json: what an export directory says about the models in it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.errors import ModelError
from edge_retina.files import write_json

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class InputSpec:
    """What the models take.

    Attributes:
        height, width: pixels.
        dtype: by file name: "uint8" (pixel values) or "float32" ((pixel - mean) / std).
        mean, std: of the normalisation; folded into the models with uint8 input.
        resize: how a picture comes to this size: "stretch".
        color: channel order: "RGB".
    """

    height: int
    width: int
    dtype: dict[str, str]
    mean: float
    std: float
    resize: str = "stretch"
    color: str = "RGB"


@dataclass(frozen=True)
class OutputSpec:
    """One output: its signature name, its place in the subgraph's order, its static shape."""

    name: str
    index: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FileEntry:
    """Size and content hash of a file in the export directory."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json.

    Attributes:
        edge_retina_version: of the package that exported.
        input: what the models take.
        outputs: boxes, classes, scores, count.
        labels: class names by index.
        anchors: shapes by level and whatever else defines them.
        thresholds: score_threshold, nms_iou and the like, as baked into the graph.
        quantization: method, recipe, calibration (with the hash of the image ids).
        metrics: by file name: mAP, mAP50, images, split, data_sha256.
        files: by file name.
        config: the whole resolved config.
        verification: by file name: on how many pictures it was compared with its model in Keras
            and which share of the detections it found; empty where it was not compared.
        schema_version: of this document.
    """

    edge_retina_version: str
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    labels: tuple[str, ...]
    anchors: dict[str, Any]
    thresholds: dict[str, Any]
    quantization: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    files: dict[str, FileEntry]
    config: dict[str, Any]
    verification: dict[str, dict[str, Any]] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document, version first."""
        return {"schema_version": self.schema_version, **dataclasses.asdict(self)}

    def save(self, directory: Path | str) -> Path:
        """Write manifest.json into `directory`, whole or not at all, and return its path."""
        path = Path(directory) / MANIFEST_NAME
        write_json(path, self.to_dict())
        return path


def load_manifest(path: Path | str) -> Manifest:
    """Read manifest.json, given as the file or as the directory it lies in.

    Raises:
        ModelError: missing, not JSON, another schema version, or a field that is missing or of
            another type than expected; the message names the field.
    """
    path = Path(path)
    path = path / MANIFEST_NAME if path.is_dir() else path
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file; expected an export directory's {MANIFEST_NAME}"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: not valid JSON ({error}); export the model again") from None
    return _Reader(path).manifest(tree)


class _Reader:
    """Takes typed values out of parsed JSON and names the file and the field when it can't."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self, tree: Any) -> Manifest:
        version = self.take(tree, "schema_version", int)
        if version != SCHEMA_VERSION:
            raise ModelError(
                f"{self.path}: schema_version is {version}, expected {SCHEMA_VERSION}; use the "
                "edge-retina that exported the model, or export it again"
            )
        files = self.take(tree, "files", dict)
        metrics = self.take(tree, "metrics", dict)
        return Manifest(
            edge_retina_version=self.take(tree, "edge_retina_version", str),
            input=self.input(self.take(tree, "input", dict)),
            outputs=tuple(self.output(item) for item in self.take(tree, "outputs", list)),
            labels=self.texts(tree, "labels"),
            anchors=self.take(tree, "anchors", dict),
            thresholds=self.take(tree, "thresholds", dict),
            quantization=self.take(tree, "quantization", dict),
            metrics={name: self.take(metrics, name, dict, within="metrics.") for name in metrics},
            files={name: self.file(files, name) for name in files},
            config=self.take(tree, "config", dict),
            # Files written before there was one have none.
            verification=self.take(tree, "verification", dict) if "verification" in tree else {},
        )

    def input(self, tree: dict[str, Any]) -> InputSpec:
        within = "input."
        return InputSpec(
            height=self.take(tree, "height", int, within=within),
            width=self.take(tree, "width", int, within=within),
            dtype=self.take(tree, "dtype", dict, within=within),
            mean=self.number(tree, "mean", within=within),
            std=self.number(tree, "std", within=within),
            resize=self.take(tree, "resize", str, within=within),
            color=self.take(tree, "color", str, within=within),
        )

    def output(self, tree: Any) -> OutputSpec:
        return OutputSpec(
            name=self.take(tree, "name", str, within="outputs."),
            index=self.take(tree, "index", int, within="outputs."),
            shape=tuple(self.take(tree, "shape", list, within="outputs.")),
        )

    def file(self, files: dict[str, Any], name: str) -> FileEntry:
        entry = self.take(files, name, dict, within="files.")
        within = f"files.{name}."
        return FileEntry(
            bytes=self.take(entry, "bytes", int, within=within),
            sha256=self.take(entry, "sha256", str, within=within),
        )

    def number(self, tree: Any, key: str, *, within: str) -> float:
        value = tree.get(key)
        return float(value) if type(value) is int else self.take(tree, key, float, within=within)

    def texts(self, tree: Any, key: str) -> tuple[str, ...]:
        values = self.take(tree, key, list)
        if not all(isinstance(value, str) for value in values):
            raise ModelError(f"{self.path}: '{key}' must be a list of texts, got {values!r}")
        return tuple(values)

    def take(self, tree: Any, key: str, kind: type, *, within: str = "") -> Any:
        if not isinstance(tree, dict) or key not in tree:
            raise ModelError(f"{self.path}: '{within}{key}' is missing; export the model again")
        value = tree[key]
        # bool is a subclass of int, but true is not a size
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ModelError(
                f"{self.path}: '{within}{key}' must be {_KIND_NAMES[kind]}, got {value!r}; "
                "export the model again"
            )
        return value


_KIND_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a text",
    dict: "an object",
    list: "a list",
}
