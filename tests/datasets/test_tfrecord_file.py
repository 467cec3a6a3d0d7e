"""The container of TFRecords: checksums, lengths, and what is said of damage."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import numpy as np
import pytest

from edge_retina.datasets import crc32c as module
from edge_retina.datasets.crc32c import crc32c
from edge_retina.datasets.tfrecord_file import (
    data_fit,
    find_records,
    mapped_file,
    masked_crc32c,
    write_record,
)
from edge_retina.errors import DatasetError

# RFC 3720, appendix B.4, and the check value of the CRC catalogue
KNOWN = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


def slow_crc32c(data: bytes) -> int:
    """Bit by bit, as it is defined."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize("data, expected", KNOWN)
def test_known_checksums(data: bytes, expected: int):
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [*range(40), 63, 64, 65, 1000, 4095, 4097, 9999])
def test_checksums_of_all_sizes(size: int, monkeypatch: pytest.MonkeyPatch):
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    assert crc32c(data) == slow_crc32c(data)
    monkeypatch.setattr(module, "_BLOCK", 1024)  # several blocks, the last one shorter
    assert crc32c(data) == slow_crc32c(data)


def test_the_mask():
    # tensorflow/core/lib/hash/crc32c.h: rotated right by 15 bits, plus a constant
    crc = crc32c(b"foo")
    assert masked_crc32c(b"foo") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Three records of 100, 0 and 2,000 bytes."""
    stream = io.BytesIO()
    sizes = [write_record(stream, bytes([n]) * n) for n in (100, 0)]
    sizes.append(write_record(stream, b"x" * 2000))
    assert sizes == [116, 16, 2016]
    path = tmp_path / "a.tfrecord"
    path.write_bytes(stream.getvalue())
    return path


def read(path: Path) -> list[bytes]:
    with mapped_file(path) as buffer:
        records = list(find_records(buffer, path))
        assert all(data_fit(buffer, record) for record in records)
        return [buffer[record.start : record.stop] for record in records]


def test_records_come_back(written: Path, tmp_path: Path):
    assert read(written) == [b"d" * 100, b"", b"x" * 2000]
    (tmp_path / "empty.tfrecord").write_bytes(b"")  # TensorFlow writes a shard without records so
    assert read(tmp_path / "empty.tfrecord") == []


@pytest.mark.parametrize("size", [*range(117, 132), 133, 143, 144, 1000, 2147])
def test_a_file_that_is_cut_off(written: Path, size: int):
    written.write_bytes(written.read_bytes()[:size])
    number, start = (2, 116) if size < 132 else (3, 132)
    with pytest.raises(DatasetError) as error:
        read(written)
    assert str(error.value) == (
        f"{written}, record {number} at byte {start}: the file ends within it, after {size} bytes; "
        "copy or write the file again"
    )


@pytest.mark.parametrize("at", [*range(116, 128)])
def test_a_flipped_bit_in_a_length_or_its_checksum(written: Path, at: int):
    data = bytearray(written.read_bytes())
    data[at] ^= 0x10
    written.write_bytes(data)
    with pytest.raises(DatasetError) as error:
        read(written)
    assert f"{written}, record 2 at byte 116: its length doesn't fit its" in str(error.value)


@pytest.mark.parametrize("at", [12, 60, 111, 112, 115])
def test_a_flipped_bit_in_the_data_or_their_checksum(written: Path, at: int):
    data = bytearray(written.read_bytes())
    data[at] ^= 0x10
    written.write_bytes(data)
    with mapped_file(written) as buffer:
        assert [data_fit(buffer, r) for r in find_records(buffer, written)] == [False, True, True]


@pytest.mark.parametrize(
    "content, said",
    [
        (b"hello, this is a text file\n", "record 1 at byte 0: not a TFRecord file"),
        (b"hello", "record 1 at byte 0: not a TFRecord file"),
        (
            gzip.compress(b"x" * 100, mtime=0),
            "is compressed with gzip, so .*unpack it first, as with",
        ),
        (zlib.compress(b"x" * 100), "is compressed with zlib; write it without compression"),
    ],
)
def test_what_is_no_tfrecord_file(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=said) as error:
        read(path)
    assert str(error.value).startswith(str(path))


def test_a_file_that_is_missing(tmp_path: Path):
    with pytest.raises(DatasetError, match="can't be read"):
        read(tmp_path / "a.tfrecord")
