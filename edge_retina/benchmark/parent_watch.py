"""A worker ends with the process that started it, however that one ended.

The parent keeps one end of a pipe open. The system closes it when the parent ends, by SIGKILL too,
and a thread of the worker sees that. This works on every POSIX system and whichever thread of the
parent started the worker, unlike PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "EDGE_RETINA_PARENT_PIPE"  # the number of the worker's end


class ParentPipe:
    """What a child process needs in order to notice the end of its parent.

    Attributes:
        descriptor: to be inherited by the child, and by no other process.
        environment: variables of the child.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.environment = {_VARIABLE: str(descriptor)}


@contextmanager
def parent_pipe() -> Iterator[ParentPipe]:
    """Give the pipe of one child; after the block a child that is left ends too."""
    reader, writer = os.pipe()
    try:
        yield ParentPipe(reader)
    finally:
        os.close(reader)
        os.close(writer)


def end_with_parent() -> None:
    """Watch the pipe in a thread; without one, as on a device reached by ssh, do nothing."""
    descriptor = os.environ.pop(_VARIABLE, "")  # not for this process's own children
    if descriptor:
        os.set_inheritable(int(descriptor), False)
        threading.Thread(target=_wait, args=(int(descriptor),), daemon=True).start()


def _wait(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it returns at the end of the parent
    os._exit(1)
