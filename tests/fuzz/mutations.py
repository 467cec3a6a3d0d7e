"""Turn a good file into a damaged or hostile one, the same for the same random numbers."""

from __future__ import annotations

import contextlib
import json
import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

MOST_BYTES = 400_000  # of a mutated file: of more, the mutations themselves take seconds
_WINDOW = 20_000  # characters that an edit looks for its place in
_NUMBERS = (0, 1, -1, 2, 7, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)
_WORDS = (
    *("nan", "-inf", "1e400", "1e-400", "0x1F", "1_000", "-1", "0", "2.5", "99999999", "1" * 5000),
    *("", " ", "\t", "\r", "\n", "\0", "\ufeff", "\u2028", "\ud800", "true", "null", "None"),
    *("../x", "/etc/passwd", "/dev/zero", "C:\\x", "./", "x" * 300, "é", "٣", "a" * 70_000),
    *(
        "<",
        "]]>",
        "&lt;",
        "&a;",
        '"',
        "'",
        ",",
        ":",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "#",
        "*a",
        "&a [*a]",
    ),
    *(
        "!!set",
        "!!python/object:os.system",
        "2024-99-99",
        "&a [*a]",
        "<<: *a",
        "=",
        "\\",
        "\\u0000",
    ),
    *("[" * 2000, "{" * 2000, '{"a":' * 2000, "(" * 2000, "- " * 2000, "<a>" * 2000, "-" * 2000),
)
_WORD = re.compile(r"\w[\w.\-]*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_LINE = re.compile(r"(?m)^[^\n]*\n")
# Bounded: without an end, text that has none is gone through from each of its characters
_QUOTED = re.compile(
    r'(?<=")[^"\n]{0,200}(?=")|(?<=>)[^<>]{1,200}(?=<)|<(\w{1,50})>[^<>]{0,200}</\1>'
)


def mutate(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Return a mutation of `data`; `others` are files of the same kind, to take pieces from."""
    changes = _changes(data)
    for _ in range(1 + min(int(random.expovariate(0.7)), 7)):
        with contextlib.suppress(RecursionError):  # a tree that is nested too deeply to change
            data = random.choice(changes)(data, random, others)[:MOST_BYTES]
    return data


_Change = Callable[[bytes, Random, Sequence[bytes]], bytes]


def _changes(data: bytes) -> Sequence[_Change]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return _BINARY
    if "\0" in text:
        return _BINARY
    if text[:1] in "{[":
        return (*_JSON, *_TEXT, _cut)
    return (*_TEXT, _cut, _flip)


def _place(data: bytes, random: Random) -> int:
    return random.randrange(len(data)) if data else 0


def _flip(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _number in range(random.choice((1, 1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _set(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + bytes([random.choice((0, 1, 2, 127, 128, 255))]) + data[at + 1 :]


def _number(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    width, order = random.choice((1, 2, 4, 4, 4, 8)), random.choice("<<<>")
    value = random.choice(_NUMBERS) % 256**width
    packed = struct.pack(f"{order}{'BH_I___Q'[width - 1]}", value)
    at = _place(data, random)
    at -= at % width if random.random() < 0.8 else 0
    return data[:at] + packed + data[at + width :]


def _nudge(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    """Add a little to a number of four bytes, as an offset, a count or a side may be."""
    at = _place(data, random) & ~3
    if len(data) < at + 4:
        return data
    value = struct.unpack_from("<I", data, at)[0] + random.choice((-4, -1, 1, 4, 16, 64, 4096))
    return data[:at] + struct.pack("<I", value % 2**32) + data[at + 4 :]


def _cut(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    return data[: _place(data, random)]


def _drop(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    return data[:at] + data[at + random.choice((1, 2, 4, 16, 100)) :]


def _repeat(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    end = at + random.choice((1, 4, 16, 100))
    return data[:at] + data[at:end] * random.choice((2, 2, 3, 50, 1000)) + data[end:]


def _noise(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = _place(data, random)
    noise = random.randbytes(random.choice((1, 2, 4, 16)))
    return data[:at] + noise + data[at + random.choice((0, len(noise))) :]


def _move(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    source = random.choice(others) if others else data
    start, at = _place(source, random), _place(data, random)
    piece = source[start : start + random.choice((4, 8, 32, 200, 5000))]
    return data[:at] + piece + data[at + random.choice((0, len(piece))) :]


def _fill(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at, count = _place(data, random), random.choice((4, 16, 64, 512))
    return data[:at] + random.choice((b"\0", b"\xff", b"\x80")) * count + data[at + count :]


def _edit(pattern: re.Pattern[str], words: Sequence[str]) -> _Change:
    def change(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        text = data.decode("utf-8", "surrogatepass")
        start = random.randrange(max(len(text) - _WINDOW, 0) + 1)
        found = list(pattern.finditer(text, start, start + _WINDOW))
        if not found:
            return _noise(data, random, others)
        match, other = random.choice(found), random.choice(found)
        new = random.choice(
            ("", match.group() * 2, other.group(), random.choice(words), random.choice(words))
        )
        text = text[: match.start()] + new + text[match.end() :]
        return text.encode("utf-8", "surrogatepass")

    return _safely(change)


def _many(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Repeat a line very often."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    place = random.randrange(len(lines))
    # No more than `mutate` keeps: a file of one line, 3,000 times, would be a gigabyte
    times = min(3000, MOST_BYTES // len(lines[place]) + 1)
    return b"".join(lines[:place] + lines[place : place + 1] * times + lines[place + 1 :])


def _recode(data: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    text = data.decode("utf-8", "replace")
    return text.encode(random.choice(("utf-16", "latin-1", "utf-8-sig", "utf-32")), "replace")


def _safely(change: _Change) -> _Change:
    """Leave text that a change before has made something else to the changes of bytes."""

    def safe(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
        try:
            return change(data, random, others)
        except UnicodeDecodeError:
            return _noise(data, random, others)

    return safe


def _tree(data: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Replace, remove or double a value somewhere in a JSON document."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _flip(data, random, others)
    for _ in range(random.choice((1, 1, 2, 4))):
        places = list(_places(tree))
        if not places:
            break
        holder, key = random.choice(places)
        if random.random() < 0.15:
            del holder[key]
        elif random.random() < 0.15:
            other_holder, other_key = random.choice(places)
            holder[key] = json.loads(json.dumps(other_holder[other_key]))
        else:
            holder[key] = _value(random)
    try:
        return json.dumps(tree).encode()
    except (ValueError, RecursionError):
        return data


def _value(random: Random) -> Any:
    simple = (None, True, False, 0, 1, -1, 2.5, 1e308, float("nan"), float("inf"), 10**400, 2**63)
    number = random.randrange(5)
    if number == 0:
        return random.choice(simple)
    if number == 1:
        return random.choice(_WORDS).encode("utf-8", "replace").decode()
    if number == 2:
        return [random.choice(simple) for _ in range(random.randrange(6))]
    if number == 3:
        return {random.choice(("", "id", "name", "x" * 300)): random.choice(simple)}
    return random.choice((10**6, 10**9, -(10**9), 400_000, "a.jpg", [], {}, [[]], [{}], [None] * 9))


def _places(value: Any) -> Any:
    """Yield every (container, key) of a tree."""
    if not isinstance(value, (dict, list)):
        return
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        yield from _places(item)


_BINARY: Sequence[_Change] = (
    *(_flip, _flip, _set, _number, _number, _nudge, _nudge, _cut, _drop, _repeat, _noise, _move),
    _fill,
)
_TEXT: Sequence[_Change] = (
    _edit(_WORD, _WORDS),
    _edit(_WORD, _WORDS),
    _edit(_NUMBER, (*map(str, _NUMBERS), *_WORDS)),
    _edit(_NUMBER, (*map(str, _NUMBERS), *_WORDS)),
    _edit(_LINE, _WORDS),
    _edit(_QUOTED, _WORDS),
    _drop,
    _repeat,
    _noise,
    _move,
    _many,
    _recode,
)
_JSON: Sequence[_Change] = (_tree,) * 12
