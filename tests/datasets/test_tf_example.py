"""The wire format of tf.train.Example, against bytes written by hand."""

from __future__ import annotations

import struct

import pytest

from edge_retina.datasets.tf_example import (
    Feature,
    MalformedExample,
    encode_example,
    feature_names,
    parse_example,
)


def part(number: int, data: bytes) -> bytes:
    """A length-delimited field of less than 128 bytes."""
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def entry(name: bytes, feature: bytes) -> bytes:
    return part(1, part(1, name) + part(2, feature))


def parse(data: bytes, *wanted: bytes) -> dict[bytes, Feature]:
    return parse_example(b"<<" + data + b">>", 2, 2 + len(data), wanted)


PACKED = entry(b"f", part(2, part(1, struct.pack("<2f", 0.5, -2)))) + entry(
    b"i", part(3, part(1, b"\x01\xac\x02"))
)
UNPACKED = entry(
    b"f", part(2, b"\x0d" + struct.pack("<f", 0.5) + b"\x0d" + struct.pack("<f", -2))
) + entry(b"i", part(3, b"\x08\x01\x08\xac\x02"))


@pytest.mark.parametrize("entries", [PACKED, UNPACKED])
def test_numbers_packed_or_not(entries: bytes):
    found = parse(part(1, entries), b"f", b"i")
    assert found == {b"f": Feature(floats=[0.5, -2]), b"i": Feature(ints=[1, 300])}


def test_texts_are_places_and_others_are_skipped():
    data = part(1, entry(b"t", part(1, part(1, b"ab") + part(1, b""))) + PACKED)
    (feature,) = parse(data, b"t").values()
    buffer = b"<<" + data + b">>"
    assert [buffer[start:stop] for start, stop in feature.spans] == [b"ab", b""]
    assert feature_names(buffer, 2, 2 + len(data)) == ["f", "i", "t"]


def test_negative_numbers_and_unknown_fields():
    minus = b"\xff" * 9 + b"\x01"
    unknown = b"\x18\x05" + b"\x25abcd" + b"\x29abcdefgh" + part(15, b"??")
    data = unknown + part(1, entry(b"i", unknown + part(3, part(1, minus)))) + part(2, b"context")
    assert parse(data, b"i") == {b"i": Feature(ints=[-1])}


def test_features_in_two_pieces_and_the_last_of_a_name():
    first, last = (entry(b"i", part(3, part(1, bytes([n])))) for n in (1, 2))
    assert parse(part(1, first) + part(1, last), b"i") == {b"i": Feature(ints=[2])}
    assert parse(b"", b"i") == {}


@pytest.mark.parametrize(
    "data, said",
    [
        (b"\x0a", "ends within a number"),
        (b"\x0a\x05abc", "longer than what holds it"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "longer than what holds it"),
        (b"\x0a" + b"\xff" * 10 + b"\x01", "a number of more than 10 bytes"),
        (b"\x0b" * 1000, "wire type 3"),
        (b"\x02\x00", "field of number 0"),
        (b"\x09abc", "longer than what holds it"),
        (part(1, entry(b"i", part(2, part(1, b"abc")))), "a list of floats takes 3 bytes"),
        (part(1, entry(b"i", part(3, part(1, b"\x80")))), "ends within a number"),
    ],
)
def test_what_is_malformed(data: bytes, said: str):
    with pytest.raises(MalformedExample, match=said):
        parse(data, b"i")


@pytest.mark.parametrize("count", [100_000, 100_001])
def test_lists_have_a_limit(count: int):
    features = {"t": [b""] * count, "f": [0.5] * count, "i": [1] * count}
    for name, values in features.items():
        data = encode_example({name: values})
        key = name.encode()
        if count == 100_000:
            (found,) = parse(data, key).values()
            assert len(found.spans) + len(found.floats) + len(found.ints) == count
        else:
            with pytest.raises(MalformedExample, match=r"a list (has more than|of floats)"):
                parse(data, key)


def test_what_is_written_is_read():
    data = encode_example({"t": b"x" * 300, "f": [0.25, 1.0], "i": [0, -5, 2**40], "none": []})
    found = parse(data, b"t", b"f", b"i", b"none")
    assert found[b"f"].floats == [0.25, 1.0]
    assert found[b"i"].ints == [0, -5, 2**40]
    assert found[b"none"] == Feature()
    ((start, stop),) = found[b"t"].spans
    assert (b"<<" + data)[start:stop] == b"x" * 300
    assert encode_example({"b": [1], "a": [2]}) == encode_example({"a": [2], "b": [1]})
