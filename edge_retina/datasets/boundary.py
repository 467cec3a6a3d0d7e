"""The edge of a data set: nothing outside its directory is opened because a file inside says so."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeVar

from edge_retina.errors import DatasetError
from edge_retina.stored_files import containing_file

_AnyPath = TypeVar("_AnyPath", Path, str)


class Boundary:
    """Tells whether a path below a data set's directory really lies in it.

    `relative_path` judges what annotation files say; this judges what the file system makes of it.
    The data set's own directory may be a symbolic link: the user named it. Links within the data
    set are followed, links that lead out of it are refused, and so is everything that is no
    ordinary file (reading a named pipe would never end).
    """

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._inside = os.path.join(self._root, "")
        self._real_directories: dict[str, str] = {}  # by name: most files share a few directories

    def refusal(self, path: Path | str) -> str | None:
        """Return why the existing file or directory `path` must not be used; None if it may.

        A stored file is judged by the file that it lies in.
        """
        path = containing_file(path)
        directory, name = os.path.split(path)
        real_directory = self._real_directories.get(directory)
        if real_directory is None:
            real_directory = os.path.realpath(directory)
            self._real_directories[directory] = real_directory
        real = os.path.join(real_directory, name)
        mode = _mode(path, follow=False)
        if mode is not None and stat.S_ISLNK(mode):
            real = os.path.realpath(real)
            mode = _mode(path, follow=True)
        if real != self._root and not real.startswith(self._inside):
            return (
                f"symbolic link leads out of the data set (to {real}); "
                "copy the files into it, or name a directory that holds both"
            )
        if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return "not a regular file; replace it with one"
        return None

    def check(self, path: _AnyPath) -> _AnyPath:
        """Return `path` if it lies in the data set.

        Raises:
            DatasetError: it doesn't, or it is neither an ordinary file nor a directory.
        """
        refusal = self.refusal(path)
        if refusal is not None:
            raise DatasetError(f"{path}: {refusal}")
        return path


def _mode(path: Path | str, *, follow: bool) -> int | None:
    """Return a file's mode bits; None where there is no such file, which its reader will say."""
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except (OSError, ValueError):  # ValueError: a name that no file system can hold
        return None
