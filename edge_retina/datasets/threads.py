"""Work on many small files at once: most of its time is waiting for the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREADS = 8
_BATCH = 64  # items that a thread takes at a time: handing over costs as much as reading a header


_AHEAD = 4  # batches for each thread that may wait for whoever takes the results


def map_in_threads(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    threads: int = _THREADS,
    batch: int = _BATCH,
) -> list[_Result]:
    """Return `work(item)` for each item, in their order; see `each_in_threads`."""
    return list(each_in_threads(work, items, threads=threads, batch=batch))


def each_in_threads(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    threads: int = _THREADS,
    batch: int = _BATCH,
) -> Iterator[_Result]:
    """Yield `work(item)` for each item, in their order; of several errors the first is raised.

    Only some results exist at a time, however many items there are.

    Args:
        work: what to do.
        items: with what.
        threads: how many; for work of the processor, as many as it has cores.
        batch: items that a thread takes at a time.
    """

    def work_through(start: int) -> list[_Result]:
        return [work(item) for item in items[start : start + batch]]

    pending: deque[Future[list[_Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(items), batch):
                pending.append(pool.submit(work_through, start))
                if len(pending) > threads * _AHEAD:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:  # after an error, or if no more results are wanted
                future.cancel()
