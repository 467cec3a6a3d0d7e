"""One candidate's rounds, joined into a result."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from edge_retina.benchmark.accuracy import Accuracy
from edge_retina.benchmark.candidate import Candidate
from edge_retina.benchmark.delegation import fallback_text
from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.results import BenchmarkResult, StagesMs
from edge_retina.benchmark.statistics import LatencyStatistics, pool_summaries, summarize
from edge_retina.benchmark.task import WorkerResult
from edge_retina.benchmark.warnings import ResultWarning
from edge_retina.evaluation.class_map import ClassMap
from edge_retina.runtime.ops import DelegateInfo

NOISY_SPREAD = 0.2  # stdev / mean; a quiet machine stays below .05
BUSY_LOAD = 0.5  # cores that were busy before the benchmark began


def join_rounds(
    candidate: Candidate,
    rounds: Sequence[WorkerResult],
    *,
    sha256: str,
    label: str,
    environment: Environment,
    accuracy: Accuracy | None,
) -> BenchmarkResult:
    """Put the rounds of one candidate together, in their order.

    Args:
        candidate: what was measured.
        rounds: one answer for each round.
        sha256: of the candidate's file.
        label: of the candidate's backend, see `Runner.label`.
        environment: of the device.
        accuracy: of the candidate's model and backend; None if it wasn't measured.
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
            *_warnings(candidate, environment, spread=latency.stdev / latency.mean),
            *_device_warnings(last, delegate, accuracy),
            *_class_warnings(None if accuracy is None else accuracy.classes),
        ),
        first_inference_ms=_median(firsts),
        mAP_device=None if accuracy is None else accuracy.device,
        op_profile=next((item.op_profile for item in rounds if item.op_profile), ()),
        mAP_low=None if accuracy is None else accuracy.interval.low,
        mAP_high=None if accuracy is None else accuracy.interval.high,
    )


def _latency(rounds: Sequence[WorkerResult]) -> LatencyStatistics:
    summaries = [item.summary for item in rounds if item.summary is not None]
    if summaries:
        return pool_summaries(summaries)
    return summarize([ms for item in rounds for ms in _whole_ms(item)], rounds=len(rounds))


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


def _class_warnings(classes: ClassMap | None) -> tuple[ResultWarning, ...]:
    if classes is None or classes.is_whole:
        return ()
    return (ResultWarning("classes", str(classes)),)


def _whole_ms(result: WorkerResult) -> list[float]:
    """Return the time of each detection: the sum of its stages."""
    stages = zip(result.preprocess_ms, result.inference_ms, result.postprocess_ms, strict=True)
    return [sum(times) for times in stages]


def _warnings(
    candidate: Candidate, environment: Environment, *, spread: float
) -> tuple[ResultWarning, ...]:
    warnings = []
    if spread > NOISY_SPREAD:
        text = f"noisy: the standard deviation is {spread:.0%} of the mean; close other programs"
        warnings.append(ResultWarning("noisy", text))
    if environment.load_average > BUSY_LOAD:
        text = (
            f"the machine was busy before the start: load average {environment.load_average:.1f} "
            f"on {environment.cores} cores"
        )
        warnings.append(ResultWarning("busy", text))
    if candidate.threads > environment.cores:
        text = f"more threads than cores: {candidate.threads} on {environment.cores}"
        warnings.append(ResultWarning("oversubscribed", text))
    return tuple(warnings)


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
