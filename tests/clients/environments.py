"""A virtual environment for each client, because their requirements contradict each other."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = ROOT / ".venv-clients"
# The old clients' last wheels are for 3.11
_PYTHONS = ("3.11", "3.10", "3.9")


class NoEnvironmentError(Exception):
    """An environment that can't be made here, with the reason."""


def environment_python(name: str) -> Path:
    """Return the Python of a client's environment; make it, or make it again, when needed.

    Args:
        name: of the file in requirements/, without its suffix.

    Raises:
        NoEnvironmentError: no fitting Python, or pip failed.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    directory = ENVIRONMENTS / name
    stamp = directory / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    python = directory / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    _call([_old_python(), "-m", "venv", "--clear", str(directory)], "venv")
    _call([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)], "pip install")
    stamp.write_text(wanted)
    return python


def _old_python() -> str:
    if sys.version_info[:2] <= (3, 11):
        return sys.executable
    for version in _PYTHONS:
        found = shutil.which(f"python{version}")
        if found:
            return found
        managed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        if managed:
            return str(managed[-1])
    raise NoEnvironmentError(f"needs a Python of {', '.join(_PYTHONS)}: none is installed")


def _call(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise NoEnvironmentError(f"{what} failed: {lines[-1] if lines else done.returncode}")
