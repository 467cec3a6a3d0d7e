"""Reading metrics.jsonl, the log that training writes line by line.

A line is one JSON object with a `step` and either losses
(`{"step": 10, "loss": 1.2, "cls_loss": 0.8, "box_loss": 0.4, ...}`) or an evaluation
(`{"step": 100, "epoch": 5, "mAP": 0.31, "mAP50": 0.55}`). Other keys are allowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_retina.errors import RunError
from edge_retina.files import parse_json, read_small_file

_LOSSES = ("loss", "cls_loss", "box_loss", "distance")  # in the order of LossPoint


@dataclass(frozen=True)
class LossPoint:
    """Losses of one step; None where the log has none or one that is not finite.

    `distance` is that to the teacher, if there is one.
    """

    step: int
    total: float | None
    cls: float | None
    box: float | None
    distance: float | None = None


@dataclass(frozen=True)
class AccuracyPoint:
    """COCO metrics on the validation split after one step."""

    step: int
    mAP: float | None
    mAP50: float | None


@dataclass(frozen=True)
class MetricsLog:
    """A log in the order of steps.

    Attributes:
        losses: one point for each logged step.
        accuracy: one point for each evaluation.
        warnings: what a reader should know about the log, in sentences.
    """

    losses: tuple[LossPoint, ...]
    accuracy: tuple[AccuracyPoint, ...]
    warnings: tuple[str, ...] = ()


def read_metrics_log(path: Path | str) -> MetricsLog:
    """Read a metrics.jsonl.

    A training that went on from a checkpoint logs some steps again: the later line counts. A last
    line that was cut off when the process ended is left out, with a warning.

    Raises:
        RunError: no such file, or a line elsewhere that is not of the format.
    """
    losses: dict[int, LossPoint] = {}
    accuracy: dict[int, AccuracyPoint] = {}
    records, warnings = read_records(path)
    for number, record in enumerate(records, start=1):
        _take(record, losses, accuracy, where=f"{path}, line {number}")
    return MetricsLog(
        losses=tuple(losses[step] for step in sorted(losses)),
        accuracy=tuple(accuracy[step] for step in sorted(accuracy)),
        warnings=warnings,
    )


def read_records(path: Path | str) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the lines of a metrics.jsonl as they are, and warnings about them.

    Raises:
        RunError: no such file, or a line that is not a JSON object with a step, but for a last line
            that was cut off.
    """
    path = Path(path)
    try:
        lines = read_small_file(path).decode("utf-8", "replace").split("\n")
    except ValueError as error:
        raise RunError(f"{path}: {error}; expected a log with one JSON object a line") from None
    except OSError as error:
        reason = error.strerror or error
        raise RunError(
            f"{path}: can't be read ({reason}); train first with 'edge-retina train'"
        ) from None
    records: list[dict[str, Any]] = []
    if lines[-1:] == [""]:  # what follows the last line's end
        lines.pop()
    for number, line in enumerate(lines, start=1):
        try:
            record = parse_json(line)
        except ValueError as error:
            if number == len(lines):
                return records, (f"{path.name}: the last line was cut off and is left out.",)
            raise RunError(f"{path}, line {number}: not JSON ({error}); remove the line") from None
        if not isinstance(record, dict) or type(record.get("step")) is not int:
            raise RunError(
                f"{path}, line {number}: expected an object with an integer 'step', got "
                f"{line[:200]}; remove the line"
            )
        records.append(record)
    return records, ()


def _take(
    record: dict[str, Any],
    losses: dict[int, LossPoint],
    accuracy: dict[int, AccuracyPoint],
    *,
    where: str,
) -> None:
    if not {"loss", "mAP", "probe"} & record.keys():
        raise RunError(f"{where}: expected a 'loss', a 'mAP' or a 'probe', got {', '.join(record)}")
    step = record["step"]
    if "loss" in record:
        figures = [_number(record, key, where) for key in _LOSSES]
        losses[step] = LossPoint(step, *figures)
    if "mAP" in record:
        accuracy[step] = AccuracyPoint(
            step, _number(record, "mAP", where), _number(record, "mAP50", where)
        )


def _number(record: dict[str, Any], key: str, where: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError
        number = float(value)
    except (TypeError, OverflowError):  # JSON knows integers that no float can hold
        text = "one of too many digits" if type(value) is int else repr(value)[:200]
        raise RunError(f"{where}: '{key}' must be a number, got {text}; remove the line") from None
    return number if math.isfinite(number) else None
