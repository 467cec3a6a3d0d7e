"""Work on many small files at once: most of its time is waiting for the disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 8
_BATCH = 64  # items that a thread takes at a time: handing over costs as much as reading a header


def map_in_threads(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    threads: int = _THREADS,
    batch: int = _BATCH,
) -> list[_Result]:
    """Return `work(item)` for each item, in their order; of several errors the first is raised.

    Args:
        work: what to do.
        items: with what.
        threads: how many; for work of the processor, as many as it has cores.
        batch: items that a thread takes at a time. Each batch takes a kilobyte or two.
    """

    def work_through(start: int) -> list[_Result]:
        return [work(item) for item in items[start : start + batch]]

    with ThreadPoolExecutor(threads) as pool:
        batches = pool.map(work_through, range(0, len(items), batch))
        return [result for batch in batches for result in batch]
