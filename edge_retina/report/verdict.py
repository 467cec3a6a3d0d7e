"""The first screen of a report: is it good, how fast is it, what is next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_retina.report.data import AccuracyRow, LatencyRow, ReportData
from edge_retina.report.tables import megabytes, milliseconds, percent, score

_KEPT = 0.98  # an int8 file that keeps less than this of the float mAP is worth a look


@dataclass(frozen=True)
class NextStep:
    """Something useful to do, and the command for it."""

    text: str
    command: str


@dataclass(frozen=True)
class Verdict:
    """Answers in plain sentences; empty where nothing was measured.

    Attributes:
        accuracy: of the model that is shipped.
        speed: of its fastest measurement.
        steps: what to do next, most useful first.
    """

    accuracy: tuple[str, ...]
    speed: tuple[str, ...]
    steps: tuple[NextStep, ...]

    def __bool__(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.accuracy or self.speed or self.steps)


def verdict(data: ReportData) -> Verdict:
    """Return what the report's figures come to."""
    return Verdict(
        tuple(_accuracy(data.accuracy)), tuple(_speed(data.latency)), tuple(_steps(data))
    )


def fastest(rows: Sequence[LatencyRow]) -> LatencyRow | None:
    """Return the fastest int8 measurement, or the fastest of all if there is none."""
    int8 = [row for row in rows if row.precision == "int8"]
    return min(int8 or rows, key=lambda row: row.p50_ms, default=None)


def _accuracy(rows: Sequence[AccuracyRow]) -> Iterator[str]:
    if not rows or rows[-1].mAP is None:
        return
    reference, shipped = rows[0], rows[-1]
    yield (
        f"The {shipped.name} model has {score(shipped.mAP)} mAP, and {score(shipped.mAP50)} if "
        "boxes only have to overlap by half (IoU .50)."
    )
    if shipped is not reference and reference.mAP:
        yield f"It keeps {percent(shipped.mAP, of=reference.mAP)} of the mAP of {reference.name}."
    known = {label: ap for label, ap in shipped.per_class.items() if ap is not None}
    if len(known) > 1:
        weakest, best = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        yield (
            f"The weakest class is {weakest} (AP {score(known[weakest])}), the best {best} "
            f"({score(known[best])})."
        )


def _speed(rows: Sequence[LatencyRow]) -> Iterator[str]:
    best = fastest(rows)
    if best is None:
        return
    threads = "1 thread" if best.threads == 1 else f"{best.threads} threads"
    yield (
        f"{best.model} takes {milliseconds(best.p50_ms)} ms for an image ({best.backend}, "
        f"{threads}). The file has {megabytes(best.size_bytes)}."
    )
    same = [
        row
        for row in rows
        if (row.backend, row.threads, row.precision) == (best.backend, best.threads, "float32")
    ]
    if best.precision == "int8" and same:
        yield (
            f"float32 takes {milliseconds(same[0].p50_ms)} ms there, so int8 takes "
            f"{best.p50_ms / same[0].p50_ms:.2f} times as long."
        )
    yield "This is the machine named under “Environment”. A phone differs."


def _steps(data: ReportData) -> Iterator[NextStep]:
    if not data.run:
        return
    run, export = shlex.quote(data.run), shlex.quote(data.export)
    rows = data.accuracy
    if rows and rows[0].mAP and rows[-1].mAP is not None and rows[-1].mAP < _KEPT * rows[0].mAP:
        yield NextStep(
            "int8 costs accuracy here. See which layers it hurts:",
            f"edge-retina doctor {run} --quantization",
        )
    yield NextStep(
        "See what costs accuracy, with the remedy for each cause:", f"edge-retina doctor {run}"
    )
    best = fastest(data.latency)
    if best is not None:
        yield NextStep(
            "Try it on your own images:",
            f"edge-retina predict {export}/{shlex.quote(best.model)} IMAGES --out predictions",
        )
        yield NextStep(
            "Time it on your device:",
            f"edge-retina benchmark {export} --device ssh:USER@HOST",
        )
