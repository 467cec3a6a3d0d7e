"""What an entry of the table of compilers is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_retina.compilers.other_python import OtherPython
from edge_retina.compilers.report import CompilerReport


@dataclass(frozen=True)
class Compiler:
    """A compiler, or an interpreter that reports as one.

    Attributes:
        name: in `--compiler`.
        package: that it is installed by.
        example: what `--compiler` is given, for messages.
        check: takes the configuration and a Python; returns the version of the package. Raises
            CompilerError if the package is missing or there is no such configuration.
        examine: takes the path of a .tflite file, the configuration, a Python and the version;
            returns the report. A file that the compiler refuses is a report too.
    """

    name: str
    package: str
    example: str
    check: Callable[[str, OtherPython], str]
    examine: Callable[[Path, str, OtherPython, str], CompilerReport]
