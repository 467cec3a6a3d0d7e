"""Arm's Vela, the compiler for Ethos-U NPUs: it compiles the file and estimates time and memory.

Its figures are an estimate for one system: clock, width and latency of the memories. Arm describes
a few systems in the file Arm/vela.ini, which comes with Vela; a board needs the nearest of these.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_retina.compilers.compiler import Compiler
from edge_retina.compilers.other_python import OtherPython, last_line
from edge_retina.compilers.report import CompilerReport
from edge_retina.errors import CompilerError, ModelError
from edge_retina.runtime.graph import Graph, read_graph

_PACKAGE = "ethos-u-vela"
_MODULE = ("-m", "ethosu.vela")
_NPU_OPERATOR = "ethos-u"  # the custom operator that stands for all that the NPU runs
_SYSTEMS_FILE = "Arm/vela.ini"
# The systems that Vela takes by itself if none is named, of version 5.2.0. They are named here, so
# that the figures stay what they are when Vela changes its mind.
_SYSTEMS = {
    "ethos-u55": ("Ethos_U55_High_End_Embedded", "Shared_Sram"),
    "ethos-u65": ("Ethos_U65_Client_Server", "Dedicated_Sram_384KB"),
    "ethos-u85": ("Ethos_U85_SYS_DRAM_Mid", "Dedicated_Sram_384KB"),
}
_FORM = "ACCELERATOR[,SYSTEM,MEMORY]"
_EXAMPLE = "vela:ethos-u55-128"
_MEMORIES = {  # by column of Vela's table, which counts in KiB
    "sram_memory_used": "SRAM",
    "dram_memory_used": "DRAM",
    "on_chip_flash_memory_used": "on-chip flash",
    "off_chip_flash_memory_used": "off-chip flash",
}


@dataclass(frozen=True)
class _System:
    """What is compiled for.

    Attributes:
        accelerator: e.g. "ethos-u55-128": NPU and MACs in a clock.
        system: section of the file of systems: clock and memories.
        memory: section of that file: what lies in which memory.
    """

    accelerator: str
    system: str
    memory: str

    @property
    def options(self) -> list[str]:
        """Of Vela's command line."""
        return [
            *("--accelerator-config", self.accelerator),
            *("--config", _SYSTEMS_FILE),
            *("--system-config", self.system),
            *("--memory-mode", self.memory),
        ]


def check(configuration: str, python: OtherPython) -> str:
    """Return Vela's version if it is there and knows the accelerator; see `Compiler`."""
    system = _parse(configuration)
    version = python.version(_PACKAGE)
    # Vela reads its options from left to right: it refuses the accelerator before it answers
    asked = python.run([*_MODULE, "--accelerator-config", system.accelerator, "--version"])
    if asked.returncode:
        raise CompilerError(_refusal(configuration, last_line(asked.stderr), version))
    listed = python.run([*_MODULE, "--list-configs", _SYSTEMS_FILE]).stdout.split()
    for kind, name in (("System_Config", system.system), ("Memory_Mode", system.memory)):
        known = [item.partition(".")[2] for item in listed if item.startswith(f"{kind}.")]
        if name not in known:
            raise CompilerError(
                _refusal(configuration, f"no {kind} {name!r}, allowed: {', '.join(known)}", version)
            )
    return version


def examine(path: Path, configuration: str, python: OtherPython, version: str) -> CompilerReport:
    """Compile a file and read what Vela says; see `Compiler`.

    Raises:
        CompilerError: Vela's answer can't be read.
    """
    system = _parse(configuration)
    graph = read_graph(path)
    settings = {"system": system.system, "memory": system.memory}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        out = directory / "out"
        call = [*_MODULE, *system.options, "--output-dir", str(out), str(path.absolute())]
        done = python.run(call, directory=directory)
        if done.returncode:
            return CompilerReport(
                *("vela", _PACKAGE, version, configuration, settings),
                operators_total=len(graph.operators),
                refused=_reason(done.stderr or done.stdout, done.returncode),
            )
        try:
            (summary,), (compiled,) = out.glob("*_summary_*.csv"), out.glob("*_vela.tflite")
            figures, left = _read_figures(summary), read_graph(compiled)
            return _report(graph, left, figures, version=version, configuration=configuration)
        except (ValueError, KeyError, StopIteration, ModelError) as error:
            raise CompilerError(
                f"what {_PACKAGE} {version} wrote for {path} can't be read ({error}); this was "
                "made for version 5.2.0: install that"
            ) from None


COMPILER = Compiler("vela", _PACKAGE, _EXAMPLE, check, examine)


def _parse(configuration: str) -> _System:
    """Return the system that a configuration names.

    Raises:
        CompilerError: it names none.
    """
    parts = [part.strip() for part in configuration.split(",")]
    if not parts[0] or "" in parts or len(parts) not in (1, 3):
        raise CompilerError(
            f"--compiler vela{configuration and ':' + configuration}: expected vela:{_FORM}, "
            f"e.g. {_EXAMPLE} or "
            f"{_EXAMPLE},Ethos_U55_Deep_Embedded,Shared_Sram"
        )
    accelerator, *rest = parts
    family = "-".join(accelerator.split("-")[:2])
    if rest:
        _check_family(configuration, family, rest[0])
        return _System(accelerator, *rest)
    # Of an unknown family Vela refuses the accelerator itself, and says which there are
    return _System(accelerator, *_SYSTEMS.get(family, ("", "")))


def _check_family(configuration: str, family: str, system: str) -> None:
    """Refuse a system of another NPU: Vela would estimate without a word."""
    wanted = family.replace("-", "_").title()
    if system.startswith("Ethos_") and not system.startswith(f"{wanted}_"):
        raise CompilerError(
            f"--compiler vela:{configuration}: the system {system} is of another NPU than "
            f"{family}; take one that begins with {wanted}_"
        )


def _refusal(configuration: str, reason: str, version: str) -> str:
    text = reason.removeprefix("vela: error: argument --accelerator-config: ")
    return f"--compiler vela:{configuration}: {text} ({_PACKAGE} {version})"


def _reason(text: str, code: int) -> str:
    line = last_line(text)
    if not line:
        return f"it stopped without a word, exit code {code}"
    kind, _, rest = line.partition(": ")
    return rest if kind.endswith("Error") and rest else line


def _read_figures(path: Path) -> Mapping[str, str]:
    with open(path, newline="", encoding="utf-8") as stream:
        return next(iter(csv.DictReader(stream)))


def _report(
    graph: Graph, left: Graph, figures: Mapping[str, str], *, version: str, configuration: str
) -> CompilerReport:
    """Put the report together.

    Args:
        graph: of the file.
        left: of the compiled file: the NPU's operators as one or more, and those left to the CPU.
        figures: Vela's table.
        version: of Vela.
        configuration: see `CompilerReport`.
    """
    on_cpu = [op for op in left.operators if op.name != _NPU_OPERATOR]
    macs = sum(op.macs for op in graph.operators)
    memory = {
        name: round(float(figures[column]) * 1024)
        for column, name in _MEMORIES.items()
        if float(figures[column])
    }
    taken = len(graph.operators) - len(on_cpu)
    return CompilerReport(
        compiler="vela",
        package=_PACKAGE,
        version=version,
        configuration=configuration,
        settings={
            "system": figures["system_config"],
            "memory": figures["memory_mode"],
            "clock": f"{float(figures['core_clock']) / 1e6:.0f} MHz",
        },
        operators=taken,
        operators_total=len(graph.operators),
        macs_share=1 - sum(op.macs for op in on_cpu) / macs if macs else 0.0,
        left=tuple(dict.fromkeys(op.name for op in on_cpu)),
        # With nothing on the NPU there is nothing that Vela would estimate
        estimated_ms=float(figures["inference_time"]) * 1e3 if taken else None,
        memory_bytes=memory,
    )
