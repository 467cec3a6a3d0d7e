"""What other programs take, seen from a process that knows what it does itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_retina.benchmark import core_wait, other_load
from edge_retina.benchmark.core_wait import CoreWait
from edge_retina.benchmark.other_load import OtherLoad, busy_seconds

STAT = """\
cpu  999 999 999 999 999 999 999 999 0 0
cpu0 100 20 30 4000 50 6 7 8 9 10
cpu1 1 0 0 4000 0 0 0 0 0 0
intr 12
"""
linux_only = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="needs Linux's /proc"
)


def test_busy_time_by_hand() -> None:
    """User, nice, system, irq, softirq and steal; idle time and the guests' are not added."""
    ticks = os.sysconf("SC_CLK_TCK")
    assert busy_seconds(STAT, {0}) == pytest.approx((100 + 20 + 30 + 6 + 7 + 8) / ticks)
    assert busy_seconds(STAT, {0, 1}) == pytest.approx(172 / ticks)


def test_nothing_is_told_where_there_is_no_proc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(other_load, "_PROC_STAT", tmp_path / "stat")
    monkeypatch.setattr(core_wait, "_SCHEDSTAT", tmp_path / "schedstat")
    load = OtherLoad()
    with load:
        pass
    assert load.cores is None
    assert (CoreWait().is_known, CoreWait().ms()) == (False, 0.0)


def test_others_are_what_is_busy_without_oneself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two intervals of 2 s: busy for 2 s, half of it oneself; then busy for 1 s by others alone."""
    readings = iter([(0.0, 10.0, 5.0), (2.0, 12.0, 6.0), (7.0, 90.0, 6.0), (9.0, 91.0, 6.0)])
    monkeypatch.setattr(OtherLoad, "_read", lambda self: next(readings))
    load = OtherLoad()
    for _ in range(2):
        with load:
            pass
    assert load.cores == pytest.approx((1 + 1) / 4)


@linux_only
def test_another_program_on_the_same_core_is_seen() -> None:
    """Both are pinned to one core: each gets about half, and waits for the rest."""
    core = min(os.sched_getaffinity(0))
    program = (
        "import os, sys, time\n"
        f"os.sched_setaffinity(0, {{{core}}})\n"
        "from edge_retina.benchmark.core_wait import CoreWait\n"
        "from edge_retina.benchmark.other_load import OtherLoad\n"
        "wait, load = CoreWait(), OtherLoad()\n"
        "waited, start, used = wait.ms(), time.perf_counter(), time.process_time()\n"
        "with load:\n"
        "    while time.process_time() < used + 0.5: pass\n"
        "waited = wait.ms() - waited\n"
        "print(time.perf_counter() - start - waited / 1000, waited, load.cores)\n"
    )
    spin = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-S", "-c", spin])
    try:
        time.sleep(0.2)
        text = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
    finally:
        other.kill()
        other.wait()
    own_s, waited_ms, cores = map(float, text.split())
    assert own_s == pytest.approx(0.5, abs=0.1)
    assert waited_ms > 100
    assert cores > 0.2
