"""Atomic writes: a reader never sees a partly written file. JSON and hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_retina.stored_files import open_binary

_TEMPORARY = re.compile(r"\..*\.tmp(\d{1,9})-[a-z0-9_]{8}(\..*)?", re.DOTALL)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MOST_BYTES = 256 * 2**20  # of a small file; detections of 5,000 pictures take some 60 MB
_MOST_LEVELS = 100  # of lists and objects inside one another; ours have less than ten


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds.

    The suffix is kept, because writers such as OpenCV and Keras choose the format by it. On an
    error the temporary file is removed and `path` is left unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem}.tmp{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        with naming_full_disk(path):
            yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; results are not
        with naming_full_disk(path):  # some file systems notice only now
            flush_to_disk(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming_full_disk(path: Path | str) -> Iterator[None]:
    """Put a path into an error about space: one of an open file doesn't know which file it is.

    Raises:
        OSError: the disk or the quota is full; with `path` as its file name.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        if number is None and os.strerror(errno.ENOSPC) in str(error):  # in h5py's own words
            number = errno.ENOSPC
        if number in _FULL and getattr(error, "filename", None) is None:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def remove_leftovers(directory: Path) -> list[Path]:
    """Delete the temporary files that killed processes left below a directory.

    To be called when nobody else writes there. A file whose process is alive stays.

    Returns:
        What was deleted.
    """
    found = [
        path
        for path in sorted(directory.rglob(".*.tmp*-*"))
        if (match := _TEMPORARY.fullmatch(path.name)) and not _is_alive(int(match[1]))
    ]
    for path in found:
        path.unlink(missing_ok=True)
    return found


def _is_alive(pid: int) -> bool:
    """Whether another process has this number; ours has just begun and has left nothing."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def flush_to_disk(path: Path) -> None:
    """Wait for a file's content: a rename may reach the disk before it when the power fails."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN becomes null (JSON has no NaN)."""
    write_text(path, dump_json(value))


def dump_json(value: Any) -> str:
    """Return `value` as indented JSON text with a final newline; NaN becomes null."""
    return json.dumps(_without_nan(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_small_file(path: Path | str) -> bytes:
    """Return the content of a small file of our own, such as JSON or a list of labels.

    Raises:
        OSError: it can't be read.
        ValueError: no ordinary file, which may never end, or larger than `_MOST_BYTES`.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        state = os.fstat(stream.fileno())
        if stat.S_ISDIR(state.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("it is no ordinary file")
        if state.st_size > _MOST_BYTES:
            raise ValueError(
                f"it has {state.st_size} bytes, but at most {_MOST_BYTES // 2**20} MiB are read"
            )
        return stream.read()


def read_small_text(path: Path | str) -> str:
    """Return the text of a small UTF-8 file, with or without a byte order mark.

    Raises:
        OSError: it can't be read.
        ValueError: no ordinary file, too large, or not UTF-8; the text says which.
    """
    return decode_text(read_small_file(path))


def decode_text(data: bytes) -> str:
    """Return UTF-8 text, with or without a byte order mark.

    Raises:
        ValueError: it is none; says where.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text at byte {error.start}") from None


def load_json(path: Path | str) -> Any:
    """Return the value in a small JSON file of our own.

    Raises:
        OSError: it can't be read.
        ValueError: too large, not UTF-8, not JSON, or nested too deeply; the text says which.
    """
    return parse_json(read_small_text(path))


def parse_json(text: str) -> Any:
    """Return the value of JSON text whose nesting is bounded.

    Raises:
        ValueError: not JSON, or nested too deeply, for whatever walks over it later too.
    """
    too_deep = f"its lists or objects are nested more than {_MOST_LEVELS} deep"
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError(too_deep) from None
    level = [tree]
    for _ in range(_MOST_LEVELS):
        level = [
            item
            for value in level
            if isinstance(value, (dict, list))
            for item in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return tree
    raise ValueError(too_deep)


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of an ordinary or stored file as hex digits."""
    digest = hashlib.sha256()
    with open_binary(path) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of `value` as canonical JSON, to fingerprint settings."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()
