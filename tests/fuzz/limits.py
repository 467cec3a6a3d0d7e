"""What a case may not do: take too much memory, or write outside its directory."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

MOST_BYTES = 2**30  # of a process that runs cases
_SPARE = 2 * 2**30  # of addresses, so that a finding can't take the machine's memory
_STATUS = Path("/proc/self/status")
# What says that a file or directory is made, changed or deleted: where its path is, and the
# descriptor of the directory that it is relative to, if there is one
_WRITES = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
}


class WriteGuard:
    """Notes what this process writes outside a directory."""

    def __init__(self, directory: Path) -> None:
        self.found = ""
        self._inside = os.path.realpath(directory)
        sys.addaudithook(self._watch)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                self._note(event, path)
        for place, base in _WRITES.get(event, ()):
            self._note(event, arguments[place], -1 if base is None else arguments[base])

    def _note(self, event: str, path: Any, directory: int = -1) -> None:
        if isinstance(path, int):  # a descriptor: what opened it was seen
            return
        base = os.readlink(f"/proc/self/fd/{directory}") if directory >= 0 else ""
        real = os.path.realpath(os.path.join(base, os.fsdecode(path)))
        if real != self._inside and not real.startswith((self._inside + "/", "/dev/", "/proc/")):
            self.found = self.found or f"{event} of {real}"


class MemoryGuard:
    """Tells when this process has taken more than it may, and stops it from taking all there is."""

    def __init__(self) -> None:
        base = _kilobytes("VmRSS") * 1024
        self._most = max(MOST_BYTES, base + MOST_BYTES // 2)  # TensorFlow alone takes half of it
        addresses = _kilobytes("VmSize") * 1024 + _SPARE
        resource.setrlimit(resource.RLIMIT_AS, (addresses, resource.RLIM_INFINITY))

    def found(self) -> str:
        """Return how much it took if that was too much, else ""."""
        highest = _kilobytes("VmHWM") * 1024
        return f"{highest // 2**20} MiB of memory" if highest > self._most else ""


def _kilobytes(field: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
