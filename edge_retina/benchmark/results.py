"""The results of a benchmark as data; formatting lives elsewhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edge_retina.benchmark.environment import Environment
from edge_retina.benchmark.statistics import LatencyStatistics, Ratio
from edge_retina.benchmark.task import OperatorTime
from edge_retina.benchmark.timing_plan import INTERLEAVED
from edge_retina.benchmark.warmup import Warmup
from edge_retina.benchmark.warnings import ResultWarning
from edge_retina.runtime.ops import DelegateInfo

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StagesMs:
    """Middles of the parts of a detection, in milliseconds; their sum is about `latency_ms.p50`.

    None for what the device's program doesn't do.
    """

    preprocess: float | None
    inference: float
    postprocess: float | None


@dataclass(frozen=True)
class SamplesMs:
    """Every timed detection by its stages, in milliseconds and in the order of time.

    Attributes:
        preprocess, inference, postprocess: of each detection.
        lost: time within each detection in which it was ready to run, but another program had its
            core; empty where the system doesn't tell.
        turns: how many detections were timed without a pause, round by round.
    """

    preprocess: tuple[float, ...]
    inference: tuple[float, ...]
    postprocess: tuple[float, ...]
    lost: tuple[float, ...]
    turns: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class BenchmarkResult:
    """One model with one backend and one number of threads.

    Attributes:
        model: as the user named it.
        sha256: of the file that holds the weights.
        precision: "float32", "float16" or "int8".
        backend: label of the backend, see `Runner.label`.
        threads: of the network's execution.
        size_bytes: of the file.
        init_ms: median over rounds of the time to open the model, imports not counted.
        latency_ms: from a decoded image to its detections, all rounds; of the inference alone where
            the device's program does no more, see `stages_ms`.
        stages_ms: its parts.
        peak_memory_mb: of the whole worker process, Python and libraries included; the largest of
            the rounds; None where the system doesn't tell.
        delegate: what the delegate runs; None without one.
        mAP, mAP50: on the data set given; None without.
        images: images that these were measured on; 0 without a data set.
        warnings: what to know before believing the numbers.
        first_inference_ms: median over rounds of the first detection; None if it isn't known.
        mAP_device: where the objects behind mAP were found, as `--device` names it; None without.
        op_profile: time by type of operator, where the device's program measures it.
        scenario: a key of `timing_plan.SCENARIOS`.
        samples_ms: what `latency_ms` sums up; None where single times were not kept.
        warmups: of each round; empty where they aren't told.
        other_load: cores that other programs kept busy meanwhile; None where it isn't told.
        mAP_low, mAP_high: 95 % interval of mAP over the choice of the images; None where the
            detections aren't known any more.
    """

    model: str
    sha256: str
    precision: str
    backend: str
    threads: int
    size_bytes: int
    init_ms: float
    latency_ms: LatencyStatistics
    stages_ms: StagesMs
    peak_memory_mb: float | None
    delegate: DelegateInfo | None
    mAP: float | None
    mAP50: float | None
    images: int
    warnings: tuple[ResultWarning, ...]
    first_inference_ms: float | None = None
    mAP_device: str | None = None
    op_profile: tuple[OperatorTime, ...] = ()
    scenario: str = INTERLEAVED
    samples_ms: SamplesMs | None = None
    warmups: tuple[Warmup, ...] = ()
    other_load: float | None = None
    mAP_low: float | None = None
    mAP_high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object: `warnings` as texts, their codes in `warning_codes`."""
        return {
            **dataclasses.asdict(self),
            "warnings": [warning.text for warning in self.warnings],
            "warning_codes": [warning.code for warning in self.warnings],
        }


@dataclass(frozen=True)
class Comparison:
    """How long a model takes relative to the float32 .tflite it belongs to, same threads.

    Attributes:
        model, backend, threads: which result.
        reference, reference_backend: the float32 result it is compared with.
        ratio: of the times; below 1 is faster than the reference.
        low, high: 95 % interval over interleaved rounds; None with a single round.
        rounds: number of rounds.
        mAP_difference: by how much the mAP is higher than the reference's; None if one of them
            isn't known. `mAP_difference_low`, `mAP_difference_high`: 95 % interval over the choice
            of the images.
    """

    model: str
    backend: str
    threads: int
    reference: str
    reference_backend: str
    ratio: float
    low: float | None
    high: float | None
    rounds: int
    mAP_difference: float | None = None
    mAP_difference_low: float | None = None
    mAP_difference_high: float | None = None

    @property
    def verdict(self) -> str:
        """What the interval allows to say, see `Ratio.verdict`."""
        return Ratio(self.ratio, self.low, self.high, self.rounds).verdict


@dataclass(frozen=True)
class BaselineComparison:
    """A result beside the older one of the same model, backend and threads.

    Attributes:
        model, backend, threads: which result.
        same_file: whether the older file has the same SHA-256; else it only has the same name.
        before_ms, now_ms: the middles; None where none was told.
        ratio: now / before, of the rounds' middles; below 1 is faster than before.
        low, high: its 95 % interval; None if one of the two has a single round.
        verdict: "faster", "slower" or "no difference shown".
    """

    model: str
    backend: str
    threads: int
    same_file: bool
    before_ms: float | None
    now_ms: float | None
    ratio: float
    low: float | None
    high: float | None
    verdict: str


@dataclass(frozen=True)
class BenchmarkReport:
    """Everything one benchmark found.

    Attributes:
        device: where it was measured, as `--device` names it.
        environment: of that device.
        results, comparisons: in the order of the candidates.
        missing: what could not be measured because the device was lost; "" if nothing is.
        scenario: a key of `timing_plan.SCENARIOS`.
        baseline: results beside those of an older benchmark; empty without one.
        data: what mAP was measured on, see `LabelledData.to_dict`; None without.
    """

    device: str
    environment: Environment
    results: tuple[BenchmarkResult, ...]
    comparisons: tuple[Comparison, ...]
    missing: str = ""
    scenario: str = INTERLEAVED
    baseline: tuple[BaselineComparison, ...] = ()
    schema_version: int = SCHEMA_VERSION
    data: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document that `edge-retina benchmark --json` writes."""
        return {
            "schema_version": self.schema_version,
            "device": self.device,
            "environment": dataclasses.asdict(self.environment),
            "results": [result.to_dict() for result in self.results],
            "comparisons": [
                {**dataclasses.asdict(comparison), "verdict": comparison.verdict}
                for comparison in self.comparisons
            ],
            "missing": self.missing,
            "scenario": self.scenario,
            "baseline": [dataclasses.asdict(item) for item in self.baseline],
            "data": self.data,
        }
