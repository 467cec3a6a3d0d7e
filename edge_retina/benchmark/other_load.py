"""How busy other programs keep the cores while something is measured, on Linux."""

from __future__ import annotations

import os
import time
from pathlib import Path

_PROC_STAT = Path("/proc/stat")
# Fields behind "cpuN": user nice system idle iowait irq softirq steal. Steal is what the host of a
# virtual machine gave to others: a core that others use, too.
_BUSY_FIELDS = (0, 1, 2, 5, 6, 7)


class OtherLoad:
    """Adds up the processor time that others took during the intervals it is switched on."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._others_s = 0.0
        self._elapsed_s = 0.0
        self._begun: tuple[float, float, float] | None = None

    def __enter__(self) -> None:
        self._begun = self._read()

    def __exit__(self, *_: object) -> None:
        ended = self._read()
        if self._begun is None or ended is None:
            return
        wall, busy, own = (end - begin for end, begin in zip(ended, self._begun, strict=True))
        self._elapsed_s += wall
        self._others_s += busy - own

    @property
    def cores(self) -> float | None:
        """Return how many cores others kept busy on average; None where it isn't told."""
        if not self._elapsed_s:
            return None
        return max(0.0, self._others_s / self._elapsed_s)

    @staticmethod
    def _read() -> tuple[float, float, float] | None:
        """Return wall time, busy time of the usable cores and this process's time, in seconds."""
        if not _PROC_STAT.is_file():
            return None
        busy = busy_seconds(_PROC_STAT.read_text(), os.sched_getaffinity(0))
        return time.perf_counter(), busy, time.process_time()


def busy_seconds(stat: str, cores: set[int]) -> float:
    """Return how long some cores have been busy since the machine's start.

    Args:
        stat: text of /proc/stat.
        cores: their numbers.
    """
    wanted = {f"cpu{number}" for number in cores}
    rows = (line.split() for line in stat.splitlines())
    ticks = sum(
        int(row[1 + field]) for row in rows if row and row[0] in wanted for field in _BUSY_FIELDS
    )
    return ticks / os.sysconf("SC_CLK_TCK")
