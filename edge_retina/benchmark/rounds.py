"""One candidate's rounds, joined into a result."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable, Sequence

from edge_retina.benchmark.accuracy import Accuracy
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.delegation import fallback_text
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.results import BenchmarkResult, SamplesMs, StagesMs
from edge_retina.benchmark.statistics import LatencyStatistics, pool_summaries, summarize
from edge_retina.benchmark.task import WorkerResult
from edge_retina.benchmark.timing_plan import INTERLEAVED
from edge_retina.benchmark.timing_warnings import timing_warnings
from edge_retina.benchmark.warnings import ResultWarning
from edge_retina.evaluation.class_map import ClassMap
from edge_retina.runtime.ops import DelegateInfo


def join_rounds(
    candidate: Candidate,
    rounds: Sequence[WorkerResult],
    *,
    sha256: str,
    label: str,
    environment: Environment,
    accuracy: Accuracy | None,
    scenario: str = INTERLEAVED,
) -> BenchmarkResult:
    """Put the rounds of one candidate together, in their order.

    Args:
        candidate: what was measured.
        rounds: one answer for each round.
        sha256: of the candidate's file.
        label: of the candidate's backend, see `Runner.label`.
        environment: of the device.
        accuracy: of the candidate's model and backend; None if it wasn't measured.
        scenario: of the plan.
    """
    latency = _latency(rounds)
    peaks = [item.peak_memory_mb for item in rounds if item.peak_memory_mb is not None]
    firsts = [item.first_inference_ms for item in rounds if item.first_inference_ms is not None]
    last = rounds[-1]
    metrics = None if accuracy is None else accuracy.metrics
    delegate = None if last.delegate is None else DelegateInfo.from_dict(last.delegate)
    return BenchmarkResult(
        model=candidate.model,
        sha256=sha256,
        precision=last.precision,
        backend=label,
        threads=candidate.threads,
        size_bytes=candidate.file.stat().st_size,
        init_ms=statistics.median(item.init_ms for item in rounds),
        latency_ms=latency,
        stages_ms=StagesMs(
            preprocess=_median(ms for item in rounds for ms in item.preprocess_ms),
            inference=statistics.median(ms for item in rounds for ms in item.inference_ms),
            postprocess=_median(ms for item in rounds for ms in item.postprocess_ms),
        ),
        peak_memory_mb=max(peaks, default=None),
        delegate=delegate,
        mAP=None if metrics is None else metrics.mAP,
        mAP50=None if metrics is None else metrics.mAP50,
        images=0 if metrics is None else metrics.images,
        warnings=(
            *timing_warnings(candidate, rounds, latency, environment),
            *_device_warnings(last, delegate, accuracy),
            *_class_warnings(None if accuracy is None else accuracy.classes),
        ),
        first_inference_ms=_median(firsts),
        mAP_device=None if accuracy is None else accuracy.device,
        op_profile=next((item.op_profile for item in rounds if item.op_profile), ()),
        scenario=scenario,
        samples_ms=_samples(rounds),
        warmups=tuple(item.warmup for item in rounds if item.warmup is not None),
        other_load=_mean(item.other_load for item in rounds),
        mAP_low=None if accuracy is None else accuracy.interval.low,
        mAP_high=None if accuracy is None else accuracy.interval.high,
    )


def _latency(rounds: Sequence[WorkerResult]) -> LatencyStatistics:
    summaries = [item.summary for item in rounds if item.summary is not None]
    if summaries:
        return pool_summaries(summaries)
    return summarize([item.whole_ms for item in rounds])


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _samples(rounds: Sequence[WorkerResult]) -> SamplesMs | None:
    if any(item.summary is not None for item in rounds):
        return None
    return SamplesMs(
        preprocess=_joined(item.preprocess_ms for item in rounds),
        inference=_joined(item.inference_ms for item in rounds),
        postprocess=_joined(item.postprocess_ms for item in rounds),
        lost=_joined(item.lost_ms for item in rounds),
        turns=tuple(item.blocks or (len(item.inference_ms),) for item in rounds),
    )


def _joined(rounds: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(itertools.chain.from_iterable(rounds))


def _class_warnings(classes: ClassMap | None) -> tuple[ResultWarning, ...]:
    if classes is None or classes.is_whole:
        return ()
    return (ResultWarning("classes", str(classes)),)


def _device_warnings(
    result: WorkerResult, delegate: DelegateInfo | None, accuracy: Accuracy | None
) -> list[ResultWarning]:
    warnings = []
    inside = sum(item.network for item in delegate.left) if delegate else 0
    if delegate is not None and (not delegate.partitions or inside):
        warnings.append(ResultWarning("fallback", fallback_text(delegate, network=True)))
    if result.summary is not None:
        text = (
            "only the network is timed: benchmark_model prepares no picture and keeps no single "
            "times, so that p90 and p99 are not known"
        )
        warnings.append(ResultWarning("inference-only", text))
    if accuracy is not None and accuracy.note:
        warnings.append(ResultWarning("mAP-elsewhere", accuracy.note))
    return warnings
