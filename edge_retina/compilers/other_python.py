"""A Python environment of its own for packages that can't be installed beside ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_retina.errors import CompilerError

ENVIRONMENT = ".venv-compilers"  # what the messages and the documents call it
_TIMEOUT_S = 1800
_VERSION = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
_MISSING = "PackageNotFoundError"


@dataclass(frozen=True)
class OtherPython:
    """The Python that compilers are run with.

    Attributes:
        path: of its program; None is the one that runs edge-retina.
    """

    path: Path | None = None

    @property
    def program(self) -> str:
        """What is called. A bare name is looked for as a shell does."""
        if self.path is None:
            return sys.executable
        # absolute, but not resolved: a virtual environment's Python is a link to another one
        return str(self.path.absolute() if self.path.parent != Path() else self.path)

    def version(self, package: str) -> str:
        """Return the version of an installed package.

        Raises:
            CompilerError: it is not installed, or `path` is no Python.
        """
        done = self.run(["-c", _VERSION, package])
        version = done.stdout.strip()
        if _MISSING in done.stderr:
            raise CompilerError(
                f"{self._name} has no package {package}; {_how_to_install(package)}"
            )
        if done.returncode or not version:
            said = last_line(done.stderr) or "it says nothing"
            raise CompilerError(
                f"{self._name} does not answer as a Python ({said}); name the Python "
                "of the environment that has the compiler"
            )
        return version

    def run(
        self, arguments: Sequence[str], *, directory: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a directory; its exit code is for the caller to judge.

        Raises:
            CompilerError: there is no such program, or it takes too long.
        """
        try:
            return subprocess.run(
                [self.program, *arguments],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
            )
        except OSError as error:
            raise CompilerError(
                f"{self._name} can't be run ({error.strerror or error}); name the Python of the "
                f"environment that has the compiler, e.g. {ENVIRONMENT}/bin/python"
            ) from None
        except subprocess.TimeoutExpired:
            raise CompilerError(
                f"{self._name}: the compiler was not done after {_TIMEOUT_S} s; it was stopped"
            ) from None

    @property
    def _name(self) -> str:
        if self.path is None:
            return "the Python that runs edge-retina"
        return f"--compiler-python {self.path}"


def last_line(text: str) -> str:
    """Return the last line that says something, or ""."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _how_to_install(package: str) -> str:
    return (
        f"install it beside: python3 -m venv {ENVIRONMENT} && {ENVIRONMENT}/bin/pip install "
        f"{package}, then add --compiler-python {ENVIRONMENT}/bin/python"
    )
