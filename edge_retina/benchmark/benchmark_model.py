"""What TensorFlow Lite's `benchmark_model` prints, as data.

Source: tflite/tools/benchmark/benchmark_model.cc and benchmark_tflite_model.cc of LiteRT, and
tensorflow/core/util/stats_calculator.cc for the profile. Newer versions put "INFO: " before each
line and add percentiles; older ones do neither. Times are in microseconds there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_retina.benchmark.task import OperatorTime, TimesSummary

_NUMBER = r"[\d.]+(?:e[+-]?\d+)?"
_COUNT = re.compile(rf"count=(\d+)((?: \w+={_NUMBER})+)")
_FIELD = re.compile(rf"(\w+)=({_NUMBER})")
_TIMINGS = re.compile(
    rf"Inference timings in us: Init: ({_NUMBER}), First inference: ({_NUMBER}), "
    rf"Warmup \(avg\): ({_NUMBER}), Inference \(avg\): ({_NUMBER})"
)
_PEAK = re.compile(rf"Overall peak memory footprint \(MB\) via periodic monitoring: ({_NUMBER})")
_OVERALL = re.compile(
    rf"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): "
    rf"init={_NUMBER} overall=({_NUMBER})"
)
_WHOLLY = re.compile(r"Explicitly applied (\w+) delegate, and the model graph will be completely")
_PARTLY = re.compile(
    r"Explicitly applied (\w+) delegate, .* partially executed .* w/ (\d+) delegate"
)
_NOT = re.compile(r"Though (\w+) delegate is explicitly applied, the model graph will not be")
_REPLACING = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \((\w+)\)")
_REFUSED = re.compile(r"(?:ERROR: )?([A-Z][A-Z0-9_]+): (.*\S)")
_PROFILE = "Operator-wise Profiling Info for Regular Benchmark Runs"
_PREFIX = re.compile(r"^(?:INFO|WARN|WARNING|ERROR|VERBOSE): ?")


@dataclass(frozen=True)
class ProfiledOperator:
    """One operator that ran by itself, or one partition of a delegate.

    Attributes:
        name: of its type, or of the delegate.
        mean_ms: of one run.
        index: place of the operator in the graph; None if it isn't told.
    """

    name: str
    mean_ms: float
    index: int | None

    @property
    def is_delegate(self) -> bool:
        """Whether it is a partition of a delegate."""
        return self.name.endswith(("Delegate", "DelegateV2")) or self.name == "DELEGATE"


@dataclass(frozen=True)
class BenchmarkOutput:
    """What one run of the program told.

    Attributes:
        init_ms, first_inference_ms, warmup_ms: the last is the mean of the warm-up.
        times: of the runs that count.
        peak_memory_mb: of the process if it was asked for, else what it grew by; None if not told.
        partitions: of the delegate that was asked for; 0 if it took nothing, None if not told.
        wholly: whether that delegate runs the whole graph.
        replaced: operators replaced, by the delegate's name.
        refused: why the delegate left operators, by their type.
        operators: the profile in the order of execution; empty if it wasn't asked for.
    """

    init_ms: float
    first_inference_ms: float
    warmup_ms: float
    times: TimesSummary
    peak_memory_mb: float | None
    partitions: int | None
    wholly: bool
    replaced: Mapping[str, int]
    refused: Mapping[str, str]
    operators: tuple[ProfiledOperator, ...]

    def profile(self) -> tuple[OperatorTime, ...]:
        """Return the times by type, the longest first."""
        totals, counts = Counter[str](), Counter[str]()
        for operator in self.operators:
            totals[operator.name] += operator.mean_ms  # type: ignore[assignment]
            counts[operator.name] += 1
        return tuple(OperatorTime(name, counts[name], ms) for name, ms in totals.most_common())


def parse_output(text: str) -> BenchmarkOutput | None:
    """Return what the program told; None if it did not come to its end."""
    lines = [_PREFIX.sub("", line.rstrip("\r")) for line in text.splitlines()]
    whole = "\n".join(lines)
    timings = _TIMINGS.search(whole)
    # The warm-up's, then the runs'; a profile repeats them behind the summary
    series = _COUNT.findall(whole[: timings.start()]) if timings else []
    if timings is None or not series:
        return None
    init, first, warmup, mean = (float(number) / 1000 for number in timings.groups())
    memory = _PEAK.search(whole) or _OVERALL.search(whole)
    return BenchmarkOutput(
        init_ms=init,
        first_inference_ms=first,
        warmup_ms=warmup,
        times=_times(*series[-1], mean=mean),
        peak_memory_mb=float(memory.group(1)) if memory else None,
        partitions=_partitions(whole),
        wholly=_WHOLLY.search(whole) is not None,
        replaced={name: int(number) for number, _, name in _REPLACING.findall(whole)},
        refused=_refused(lines),
        operators=_operators(lines),
    )


def _times(count: str, fields: str, *, mean: float) -> TimesSummary:
    found = {name: float(number) / 1000 for name, number in _FIELD.findall(fields)}
    # Of a single run, or of equal ones, only "curr" is told
    return TimesSummary(
        n=int(count),
        mean=found.get("avg", mean),
        stdev=found.get("std", 0.0),
        min=found.get("min", found.get("curr", mean)),
        median=found.get("median"),
    )


def _partitions(text: str) -> int | None:
    if _WHOLLY.search(text):
        return 1
    partly = _PARTLY.search(text)
    if partly:
        return int(partly.group(2))
    return 0 if _NOT.search(text) else None


def _refused(lines: Sequence[str]) -> dict[str, str]:
    """Read the list that follows "... operations are not supported by GPU delegate:"."""
    reasons: dict[str, str] = {}
    listing = False
    for line in lines:
        if line.endswith("operations are not supported by GPU delegate:"):
            listing = True
        elif listing:
            match = _REFUSED.fullmatch(line.strip())
            if match is None:
                listing = False
            else:
                reasons.setdefault(match.group(1), match.group(2))
    return reasons


def _operators(lines: Sequence[str]) -> tuple[ProfiledOperator, ...]:
    """Read the first table of the profile: the operators in the order of execution."""
    starts = [number for number, line in enumerate(lines) if line.startswith(_PROFILE)]
    if not starts:
        return ()
    # Its title, the table's, and the heads of the columns, of which older versions have one more
    heads = _cells(lines[starts[-1] + 2])
    operators = []
    for line in lines[starts[-1] + 3 :]:
        cells = _cells(line)
        if len(cells) != len(heads):
            break
        row = dict(zip(heads, cells, strict=True))
        place = re.search(r"[:/](\d+)$", row["[Name]"])
        operators.append(
            ProfiledOperator(
                row["[node type]"], float(row["[avg ms]"]), int(place[1]) if place else None
            )
        )
    return tuple(operators)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().split("\t")]
