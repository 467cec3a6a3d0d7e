"""Open and run a .tflite file once in a process of its own: what crashes there can't crash here.

    python -m edge_retina.runtime.trial_run MODEL SECONDS MEBIBYTES

does what a command does with a file: it opens it with LiteRT's own kernels and with XNNPACK, and
runs it on noise. It writes nothing. Its exit code is 0 also for a file that LiteRT refuses, because
it will refuse it again and say why. What counts is whether the process lives to its end.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_retina.errors import ModelError

_PACKAGES = str(Path(__file__).resolve().parents[2])
_MACS_PER_SECOND = 2e7  # of the slowest board with one thread, far from what any needs
_FEWEST_SECONDS, _MOST_SECONDS = 8, 600
_PATIENCE = 6  # so many times the processor time may pass on a clock: the machine may be busy
_SPARE_BYTES = 3 * 2**28  # for tensors and whatever the kernels need
_COPIES = 3  # of the weights: kernels pack them, and float16 becomes float32

# Returns the exit code, negative for a signal, and what was written to standard error.
Start = Callable[[Path, float, int], tuple[int, str]]


def try_out(path: Path, *, macs: int, start: Start | None = None) -> None:
    """Run a file once in a process of its own.

    Args:
        path: of a .tflite file that has passed `check_flatbuffer`.
        macs: multiply-accumulate operations for one image, by which time is allowed.
        start: how the process is started; for tests.

    Raises:
        ModelError: the process crashed, took too long or too much memory.
    """
    seconds = min(max(_FEWEST_SECONDS, macs / _MACS_PER_SECOND), _MOST_SECONDS)
    most_bytes = _SPARE_BYTES + _COPIES * path.stat().st_size
    code, text = (start or _start)(path, seconds, most_bytes)
    if code == 0:
        return
    if code == -signal.SIGXCPU:
        what = f"takes more than {seconds:.0f} s for one picture"
    elif "bad_alloc" in text or "MemoryError" in text:
        what = f"takes more than {most_bytes // 2**20} MiB of memory"
    elif code < 0:
        what = f"crashes ({_signal_name(-code)})"
    else:
        what = f"fails ({text.strip().splitlines()[-1] if text.strip() else f'exit code {code}'})"
    raise ModelError(
        f"{path}: LiteRT {what} when it opens and runs this file, tried in a process of its own; "
        "the file is damaged or of a kind that this LiteRT can't run: copy or export it again"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _start(path: Path, seconds: float, most_bytes: int) -> tuple[int, str]:
    search = os.pathsep.join(filter(None, (_PACKAGES, os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [
                sys.executable,
                *("-m", "edge_retina.runtime.trial_run"),
                *(str(path.absolute()), str(seconds), str(most_bytes)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE * seconds,
            env={**os.environ, "PYTHONPATH": search},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -signal.SIGXCPU, ""
    return done.returncode, done.stderr.decode("utf-8", "replace")


def run_limited(path: Path, seconds: float, most_bytes: int) -> None:
    """Open and run a file in this process, which ends if it takes too long or too much memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, int(_cpu_seconds() + seconds) + 1)
    _lower(resource.RLIMIT_AS, _address_bytes() + most_bytes)
    for use_xnnpack in (False, True):
        _run(path, use_xnnpack)


def _lower(limit: int, value: int) -> None:
    """Set a limit, but never above what the machine's owner allows."""
    _, most = resource.getrlimit(limit)
    allowed = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(limit, (allowed, most))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _address_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _run(path: Path, use_xnnpack: bool) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = (
        OpResolverType.AUTO if use_xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    try:
        interpreter = Interpreter(
            model_path=str(path), num_threads=1, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
        rng = np.random.default_rng(0)
        for tensor in interpreter.get_input_details():
            interpreter.set_tensor(tensor["index"], _noise(rng, tensor["shape"], tensor["dtype"]))
        interpreter.invoke()
        for tensor in interpreter.get_output_details():
            interpreter.get_tensor(tensor["index"])
    except (RuntimeError, ValueError, TypeError):
        return  # refused in good order; a command meets the same error and explains it


def _noise(rng: np.random.Generator, shape: np.ndarray, dtype: type) -> np.ndarray:
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1, 1, shape).astype(dtype)
    return np.zeros(shape, dtype)


if __name__ == "__main__":
    run_limited(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
