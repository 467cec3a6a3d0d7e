"""The op table: how long each distinct layer takes on a device, measured once and kept as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.operator import Operator
from edge_retina.design.frame import Frame
from edge_retina.errors import BenchmarkError
from edge_retina.files import load_json, write_json
from edge_retina.schema import Reader

SCHEMA_VERSION = 1
_RUNTIME = "ai-edge-litert"
_MOST_MS = 1e9


@dataclass(frozen=True)
class OpTable:
    """Times of layers on one device.

    Attributes:
        device: as `--device` names it.
        environment: of that device.
        backend: a key of `ALL_BACKENDS`.
        threads: of the interpreter.
        operators: time in ms of each, without the call of the interpreter.
        frames: time in ms of a whole detection with next to no network; see `frame`.
    """

    device: str
    environment: Environment
    backend: str
    threads: int
    operators: Mapping[Operator, float] = field(default_factory=dict)
    frames: Mapping[Frame, float] = field(default_factory=dict)

    def missing(self, operators: Iterable[Operator]) -> list[Operator]:
        """Return those that have not been timed, each once, in a fixed order."""
        return sorted(set(operators) - self.operators.keys())

    def with_operators(self, times_ms: Mapping[Operator, float]) -> OpTable:
        """Return the table with more operators."""
        return dataclasses.replace(self, operators={**self.operators, **times_ms})

    def with_frames(self, times_ms: Mapping[Frame, float]) -> OpTable:
        """Return the table with more frames."""
        return dataclasses.replace(self, frames={**self.frames, **times_ms})

    def network_ms(self, operators: Mapping[Operator, int]) -> float:
        """Return the sum over the layers of a network.

        Args:
            operators: how many there are of each; all of them are in the table.
        """
        return sum(count * self.operators[operator] for operator, count in operators.items())

    def save(self, path: Path) -> None:
        """Write the table as JSON."""
        write_json(
            path,
            {
                "schema_version": SCHEMA_VERSION,
                "device": self.device,
                "environment": dataclasses.asdict(self.environment),
                "backend": self.backend,
                "threads": self.threads,
                "operators": _entries(self.operators),
                "frames": _entries(self.frames),
            },
        )


def load_table(path: Path, empty: OpTable) -> OpTable:
    """Read the table of a device from a file.

    Args:
        path: of the file; if there is none, `empty` is returned.
        empty: the table of the device, backend and threads that are asked for.

    Raises:
        BenchmarkError: it is no op table, or one of another machine, backend or number of threads.
    """
    if not path.exists():
        return empty
    try:
        tree = load_json(path)
        if tree["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {tree['schema_version']!r}, not {SCHEMA_VERSION}")
        where = f"{path}: not an op table of 'edge-retina design'"
        reader = Reader(where, BenchmarkError, remedy="name another file with --op-table")
        table = dataclasses.replace(
            empty,
            environment=reader.read(Environment, tree["environment"]),
            backend=tree["backend"],
            threads=tree["threads"],
            operators=_times(Operator, tree["operators"]),
            frames=_times(Frame, tree["frames"]),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BenchmarkError(
            f"{path}: not an op table of 'edge-retina design' ({type(error).__name__}: {error}); "
            "name another file with --op-table"
        ) from None
    for what, found, wanted in (
        ("machine", _machine(table.environment), _machine(empty.environment)),
        ("backend", table.backend, empty.backend),
        ("number of threads", table.threads, empty.threads),
    ):
        if found != wanted:
            raise BenchmarkError(
                f"{path}: measured with another {what}: {found}, not {wanted}; name another file "
                "with --op-table, which is written if it isn't there"
            )
    return table


def _machine(environment: Environment) -> str:
    runtime = environment.packages.get(_RUNTIME, "of unknown version")
    return f"{environment.cpu} ({environment.machine}), {_RUNTIME} {runtime}"


def _entries(times_ms: Mapping[Any, float]) -> list[dict[str, Any]]:
    return [{**dataclasses.asdict(key), "ms": ms} for key, ms in sorted(times_ms.items())]


def _read(cls: type, entry: Mapping[str, Any]) -> Any:
    values = {name: value for name, value in entry.items() if name != "ms"}
    return Reader("an entry", BenchmarkError).read(cls, values)


def _times(cls: type, entries: Any) -> dict[Any, float]:
    return {_read(cls, entry): _ms(entry["ms"]) for entry in entries}


def _ms(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MOST_MS:
        raise ValueError(f"a time of {value!r} ms")
    return float(value)
