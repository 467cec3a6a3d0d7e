"""Work on many small files at once: most of its time is waiting for the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 8
_BATCH = 64  # items that a thread takes at a time: handing over costs as much as reading a header


def map_in_threads(work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """Return `work(item)` for each item, in their order; of several errors the first is raised."""

    def work_through(start: int) -> list[_Result]:
        return [work(item) for item in items[start : start + _BATCH]]

    with ThreadPoolExecutor(_THREADS) as pool:
        batches = pool.map(work_through, range(0, len(items), _BATCH))
        return [result for batch in batches for result in batch]
