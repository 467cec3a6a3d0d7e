"""A .tflite file as a file: is it one, and which labels does it carry?"""

from __future__ import annotations

import zipfile
from pathlib import Path

from edge_retina.errors import ModelError
from edge_retina.runtime.manifest import MANIFEST_NAME, load_manifest

LABELS_NAME = "labels.txt"
MODEL_IDENTIFIER = b"TFL3"  # bytes 4..8 of every TFLite flatbuffer


def check_model_file(path: Path) -> None:
    """Refuse what is no TFLite file, with a better reason than LiteRT gives.

    Raises:
        ModelError: missing, a directory, or another kind of file.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(8)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; expected a .tflite model") from None
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path}: can't be read ({reason}); expected a .tflite model") from None
    if head[4:] != MODEL_IDENTIFIER:
        raise ModelError(
            f"{path}: not a TFLite file "
            f"(bytes 4..8 are {head[4:]!r}, expected {MODEL_IDENTIFIER!r})"
        )


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the class names of a .tflite file, by index.

    They are looked for inside the file (the associated file `labels.txt`), then in the
    `manifest.json` beside it if that lists the file, then in the `labels.txt` beside it.

    Raises:
        ModelError: found in none of these places, or empty.
    """
    labels = _labels_inside(path) or _labels_of_manifest(path) or _labels_beside(path)
    if not labels:
        raise ModelError(
            f"{path}: no class names: no {LABELS_NAME} inside the file, and neither a "
            f"{MANIFEST_NAME} that lists it nor a {LABELS_NAME} in {path.parent}; "
            f"put a {LABELS_NAME} there, one name a line"
        )
    return labels


def _labels_inside(path: Path) -> tuple[str, ...]:
    if not zipfile.is_zipfile(
        path
    ):  # associated files are a zip archive appended to the flatbuffer
        return ()
    try:
        with zipfile.ZipFile(path) as archive:
            if LABELS_NAME not in archive.namelist():
                return ()
            return _lines(archive.read(LABELS_NAME), where=f"{path}, {LABELS_NAME} inside")
    except zipfile.BadZipFile as error:
        raise ModelError(
            f"{path}: the archive with the labels at its end is broken ({error}); "
            "copy or export the model again"
        ) from None


def _labels_of_manifest(path: Path) -> tuple[str, ...]:
    if not (path.parent / MANIFEST_NAME).is_file():
        return ()
    manifest = load_manifest(path.parent)
    return manifest.labels if path.name in manifest.files else ()


def _labels_beside(path: Path) -> tuple[str, ...]:
    file = path.parent / LABELS_NAME
    return _lines(file.read_bytes(), where=str(file)) if file.is_file() else ()


def _lines(data: bytes, *, where: str) -> tuple[str, ...]:
    try:
        return tuple(data.decode("utf-8").splitlines())
    except UnicodeDecodeError:
        raise ModelError(f"{where}: not UTF-8 text; expected one class name a line") from None
