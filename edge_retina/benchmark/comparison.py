"""Latency of each model relative to the float model it comes from, and who is measured together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from edge_retina.benchmark.backends import ALL_BACKENDS
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.results import BenchmarkResult, Comparison
from edge_retina.benchmark.statistics import Ratio, interleaved_ratio
from edge_retina.benchmark.warnings import ResultWarning


def teams_of(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Return who takes turns with whom: the places of those that are compared with each other."""
    teams: dict[tuple[str, str, int], list[int]] = {}
    for place, candidate in enumerate(candidates):
        backend = ALL_BACKENDS[candidate.backend].reference or candidate.backend
        teams.setdefault((candidate.family, backend, candidate.threads), []).append(place)
    return list(teams.values())


def compare_with_float(
    candidates: Sequence[Candidate], results: Sequence[BenchmarkResult]
) -> tuple[Comparison, ...]:
    """Compare each result with the float32 .tflite of its family.

    The reference has the same threads and the same backend, or `Backend.reference` for Keras, which
    has no .tflite of its own backend. Results without a reference are left out.

    Args:
        candidates: what was measured.
        results: of each candidate, in the same order; if the device was lost on the way, some have
            a round more than others, which is not compared.
    """
    references = {
        (candidate.family, candidate.backend, candidate.threads): result
        for candidate, result in zip(candidates, results, strict=True)
        if result.precision == "float32" and not ALL_BACKENDS[candidate.backend].reference
    }
    comparisons = []
    for candidate, result in zip(candidates, results, strict=True):
        backend = ALL_BACKENDS[candidate.backend].reference or candidate.backend
        reference = references.get((candidate.family, backend, candidate.threads))
        if reference is not None and reference is not result:
            comparisons.append(_compare(result, reference))
    return tuple(comparisons)


def with_slow_int8_warnings(
    results: Sequence[BenchmarkResult], comparisons: Sequence[Comparison]
) -> tuple[BenchmarkResult, ...]:
    """Return the results, each int8 model that is slower than its float32 one with a warning."""
    slow = {
        (item.model, item.backend, item.threads): item
        for item in comparisons
        if item.verdict == "slower"
    }
    warned = []
    for result in results:
        found = slow.get((result.model, result.backend, result.threads))
        if result.precision == "int8" and found is not None:
            warning = ResultWarning("int8-slower", _slower_text(found))
            result = dataclasses.replace(result, warnings=(*result.warnings, warning))
        warned.append(result)
    return tuple(warned)


def _slower_text(item: Comparison) -> str:
    threads = "1 thread" if item.threads == 1 else f"{item.threads} threads"
    return (
        f"int8 with {item.backend} and {threads} takes {item.ratio:.2f} times as long as float32 "
        f"on the device measured (95 % interval {item.low:.2f}..{item.high:.2f}); measure on the "
        "device you ship to"
    )


def compare_results(result: BenchmarkResult, reference: BenchmarkResult) -> Ratio:
    """Return how many times as long a result took as another one of the same benchmark.

    What other programs took is left out of both. If the device was lost on the way, one of them may
    have a round more, which is not compared.
    """
    ours, theirs = _turns_ms(result), _turns_ms(reference)
    common = min(len(ours), len(theirs))
    return interleaved_ratio(ours[:common], theirs[:common])


def _compare(result: BenchmarkResult, reference: BenchmarkResult) -> Comparison:
    ratio = compare_results(result, reference)
    return Comparison(
        model=result.model,
        backend=result.backend,
        threads=result.threads,
        reference=reference.model,
        reference_backend=reference.backend,
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        rounds=ratio.rounds,
    )


def _turns_ms(result: BenchmarkResult) -> list[list[float]]:
    """Return the middle of each turn, by rounds, without the time that other programs took.

    Two models lose unequal parts of their times: the longer one is interrupted more often.
    """
    samples = result.samples_ms
    if samples is None:  # only the middles of the rounds are known
        return [[middle] for middle in result.latency_ms.rounds_ms]
    times = np.array(result.latency_ms.samples)
    if samples.lost:
        times = times - np.array(samples.lost)
    parts = iter(np.split(times, np.cumsum([n for turns in samples.turns for n in turns])[:-1]))
    return [[float(np.median(next(parts))) for _ in turns] for turns in samples.turns]
