"""When a training has to save, so that a kill never costs more than an interval of work."""

from __future__ import annotations

import time


class SaveTimer:
    """Says that a save is due early enough to be finished within the interval.

    What a kill costs is counted from the step of the last saved state to the moment at which the
    next one is on the disk. So the longest step and the last save are taken off the interval.
    """

    def __init__(self, interval_s: float) -> None:
        """Take the interval in seconds; 0 for no saves by the clock."""
        self._interval_s = interval_s
        self._save_s = 0.0
        self._since = self._last_step = time.monotonic()
        self._longest_step_s = 0.0

    def after_step(self) -> bool:
        """Note that a step ended; return whether to save before the next one."""
        now = time.monotonic()
        self._longest_step_s = max(self._longest_step_s, now - self._last_step)
        self._last_step = now
        if self._interval_s <= 0:
            return False
        return now - self._since + self._longest_step_s + self._save_s >= self._interval_s

    def after_save(self, began: float) -> None:
        """Note that a save that began at a `time.monotonic()` has ended."""
        self._last_step = time.monotonic()
        self._save_s = self._last_step - began
        self._since = began  # the state is from then
        self._longest_step_s = 0.0
