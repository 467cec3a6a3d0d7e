"""The machine and the software of a measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = ("numpy", "opencv-python-headless", "ai-edge-litert", "tensorflow", "tf-keras")
_CPUINFO = Path("/proc/cpuinfo")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


@dataclass(frozen=True)
class Environment:
    """The machine and the software of a benchmark.

    Attributes:
        cpu: model name.
        cores: logical cores this process may use.
        governor: the clock policy ("performance", "powersave" ...); None where it isn't known.
        os: name and release of the operating system.
        machine: instruction set, e.g. "x86_64".
        python: version; None on a device that runs none.
        packages: version by name, of those that are installed.
        load_average: of the last minute before the first measurement, in busy cores.
    """

    cpu: str
    cores: int
    governor: str | None
    os: str
    machine: str
    python: str | None
    packages: dict[str, str]
    load_average: float


def read_environment() -> Environment:
    """Describe this machine without importing any of the packages."""
    return Environment(
        cpu=_cpu_model(),
        cores=_usable_cores(),
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.is_file() else None,
        os=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        python=platform.python_version(),
        packages=_installed(_PACKAGES),
        load_average=os.getloadavg()[0],
    )


def _cpu_model() -> str:
    if _CPUINFO.is_file():
        fields = (line.partition(":") for line in _CPUINFO.read_text().splitlines())
        named = {key.strip(): value.strip() for key, _, value in fields}
        for key in ("model name", "Model", "Hardware"):  # x86; Raspberry Pi; other ARM boards
            if named.get(key):
                return named[key]
    return platform.processor() or "unknown"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # the device install has no TensorFlow; absent names are left out
    return versions
