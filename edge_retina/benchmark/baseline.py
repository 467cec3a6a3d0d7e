"""An older benchmark beside a new one, if both are of the same machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.results import BaselineComparison, BenchmarkResult
from edge_retina.benchmark.statistics import separate_ratio
from edge_retina.benchmark.timing_plan import INTERLEAVED
from edge_retina.errors import BenchmarkError

# Of an environment: what makes times another machine's. `load_average` only makes them noisy.
_MACHINE = ("cpu", "cores", "governor", "os", "machine", "python", "packages")


@dataclass(frozen=True)
class Baseline:
    """A document that `edge-retina benchmark --json` wrote.

    Attributes:
        path: of the file.
        document: its content.
    """

    path: Path
    document: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a document.

        Raises:
            BenchmarkError: it can't be read, or is no such document.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BenchmarkError(f"--baseline {path}: can't be read ({error.strerror})") from None
        except ValueError:
            document = None
        if not isinstance(document, dict) or not {"environment", "results"} <= set(document):
            raise BenchmarkError(
                f"--baseline {path}: not a result of 'edge-retina benchmark --json FILE'"
            )
        return cls(path, document)

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
        self._check_scenario(scenario)
        older = self.document["environment"]
        now = dataclasses.asdict(environment)
        pairs = [(name, older.get(name), now[name]) for name in _MACHINE]
        pairs.append(("device", self.document.get("device", "local"), device))
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

    def _check_scenario(self, scenario: str) -> None:
        older = self.document.get("scenario", INTERLEAVED)
        if older != scenario:
            raise BenchmarkError(
                f"--baseline {self.path}: measured as {older}, this benchmark is {scenario}; use "
                f"--scenario {older}"
            )

    def compare(self, results: Sequence[BenchmarkResult]) -> tuple[BaselineComparison, ...]:
        """Put results beside those of the same file, else of the same name; leave out the others.

        The two were measured at different times, so that what changed on the machine in between
        does not cancel as it does between results of one benchmark.
        """
        found = ((result, self._older(result)) for result in results)
        return tuple(_compare(result, older) for result, older in found if older is not None)

    def _older(self, result: BenchmarkResult) -> dict[str, Any] | None:
        same_way = [
            item
            for item in self.document["results"]
            if (item["backend"], item["threads"]) == (result.backend, result.threads)
        ]
        for key, value in (("sha256", result.sha256), ("model", result.model)):
            for item in same_way:
                if item[key] == value:
                    return dict(item)
        return None


def _compare(result: BenchmarkResult, older: Mapping[str, Any]) -> BaselineComparison:
    newer = result.to_dict()
    before, now = older["latency_ms"], result.latency_ms
    known = all(map(_knows_what_others_took, (newer, older)))
    rounds_ms = _own_rounds_ms if known else _rounds_ms
    ratio = separate_ratio(rounds_ms(newer), rounds_ms(older))
    return BaselineComparison(
        model=result.model,
        backend=result.backend,
        threads=result.threads,
        same_file=older["sha256"] == result.sha256,
        before_ms=before["p50"],
        now_ms=now.p50,
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        verdict=ratio.verdict,
    )


def _knows_what_others_took(result: Mapping[str, Any]) -> bool:
    samples = result.get("samples_ms")
    return samples is not None and len(samples["lost"]) > 0


def _own_rounds_ms(result: Mapping[str, Any]) -> list[float]:
    """Return the middle of each round without what other programs took."""
    samples = result["samples_ms"]
    own_ms = np.array(result["latency_ms"]["samples"]) - np.array(samples["lost"])
    ends = np.cumsum([sum(turns) for turns in samples["turns"]])
    return [float(np.median(part)) for part in np.split(own_ms, ends[:-1])]


def _rounds_ms(result: Mapping[str, Any]) -> list[float]:
    """Return the middle of each round; the oldest documents have the one of all only."""
    latency = result["latency_ms"]
    return list(latency.get("rounds_ms") or [latency["p50"]])


def _difference(before: object, after: object) -> str:
    """Say what differs between two values; of packages only those that do."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = sorted({*before, *after})
        pairs = [(name, before.get(name), after.get(name)) for name in names]
        return ", ".join(
            f"{name} {a or 'absent'} there, {b or 'absent'} here" for name, a, b in pairs if a != b
        )
    return f"{before or 'unknown'} there, {after or 'unknown'} here"
