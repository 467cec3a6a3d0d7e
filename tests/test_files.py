"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge_retina.files import (
    atomic_path,
    dump_json,
    load_json,
    remove_leftovers,
    sha256_file,
    sha256_json,
    write_bytes,
    write_json,
    write_text,
)


def test_text_and_bytes_arrive_and_directories_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "t.txt", "größer\n")
    write_bytes(tmp_path / "a" / "b.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "t.txt").read_bytes() == "größer\n".encode()
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"\x00\xff"


def test_suffix_of_the_temporary_name_is_kept(tmp_path: Path) -> None:
    """OpenCV and Keras choose the format by it."""
    with atomic_path(tmp_path / "x.weights.h5") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".h5")
        assert temporary.name != "x.weights.h5"


def test_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")

    def fail_half_way() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fail_half_way()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_old_file_is_seen_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "t.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["t.txt"]


def test_result_has_the_permissions_of_an_ordinary_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "t.txt", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t.txt").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "value, text",
    [
        ({"b": 1, "a": [1.5, None]}, '{\n  "b": 1,\n  "a": [\n    1.5,\n    null\n  ]\n}\n'),
        (float("nan"), "null\n"),
        ([float("inf"), (float("-inf"),)], "[\n  null,\n  [\n    null\n  ]\n]\n"),
        ("ü", '"ü"\n'),
    ],
)
def test_dump_json(value: object, text: str) -> None:
    assert dump_json(value) == text


def test_write_json_reads_back(tmp_path: Path) -> None:
    write_json(tmp_path / "r.json", {"mAP": 0.5, "mAP_small": float("nan")})
    assert json.loads((tmp_path / "r.json").read_text()) == {"mAP": 0.5, "mAP_small": None}


def test_sha256_file_of_more_than_one_block(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 17)
    (tmp_path / "f").write_bytes(data)
    assert sha256_file(tmp_path / "f") == hashlib.sha256(data).hexdigest()


def test_sha256_json_depends_on_values_not_on_order() -> None:
    assert sha256_json({"a": 1, "b": 2}) == sha256_json({"b": 2, "a": 1})
    assert sha256_json({"a": 1, "b": 2}) != sha256_json({"a": 1, "b": 3})
    assert sha256_json([1, 2]) != sha256_json([2, 1])


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"[" * 100_000, "nested more than 100 deep"),
        (b"[" * 101 + b"]" * 101, "nested more than 100 deep"),
        (b"\xff{}", "not UTF-8 text at byte 0"),
        (b"{", "Expecting property name"),
        (b"1" * 5000, "integer string conversion"),
    ],
)
def test_json_that_is_damaged_is_a_value_error(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=expected):
        load_json(tmp_path / "a.json")


def test_a_pipe_and_a_huge_file_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "huge", "wb") as stream:
        stream.truncate(2**40)  # sparse
    with pytest.raises(ValueError, match="it is no ordinary file"):
        load_json(tmp_path / "pipe")
    with pytest.raises(ValueError, match="at most 256 MiB are read"):
        load_json(tmp_path / "huge")


def test_the_content_is_on_the_disk_before_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, on_disk = tmp_path / "a.txt", []
    monkeypatch.setattr(
        os, "fsync", lambda file: on_disk.append((os.pread(file, 9, 0), target.exists()))
    )
    write_text(target, "new")
    assert on_disk == [(b"new", False)]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    """An error of `write` knows no name: the file was open already."""

    def fill() -> None:
        with atomic_path(tmp_path / "weights.npz"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as error:
        fill()
    assert error.value.filename == str(tmp_path / "weights.npz")
    assert os.listdir(tmp_path) == []


def test_only_temporary_files_of_processes_that_have_ended_go(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [
        "float/.best.tmp{}-abcd_123.h5",
        "float/.best.tmp{}-abcd_123",
        ".my-document.txt",
        ".a.tmp{}-toolongname.h5",
        "best.tmp{}-abcd_123.h5",
    ]
    paths = [tmp_path / name.format(ended.pid) for name in names]
    paths.append(tmp_path / f".a.tmp{os.getppid()}-abcd_123.h5")
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert sorted(remove_leftovers(tmp_path)) == sorted(paths[:2])
    assert [path.exists() for path in paths] == [False, False, True, True, True, True]


def test_a_temporary_file_is_known_as_one(tmp_path: Path) -> None:
    """Ours too: a container that starts again has the same process number."""
    with atomic_path(tmp_path / "a.tar.gz") as temporary:
        assert remove_leftovers(tmp_path) == [temporary]
        temporary.write_text("a")


def test_a_full_disk_in_the_words_of_h5py(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "best.h5"):
            raise RuntimeError("Can't decrement id (errno = 28, 'No space left on device')")

    with pytest.raises(OSError, match="No space left") as error:
        fill()
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path / "best.h5"))
