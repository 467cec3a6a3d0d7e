"""A .tflite file as a file: is it one, and which labels does it carry?"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from edge_retina.errors import ModelError
from edge_retina.files import read_small_file, sha256_file
from edge_retina.runtime.manifest import MANIFEST_NAME, load_manifest

LABELS_NAME = "labels.txt"
MODEL_IDENTIFIER = b"TFL3"  # bytes 4..8 of every TFLite flatbuffer
_MOST_LABEL_BYTES = 1_000_000  # ten thousand long names; deflated, gigabytes fit into a small file
_MOST_FILES_INSIDE = 100
# What zipfile raises for archives that are damaged, encrypted or of a method it doesn't know
_BROKEN_ARCHIVE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, RuntimeError, OSError),
    *(EOFError, OverflowError, ValueError),
)


def check_model_file(path: Path) -> None:
    """Refuse what is no TFLite file, with a better reason than LiteRT gives.

    Raises:
        ModelError: missing, a directory, or another kind of file.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for whoever writes into it
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            is_ordinary = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
            head = stream.read(8) if is_ordinary else b""
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; expected a .tflite model") from None
    except OSError as error:
        reason = error.strerror or error
        raise ModelError(f"{path}: can't be read ({reason}); expected a .tflite model") from None
    if not is_ordinary:
        raise ModelError(f"{path}: no ordinary file; expected a .tflite model")
    if head[4:] != MODEL_IDENTIFIER:
        raise ModelError(
            f"{path}: not a TFLite file "
            f"(bytes 4..8 are {head[4:]!r}, expected {MODEL_IDENTIFIER!r})"
        )


def check_manifest_hash(path: Path) -> None:
    """Refuse a file that isn't what the manifest beside it describes: damaged, or replaced.

    A file that no manifest lists is taken as it is.

    Raises:
        ModelError: another size or hash, or the manifest can't be read.
    """
    if not (path.parent / MANIFEST_NAME).is_file():
        return
    entry = load_manifest(path.parent).files.get(path.name)
    if entry is None:
        return
    size = path.stat().st_size
    if size != entry.bytes:
        found = f"it has {size} bytes, there are {entry.bytes} in the manifest"
    elif sha256_file(path) != entry.sha256:
        found = "its SHA-256 is another one"
    else:
        return
    raise ModelError(
        f"{path}: isn't the file that {MANIFEST_NAME} beside it describes ({found}); copy or "
        f"export it again, or move it away from the {MANIFEST_NAME} of another file"
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


def files_inside(path: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Return the associated files of a .tflite file by name: a zip archive at its end.

    Args:
        path: of the .tflite file.
        wanted: whether the file of a name is.

    Raises:
        ModelError: the archive is broken, or unpacks to more than any labels take.
    """
    if not zipfile.is_zipfile(path):
        return {}
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in filter(wanted, archive.namelist()[:_MOST_FILES_INSIDE]):
                with archive.open(name) as stream:
                    found[name] = stream.read(_MOST_LABEL_BYTES + 1)
                if len(found[name]) > _MOST_LABEL_BYTES:
                    raise ModelError(
                        f"{path}, {name} inside: longer than {_MOST_LABEL_BYTES // 10**6} MB; "
                        "expected one class name a line"
                    )
    except _BROKEN_ARCHIVE as error:
        raise ModelError(
            f"{path}: the archive with the labels at its end is broken ({error}); "
            "copy or export the model again"
        ) from None
    return found


def _labels_inside(path: Path) -> tuple[str, ...]:
    content = files_inside(path, lambda name: name == LABELS_NAME).get(LABELS_NAME, b"")
    return _lines(content, where=f"{path}, {LABELS_NAME} inside")


def _labels_of_manifest(path: Path) -> tuple[str, ...]:
    if not (path.parent / MANIFEST_NAME).is_file():
        return ()
    manifest = load_manifest(path.parent)
    return manifest.labels if path.name in manifest.files else ()


def _labels_beside(path: Path) -> tuple[str, ...]:
    file = path.parent / LABELS_NAME
    if not file.is_file():
        return ()
    try:
        return _lines(read_small_file(file), where=str(file))
    except ValueError as error:
        raise ModelError(f"{file}: {error}; expected one class name a line") from None


def _lines(data: bytes, *, where: str) -> tuple[str, ...]:
    try:
        return tuple(data.decode("utf-8").splitlines())
    except UnicodeDecodeError:
        raise ModelError(f"{where}: not UTF-8 text; expected one class name a line") from None
