"""Every error that this package raises deliberately.

EdgeRetinaError             anything the user can fix; the CLI prints one line and exits with 1
├── ConfigError             a config file, a --set override or a preset
├── DatasetError            a data set: layout, annotation, image
│   └── ImageError          one image file, with a code that says what is wrong with it
├── RunError                a RUN directory: missing stage, changed config, half-written state
├── TrainingError           non-finite loss, nothing to train on
├── ModelError              a model file: not readable, other inputs or outputs than expected
├── ExportError             conversion or verification of an artefact
├── CompilerError           a compiler of another environment: missing, or unknown to it
└── BenchmarkError          a measurement that could not be made
    └── DeviceLostError     the connection to the device broke on the way

Each message is one line: what is wrong, where, what was found, what is allowed and how to fix it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Literal

_LONGEST_LINE = 2000  # characters of a message; a class name or a path may have thousands
_END = 500  # of them, at the end, where the remedy is
_MOST_SHOWN = 50  # names of a list in a message
_MOST_LETTERS = 100  # of a name that others are compared with: that takes the square of them
ImageCode = Literal["missing-image", "empty-file", "truncated-image", "unreadable-image"]


# The packages of the extra `train`, by the names that they are imported by
_TRAINING_PACKAGES = frozenset({"h5py", "tensorflow", "tf_keras", "tensorflow_model_optimization"})
_LONGEST = 3000  # characters of a message; more of a damaged file's content helps nobody


class EdgeRetinaError(Exception):
    """Base class of all errors that the user can fix.

    A message can be printed everywhere and is no longer than a screen, whatever a file holds that
    it quotes.
    """

    def __init__(self, message: str) -> None:
        text = message.encode("utf-8", "backslashreplace").decode("utf-8")
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - _END]} [...] {text[-_END:]}"
        super().__init__(text)


class ConfigError(EdgeRetinaError):
    """A config file, preset or override that can't be used."""


class DatasetError(EdgeRetinaError):
    """A data set that can't be read or used."""


class ImageError(DatasetError):
    """An image file that can't be used.

    Attributes:
        code: what is wrong, for programs.
        reason: the same for people, without the file's name.
    """

    def __init__(self, name: str, reason: str, *, code: ImageCode) -> None:
        super().__init__(f"{name}: {reason}")
        self.code = code
        self.reason = reason


class RunError(EdgeRetinaError):
    """A RUN directory that is not in the state a command needs."""


class TrainingError(EdgeRetinaError):
    """Training that can't go on."""


class ModelError(EdgeRetinaError):
    """A model file that can't be used."""


class ExportError(EdgeRetinaError):
    """An artefact that could not be made or that failed its verification."""


class CompilerError(EdgeRetinaError):
    """A compiler or interpreter of another environment that is missing or can't be asked."""


class BenchmarkError(EdgeRetinaError):
    """A measurement that could not be made."""


class DeviceLostError(BenchmarkError):
    """A device that was there and is gone: what was measured before stays true."""


def missing_extra(error: ImportError, what: str) -> str:
    """Return one line that says which extra has to be installed; "" if none would help.

    Args:
        error: of an import.
        what: that needs the package, to start the line with.
    """
    package = (error.name or "").split(".")[0]
    if package in _TRAINING_PACKAGES:
        return f'{what} needs the training extra: pip install "edge-retina[train]"'
    if package == "optuna":
        return f'{what} needs the tuning extra: pip install "edge-retina[train,tune]"'
    return ""


def choices_hint(got: str, allowed: Iterable[str]) -> str:
    """Return the end of an error message: the closest allowed name, or all of them.

    Args:
        got: the invalid name.
        allowed: the valid names.

    Returns:
        ``did you mean 'x'?`` if one is similar, else ``allowed: a, b, c``.
    """
    names = sorted(allowed)
    compared = [name for name in names if len(name) <= _MOST_LETTERS]
    near = difflib.get_close_matches(got[:_MOST_LETTERS], compared, n=1)
    return f"did you mean '{near[0]}'?" if near else f"allowed: {shortened_list(names)}"


def shortened_list(names: Collection[str]) -> str:
    """Return names for a message: all of them, or the first ones and how many more there are."""
    shown = ", ".join(name[:_MOST_LETTERS] for name in islice(names, _MOST_SHOWN))
    more = len(names) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def first_line(error: Exception) -> str:
    """Return the first line of a foreign error's message, or its kind if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def one_line(text: str) -> str:
    """Return a message as one line that a terminal can show.

    Line ends become spaces, characters that would control the terminal their escape sequences, and
    of a very long message the middle is left out.
    """
    line = " ".join(part.strip() for part in text.splitlines())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    if len(line) <= _LONGEST_LINE:
        return line
    start = _LONGEST_LINE - _END
    left_out = len(line) - _LONGEST_LINE
    return f"{line[:start]} [... {left_out} characters ...] {line[-_END:]}"
