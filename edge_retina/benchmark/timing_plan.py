"""How long and how often a benchmark measures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_retina.errors import BenchmarkError

INTERLEAVED = "interleaved"
SINGLE_STREAM = "single-stream"
SCENARIOS = (INTERLEAVED, SINGLE_STREAM)

LEAST_RUNS = 50  # of a model, all rounds together
LEAST_SECONDS = 5.0
ROUNDS = 5
MAX_WARMUP_S = 10.0
# Source: MLPerf Inference rules, single stream: 1,024 queries and 60 seconds, 90th percentile.
# Deviation: its load generator's early stopping, which adds a margin to the percentile.
QUERIES = 1024
QUERY_SECONDS = 60.0


@dataclass(frozen=True)
class TimingPlan:
    """How long and how often a benchmark measures each model.

    Attributes:
        scenario: "interleaved" measures in rounds, each in a fresh process, in which models that
            are compared take turns. "single-stream" sends one picture after the other to one
            process.
        rounds: number of rounds.
        runs: timed detections of a round, at least; None makes them 50 in all rounds together.
        min_seconds: time that the timed detections of all rounds take together, at least.
        warmup: untimed detections of a round, at least.
        max_warmup_s: patience of a round's warm-up, see `warmup.warm_up`.
    """

    scenario: str = INTERLEAVED
    rounds: int = ROUNDS
    runs: int | None = None
    min_seconds: float = LEAST_SECONDS
    warmup: int = 5
    max_warmup_s: float = MAX_WARMUP_S

    @classmethod
    def single_stream(cls, *, max_warmup_s: float = MAX_WARMUP_S) -> TimingPlan:
        """Return the plan of the scenario of that name."""
        return cls(
            scenario=SINGLE_STREAM,
            rounds=1,
            runs=QUERIES,
            min_seconds=QUERY_SECONDS,
            max_warmup_s=max_warmup_s,
        )

    @property
    def runs_per_round(self) -> int:
        """Timed detections of a round, at least."""
        return math.ceil(LEAST_RUNS / self.rounds) if self.runs is None else self.runs

    @property
    def seconds_per_round(self) -> float:
        """Time that the timed detections of a round take, at least."""
        return self.min_seconds / self.rounds

    def check(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            BenchmarkError: names the number.
        """
        limits = (
            ("rounds", self.rounds, 1),
            ("runs", 1 if self.runs is None else self.runs, 1),
            ("warmup", self.warmup, 0),
            ("min_seconds", self.min_seconds, 0),
            ("max_warmup_s", self.max_warmup_s, 0),
        )
        for name, value, least in limits:
            if value < least:
                raise BenchmarkError(f"{name} must be {least} or more, got {value:g}")
