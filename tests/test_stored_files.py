"""Files inside other files: found by their paths, and never read beyond their ends."""

from __future__ import annotations

import hashlib
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edge_retina.files import sha256_file
from edge_retina.stored_files import (
    containing_file,
    file_size,
    open_binary,
    read_bytes,
    stored_path,
)

CONTENT = bytes(range(256)) * 80


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "train-00000-of-00002.tfrecord"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("offset, length", [(0, 1), (7, 9000), (20_479, 1), (0, 20_480), (5, 0)])
def test_a_stored_file_is_those_bytes(shard: Path, offset: int, length: int):
    path = stored_path(shard, offset, length, "img/a.jpg")
    expected = CONTENT[offset : offset + length]
    assert (path.name, path.suffix) == ("a.jpg", ".jpg")
    assert containing_file(path) == containing_file(str(path)) == str(shard)
    assert file_size(path) == length
    assert read_bytes(path) == read_bytes(str(path)) == expected
    assert sha256_file(path) == hashlib.sha256(expected).hexdigest()
    with open_binary(path) as stream:
        assert stream.read() == expected
        assert stream.read(1) == b""


def test_a_stream_can_seek_and_stays_inside(shard: Path):
    with open_binary(stored_path(shard, 10, 100, "a")) as stream:
        assert stream.read(5) == CONTENT[10:15]
        assert stream.seek(90) == 90
        assert stream.read(50) == CONTENT[100:110]
        assert stream.seek(-1, 2) == 99
        assert stream.read(3) == CONTENT[109:110]
        stream.seek(2)
        assert stream.seek(3, 1) == stream.tell() == 5
        assert stream.read(2) == CONTENT[15:17]
        stream.seek(500)
        assert stream.read(1) == b""
        with pytest.raises(OSError, match="seek to before the start"):
            stream.seek(-600, 1)


def test_ordinary_files_are_read_as_ever(tmp_path: Path):
    path = tmp_path / "5+6" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    assert (containing_file(path), file_size(path), read_bytes(path)) == (str(path), 3, b"abc")
    with open_binary(path) as stream:
        assert stream.read() == b"abc"
    for read in (read_bytes, open_binary, file_size):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "missing.jpg")


@pytest.mark.parametrize("offset, length", [(20_480, 1), (0, 20_481), (10**18, 5), (3, 10**18)])
def test_what_lies_beyond_the_file_is_refused_before_it_is_allocated(
    shard: Path, offset: int, length: int
):
    path = stored_path(shard, offset, length, "a.jpg")
    tracemalloc.start()
    try:
        for read in (read_bytes, open_binary):
            with pytest.raises(OSError, match="its shard has only 20480 bytes; it was cut or"):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "shard, name",
    [
        ("a/train.tfrecord", "x.jpg"),
        ("a/train.tfrecords", "x.jpg"),
        ("a/coco_val.record-00003-of-00010", "x.jpg"),
        ("a/TRAIN-00000-of-00002.TFRECORD", "x.jpg"),
        ("a/train.record", "other.record/1+2/x.jpg"),  # a name may look like anything
        ("train.tfrecord", "5+6/x.jpg"),
        ("a/train.tfrecord", "two\nlines.jpg"),
    ],
)
def test_which_paths_are_stored(shard: str, name: str):
    assert containing_file(stored_path(shard, 3, 4, name)) == shard


@pytest.mark.parametrize(
    "path", ["a/5+6/x.jpg", "a.tfrecord", "a.tfrecord/5+6", "a.tfrecord/5-6/x", "a.tfrecord2/5+6/x"]
)
def test_which_paths_are_not(path: str):
    assert containing_file(path) == path


def test_many_threads_and_a_replaced_shard(shard: Path):
    paths = [stored_path(shard, at, 300, f"{at}.jpg") for at in range(0, 20_000, 40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read_bytes, paths))
    assert found == [CONTENT[at : at + 300] for at in range(0, 20_000, 40)]
    new = shard.with_name("new")
    new.write_bytes(CONTENT[::-1])
    new.replace(shard)
    assert read_bytes(paths[1]) == CONTENT[::-1][40:340]
