"""A virtual environment for each client, because their requirements contradict each other.

The web clients have a directory with node_modules instead.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = ROOT / ".venv-clients"
_STAMP = "requirements.sha256"
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
    python = directory / "bin" / "python"
    if not _is_made(directory, requirements):
        _call([_old_python(), "-m", "venv", "--clear", str(directory)], "venv")
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        _call(install, "pip install")
        _mark_made(directory, requirements)
    return python


def web_directory() -> Path:
    """Return the directory with the web clients' node_modules; make it when needed.

    Raises:
        NoEnvironmentError: no node, npm or Chromium, or npm failed.
    """
    missing = [name for name in ("node", "npm", "chromium") if not shutil.which(name)]
    if missing:
        raise NoEnvironmentError(f"needs {', '.join(missing)}: not installed")
    requirements, directory = REQUIREMENTS / "web.json", ENVIRONMENTS / "web"
    if not _is_made(directory, requirements):
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(requirements, directory / "package.json")
        install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(directory)]
        _call(install, "npm install")
        _mark_made(directory, requirements)
    return directory


def _is_made(directory: Path, requirements: Path) -> bool:
    stamp = directory / _STAMP
    return stamp.is_file() and stamp.read_text() == _hash(requirements)


def _mark_made(directory: Path, requirements: Path) -> None:
    (directory / _STAMP).write_text(_hash(requirements))


def _hash(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes()).hexdigest()


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
