"""Values as source text. Labels are any text, so only harmless characters are written as they are.

What is left out of `_PLAIN` ends a string or a comment in some language, starts an interpolation, a
trigraph or an HTML tag, or looks like something that it is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _.,:;+-()&/#@!=~"
)
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


def utf16_escaped(text: str) -> str:
    r"""Return a string literal with \uXXXX for each UTF-16 unit: JavaScript, Kotlin."""
    return _quoted(text, lambda character: "".join(map(r"\u{:04x}".format, _units(character))))


def python_string(text: str) -> str:
    r"""Return a string literal with \uXXXX or \UXXXXXXXX."""
    return _quoted(text, lambda x: rf"\u{ord(x):04x}" if ord(x) < 0x10000 else rf"\U{ord(x):08x}")


def swift_string(text: str) -> str:
    r"""Return a string literal with \u{X}."""
    return _quoted(text, lambda character: f"\\u{{{ord(character):x}}}")


def c_string(text: str) -> str:
    r"""Return a string literal of UTF-8 bytes, as \OOO, which the next digit can't lengthen."""
    return _quoted(text, lambda x: "".join(map(r"\{:03o}".format, x.encode("utf-8"))))


def float_text(value: float) -> str:
    """Return a float32 with as few digits as tell it from its neighbours."""
    return str(np.float32(value))


def comment_text(text: str) -> str:
    """Return text that can't end a comment: what isn't plain becomes an underscore."""
    return "".join(character if character in _PLAIN else "_" for character in text)


def snake_case(text: str) -> str:
    """Return a name for a file, a module or a namespace; it starts with a letter."""
    words = [word for word in _NO_NAME.split(text) if word]
    name = "_".join(words).lower() or "model"
    return name if name[0].isalpha() else f"model_{name}"


def camel_case(text: str) -> str:
    """Return a name for a type."""
    return "".join(word[:1].upper() + word[1:] for word in snake_case(text).split("_"))


def _quoted(text: str, escape: Callable[[str], str]) -> str:
    return '"' + "".join(x if x in _PLAIN else escape(x) for x in text) + '"'


def _units(character: str) -> list[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
