"""The compilers of `edge-retina inspect --compiler`.

To add one, write its file and its line here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.compilers import micro, vela
from edge_retina.compilers.compiler import Compiler
from edge_retina.compilers.other_python import OtherPython
from edge_retina.compilers.report import CompilerReport
from edge_retina.errors import CompilerError, choices_hint

COMPILERS: dict[str, Compiler] = {one.COMPILER.name: one.COMPILER for one in (vela, micro)}


@dataclass(frozen=True)
class Request:
    """A compiler that is there and knows its configuration.

    Attributes:
        compiler: of the table.
        configuration: what to compile for.
        python: that has the package.
        version: of the package.
    """

    compiler: Compiler
    configuration: str
    python: OtherPython
    version: str

    def examine(self, path: Path) -> CompilerReport:
        """Let the compiler have a .tflite file.

        Raises:
            CompilerError: it failed in a way that is not the file's fault.
        """
        return self.compiler.examine(path, self.configuration, self.python, self.version)


def prepare(texts: Sequence[str], python: OtherPython) -> tuple[Request, ...]:
    """Return what `--compiler` asks for, after checking that all of it is there.

    Args:
        texts: "NAME" or "NAME:CONFIGURATION"; the same one twice counts once.
        python: that has the packages.

    Raises:
        CompilerError: an unknown compiler or configuration, or a missing package.
    """
    return tuple(_prepare(text, python) for text in dict.fromkeys(texts))


def _prepare(text: str, python: OtherPython) -> Request:
    name, _, configuration = text.partition(":")
    compiler = COMPILERS.get(name)
    if compiler is None:
        raise CompilerError(
            f"--compiler {text}: no compiler {name!r}; {choices_hint(name, COMPILERS)}"
        )
    return Request(compiler, configuration, python, compiler.check(configuration, python))
