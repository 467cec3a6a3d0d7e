"""An older benchmark beside a new one, if both are of the same machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.results import SCHEMA_VERSION, BaselineComparison, BenchmarkResult
from edge_retina.benchmark.statistics import separate_ratio
from edge_retina.benchmark.timing_plan import INTERLEAVED
from edge_retina.errors import BenchmarkError
from edge_retina.files import load_json

# Of an environment: what makes times another machine's. `load_average` only makes them noisy.
_MACHINE = ("cpu", "cores", "governor", "os", "machine", "python", "packages")


@dataclass(frozen=True)
class BaselineResult:
    """What is compared of one result.

    Attributes:
        model, sha256, backend, threads: which one.
        p50_ms: the middle of all its times; None if it isn't told.
        rounds_ms: the middle of each round.
        own_rounds_ms: the same without what other programs took; None if that isn't known.
    """

    model: str
    sha256: str
    backend: str
    threads: int
    p50_ms: float | None
    rounds_ms: tuple[float, ...]
    own_rounds_ms: tuple[float, ...] | None

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> BaselineResult:
        """Return it from a result of the JSON document."""
        latency, samples = tree["latency_ms"], tree.get("samples_ms")
        rounds_ms = latency.get("rounds_ms") or [latency["p50"]]  # the oldest have no rounds
        return cls(
            model=tree["model"],
            sha256=tree["sha256"],
            backend=tree["backend"],
            threads=tree["threads"],
            p50_ms=latency["p50"],
            rounds_ms=tuple(map(float, rounds_ms)),
            own_rounds_ms=_own_rounds_ms(latency, samples) if samples else None,
        )


@dataclass(frozen=True)
class Baseline:
    """What a document that `edge-retina benchmark --json` wrote is compared by.

    Attributes:
        path: of the file.
        environment: fields of `Environment`, as far as it has them.
        device, scenario: as in `BenchmarkReport`.
        results: of all models.
    """

    path: Path
    environment: Mapping[str, Any]
    device: str
    scenario: str
    results: tuple[BaselineResult, ...]

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a document.

        Raises:
            BenchmarkError: it can't be read, or is no such document.
        """
        try:
            return cls.from_document(path, load_json(path))
        except OSError as error:
            raise BenchmarkError(f"--baseline {path}: can't be read ({error.strerror})") from None
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            raise BenchmarkError(
                f"--baseline {path}: not a result of 'edge-retina benchmark --json FILE'"
            ) from None

    @classmethod
    def from_document(cls, path: Path, document: Mapping[str, Any]) -> Baseline:
        """Return what a document says; the oldest know of one device and scenario only.

        Raises:
            BenchmarkError: it is of another schema version.
        """
        version = document.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise BenchmarkError(
                f"--baseline {path}: schema_version is {version!r}, expected {SCHEMA_VERSION}; use "
                "the edge-retina that measured it, or measure it again"
            )
        return cls(
            path=path,
            environment=dict(document["environment"]),
            device=document.get("device", "local"),
            scenario=document.get("scenario", INTERLEAVED),
            results=tuple(map(BaselineResult.from_dict, document["results"])),
        )

    def check(
        self,
        environment: Environment,
        *,
        device: str,
        scenario: str,
        allow_other_machine: bool = False,
    ) -> None:
        """Refuse a document of another machine, or of another way of measuring.

        Raises:
            BenchmarkError: names what differs, and both values.
        """
        if self.scenario != scenario:
            raise BenchmarkError(
                f"--baseline {self.path}: measured as {self.scenario}, this benchmark is "
                f"{scenario}; use --scenario {self.scenario}"
            )
        now = dataclasses.asdict(environment)
        pairs = [(name, self.environment.get(name), now[name]) for name in _MACHINE]
        pairs.append(("device", self.device, device))
        differences = [
            f"{name} {_difference(before, after)}"
            for name, before, after in pairs
            if before != after
        ]
        if differences and not allow_other_machine:
            raise BenchmarkError(
                f"--baseline {self.path}: measured on another machine: {'; '.join(differences)}; "
                "measure it again here, or add --allow-other-machine"
            )

    def compare(self, results: Sequence[BenchmarkResult]) -> tuple[BaselineComparison, ...]:
        """Put results beside those of the same file, else of the same name; leave out the others.

        The two were measured at different times, so that what changed on the machine in between
        does not cancel as it does between results of one benchmark.
        """
        newer = [BaselineResult.from_dict(result.to_dict()) for result in results]
        found = ((result, self._older(result)) for result in newer)
        return tuple(_compare(result, older) for result, older in found if older is not None)

    def _older(self, result: BaselineResult) -> BaselineResult | None:
        way = (result.backend, result.threads)
        same_way = [item for item in self.results if (item.backend, item.threads) == way]
        same_file = [item for item in same_way if item.sha256 == result.sha256]
        same_name = [item for item in same_way if item.model == result.model]
        return next(iter(same_file + same_name), None)


def _compare(result: BaselineResult, older: BaselineResult) -> BaselineComparison:
    if result.own_rounds_ms is None or older.own_rounds_ms is None:
        ratio = separate_ratio(result.rounds_ms, older.rounds_ms)
    else:
        ratio = separate_ratio(result.own_rounds_ms, older.own_rounds_ms)
    return BaselineComparison(
        model=result.model,
        backend=result.backend,
        threads=result.threads,
        same_file=older.sha256 == result.sha256,
        before_ms=older.p50_ms,
        now_ms=result.p50_ms,
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        verdict=ratio.verdict,
    )


def _own_rounds_ms(
    latency: Mapping[str, Any], samples: Mapping[str, Any]
) -> tuple[float, ...] | None:
    if not samples["lost"]:
        return None
    own_ms = np.array(latency["samples"]) - np.array(samples["lost"])
    ends = np.cumsum([sum(turns) for turns in samples["turns"]])
    return tuple(float(np.median(part)) for part in np.split(own_ms, ends[:-1]))


def _difference(before: object, after: object) -> str:
    """Say what differs between two values; of packages only those that do."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = sorted({*before, *after})
        pairs = [(name, before.get(name), after.get(name)) for name in names]
        return ", ".join(
            f"{name} {older or 'absent'} there, {newer or 'absent'} here"
            for name, older, newer in pairs
            if older != newer
        )
    return f"{before or 'unknown'} there, {after or 'unknown'} here"
