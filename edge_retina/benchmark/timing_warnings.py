"""What makes a measured time doubtful: the machine's state before and while it was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.statistics import LatencyStatistics
from edge_retina.benchmark.task import WorkerResult
from edge_retina.benchmark.warmup import SETTLED_DRIFT
from edge_retina.benchmark.warnings import ResultWarning

NOISY_SPREAD = 0.2  # stdev / mean; a quiet machine stays below .05
BUSY_LOAD = 0.5  # cores that were busy before the benchmark began
OTHER_LOAD = 0.2  # cores that others kept busy meanwhile; an idle desktop takes up to .1
THROTTLED = 1.05  # the last third relative to the first; a quiet machine stays within .02
_LEAST_SAMPLES = 30  # for thirds to have middles worth the name
STEADY_GOVERNOR = "performance"


def timing_warnings(
    candidate: Candidate,
    rounds: Sequence[WorkerResult],
    latency: LatencyStatistics,
    environment: Environment,
) -> tuple[ResultWarning, ...]:
    """Return what to know before believing the times of one candidate.

    Args:
        candidate: what was measured.
        rounds: what was measured of it, in the order of time.
        latency: summary of these.
        environment: of the device before the first round.
    """
    found = (
        _noisy(latency),
        _busy(environment),
        _oversubscribed(candidate, environment),
        _governor(environment),
        _drifting(rounds),
        _throttled(rounds),
        _load(rounds, environment),
    )
    return tuple(warning for warning in found if warning is not None)


def _noisy(latency: LatencyStatistics) -> ResultWarning | None:
    spread = latency.stdev / latency.mean
    if spread <= NOISY_SPREAD:
        return None
    text = f"noisy: the standard deviation is {spread:.0%} of the mean; close other programs"
    return ResultWarning("noisy", text)


def _busy(environment: Environment) -> ResultWarning | None:
    if environment.load_average <= BUSY_LOAD:
        return None
    text = (
        f"the machine was busy before the start: load average {environment.load_average:.1f} "
        f"on {_cores(environment.cores)}"
    )
    return ResultWarning("busy", text)


def _oversubscribed(candidate: Candidate, environment: Environment) -> ResultWarning | None:
    if candidate.threads <= environment.cores:
        return None
    text = f"more threads than cores: {candidate.threads} on {environment.cores}"
    return ResultWarning("oversubscribed", text)


def _governor(environment: Environment) -> ResultWarning | None:
    if environment.governor in (None, STEADY_GOVERNOR):
        return None
    text = (
        f"the clock policy is '{environment.governor}', so that the clock may change meanwhile; "
        f"'cpupower frequency-set -g {STEADY_GOVERNOR}' fixes it"
    )
    return ResultWarning("governor", text)


def _drifting(rounds: Sequence[WorkerResult]) -> ResultWarning | None:
    drifting = [item.warmup for item in rounds if item.warmup and item.warmup.is_drifting]
    if not drifting:
        return None
    worst = max(drifting, key=lambda item: item.drift or 0)
    text = (
        f"still drifting after the warm-up in {len(drifting)} of {len(rounds)} rounds: by "
        f"{worst.drift:.1%} after {worst.seconds:.0f} s, {SETTLED_DRIFT:.0%} is allowed; close "
        "other programs, or allow a longer --max-warmup"
    )
    return ResultWarning("drifting", text)


def _throttled(rounds: Sequence[WorkerResult]) -> ResultWarning | None:
    # What other programs took of the times is the matter of another warning
    samples = [ms for item in rounds for ms in item.own_ms]
    if len(samples) < _LEAST_SAMPLES:
        return None
    third = len(samples) // 3
    slower = statistics.median(samples[-third:]) / statistics.median(samples[:third])
    if slower <= THROTTLED:
        return None
    text = (
        f"the last third of the detections took {slower - 1:.0%} longer than the first: the "
        "processor was throttled (heat, power); cool it, then measure again"
    )
    return ResultWarning("throttled", text)


def _load(rounds: Sequence[WorkerResult], environment: Environment) -> ResultWarning | None:
    loads = [item.other_load for item in rounds if item.other_load is not None]
    if not loads or statistics.mean(loads) <= OTHER_LOAD:
        return None
    lost_ms = sum(ms for item in rounds for ms in item.lost_ms)
    share = lost_ms / sum(ms for item in rounds for ms in item.whole_ms)
    text = (
        f"other programs kept {statistics.mean(loads):.1f} of {_cores(environment.cores)} busy "
        f"meanwhile and had {share:.0%} of the measured time (ratios leave it out); close them"
    )
    return ResultWarning("load", text)


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"
