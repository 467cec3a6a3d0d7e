"""manifest.json: what an export directory says about the models in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.errors import ModelError
from edge_retina.files import load_json, sha256_file, write_json
from edge_retina.runtime.raw_layout import RawLayout
from edge_retina.schema import Reader, to_plain

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
_MOST_PIXELS = 8192  # of a side: anchors are made for every place of a picture


@dataclass(frozen=True)
class InputSpec:
    """What the models take.

    Attributes:
        height, width: pixels.
        dtype: by file name: "uint8" (pixel values), "int8" (pixel - 128) or "float32"
            ((pixel - mean) / std).
        mean, std: of the normalisation; folded into the models with uint8 or int8 input.
        resize: how images are brought to this size: "stretch".
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

    @classmethod
    def of(cls, path: Path) -> FileEntry:
        """Describe a file."""
        return cls(path.stat().st_size, sha256_file(path))


@dataclass(frozen=True)
class Manifest:
    """The content of manifest.json.

    Attributes:
        edge_retina_version: of the package that exported.
        input: what the models take.
        outputs: boxes, classes, scores, count; of the files that `layouts` doesn't describe. Where
            all files are without NMS, those of the flat form, or none.
        labels: class names by index.
        anchors: shapes by level and whatever else defines them.
        thresholds: score_threshold, nms_iou and the like, as baked into the graph.
        quantization: method, recipe, calibration (with the hash of the image ids).
        metrics: by file name: mAP, mAP50, images, split, data_sha256.
        files: by file name; all files of the export but this one, decoders too.
        config: the whole resolved config.
        verification: by file name: on how many images it was compared with its model in Keras
            and which share of the detections it found; empty where it was not compared.
        layouts: by file name: the tensors of a file without NMS, for decoders.
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
    # Files written before there was one have none.
    verification: dict[str, dict[str, Any]] = field(default_factory=dict)
    layouts: dict[str, RawLayout] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document, version first."""
        plain: dict[str, Any] = to_plain(self)
        return {"schema_version": self.schema_version, **plain}

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
        tree = load_json(path)
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file; expected an export directory's {MANIFEST_NAME}"
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path}: can't be read ({reason}); export the model again") from None
    except ValueError as error:
        raise ModelError(f"{path}: not valid JSON ({error}); export the model again") from None
    reader = Reader(str(path), ModelError, remedy="export the model again", ignore_unknown=True)
    if not isinstance(tree, dict) or "schema_version" not in tree:
        raise reader.fail("'schema_version' is missing")
    if tree["schema_version"] != SCHEMA_VERSION:
        raise ModelError(
            f"{path}: schema_version is {tree['schema_version']!r}, expected {SCHEMA_VERSION}; use "
            "the edge-retina that exported the model, or export it again"
        )
    manifest = reader.read(Manifest, tree)
    for name in manifest.files:
        if not name or name in (".", "..") or any(char in name for char in "/\\\0"):
            raise reader.fail(
                f"files has the name {name!r}, expected that of a file beside {MANIFEST_NAME}"
            )
    for name, side in (("height", manifest.input.height), ("width", manifest.input.width)):
        if not 1 <= side <= _MOST_PIXELS:
            raise reader.fail(f"input.{name} is {side}, expected 1..{_MOST_PIXELS}")
    return manifest
