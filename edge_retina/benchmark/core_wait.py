"""Time in which a thread was ready to run, but another program had its core, on Linux."""

from __future__ import annotations

import os
from pathlib import Path

_SCHEDSTAT = Path("/proc/self/schedstat")  # of the main thread


class CoreWait:
    """Reads how long the main thread has waited for a core so far."""

    def __init__(self) -> None:
        """Open the kernel's counter, if it has one."""
        self._file = os.open(_SCHEDSTAT, os.O_RDONLY) if _SCHEDSTAT.is_file() else None

    @property
    def is_known(self) -> bool:
        """Whether there is such a counter."""
        return self._file is not None

    def ms(self) -> float:
        """Return the milliseconds since the process's start; 0 where it isn't told."""
        if self._file is None:
            return 0.0
        # Time on a core, time waiting for one (nanoseconds), number of times on a core
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e6
