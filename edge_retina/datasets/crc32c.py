"""CRC-32C, the checksum of TFRecords, by table look-ups in NumPy: 200 MB/s and no dependency.

A CRC without its initial value is linear over exclusive or: that of a message is the sum of those
of its words, each as if only zeros followed. So all words are looked up at once, then neighbours
are added in pairs, the left one of each moved on by the length of the right one. The initial value,
or the state behind an earlier block, is added to the first word.

Source: the polynomial, RFC 3720 (iSCSI), section 12.1; combining by powers of the operator that
appends a zero, crc32_combine of zlib.
"""

from __future__ import annotations

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # reflected
_WORD = 4  # bytes
_BLOCK = 1 << 18  # bytes looked up at once; what they need stays in the processor's cache
_ALL = 0xFFFFFFFF


def _byte_table() -> np.ndarray:
    """Return the state (256,) uint32 behind each byte, from state 0."""
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = (state >> np.uint32(1)) ^ (state & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    return state


_BYTES = _byte_table()
_BYTE_LIST: list[int] = _BYTES.tolist()  # three times as fast as the array, one by one


def crc32c(data: bytes | memoryview) -> int:
    """Return the CRC-32C of `data`."""
    words = np.frombuffer(data, "<u4", len(data) // _WORD)
    state = _ALL
    if len(words) > _WORD:  # below, the loop is faster
        for start in range(0, len(words), _BLOCK // _WORD):
            state = _linear(words[start : start + _BLOCK // _WORD], state)
        rest = data[len(words) * _WORD :]
    else:
        rest = data
    for byte in rest:
        state = (state >> 8) ^ _BYTE_LIST[(state ^ byte) & 0xFF]
    return state ^ _ALL


def _linear(words: np.ndarray, state: int) -> int:
    """Return the state behind (N,) little-endian words, from `state` on."""
    values = words.astype(np.uint32)
    values[0] ^= np.uint32(state)
    values = _move(values, 0)
    level = 0
    while len(values) > 1:
        if len(values) % 2:
            values = np.concatenate([np.zeros(1, np.uint32), values])
        values = _move(values[0::2], level) ^ values[1::2]
        level += 1
    return int(values[0])


def _move(states: np.ndarray, level: int) -> np.ndarray:
    """Return (N,) states as they are when 2**level words of zeros have followed."""
    low, high = _tables(level)
    return low.take(states & np.uint32(0xFFFF)) ^ high.take(states >> np.uint32(16))


@cache
def _tables(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where 2**level words of zeros move the lower and the upper 16 bits, (65536,) each."""
    halves = np.arange(1 << 16, dtype=np.uint32)
    tables = []
    for values in (halves, halves << np.uint32(16)):
        if level == 0:
            for _ in range(_WORD):
                values = (values >> np.uint32(8)) ^ _BYTES[values & np.uint32(0xFF)]
        else:
            values = _move(_move(values, level - 1), level - 1)
        tables.append(values)
    return tables[0], tables[1]
