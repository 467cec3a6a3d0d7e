"""Tables of an error analysis and of intervals, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_retina.evaluation.errors.analysis import ErrorAnalysis
from edge_retina.evaluation.errors.curves import OperatingPoint
from edge_retina.evaluation.errors.slices import Slice, worst_slices
from edge_retina.evaluation.errors.tide import KINDS, ErrorGains
from edge_retina.evaluation.intervals import Interval, MetricIntervals
from edge_retina.report.tables import MISSING, Column, Table, score

WORST = 5

# What is mended, in the words of people who look at pictures
KIND_TEXTS = {
    "classification": "wrong class, good box",
    "localization": "right class, bad box",
    "both": "wrong class and bad box",
    "duplicate": "found twice",
    "background": "nothing there",
    "missed": "object not found",
}
_SPECIAL_TEXTS = {
    "false_positives": "no false alarm above a right one",
    "false_negatives": "no object left unfound",
}


def gains_table(gains: ErrorGains, *, brief: bool = False) -> Table:
    """Return what mending each kind of error would give back.

    Args:
        gains: of a model.
        brief: without explanations, beside a chart that has them.
    """
    special = {
        "false_positives": gains.false_positives,
        "false_negatives": gains.false_negatives,
    }
    rows = [
        (kind, KIND_TEXTS[kind], f"+{gains.gains[kind]:.3f}", str(gains.counts[kind]))
        for kind in KINDS
    ]
    rows += [
        (f"all {name.replace('_', ' ')}", _SPECIAL_TEXTS[name], f"{value:+.3f}", "")
        for name, value in special.items()
    ]
    columns = [
        Column("error", text=True),
        Column("", text=True),
        Column("mAP50 given back"),
        Column("errors"),
    ]
    title = f"mAP50 that mending one kind of error would give back (now {gains.mAP50:.3f})"
    return _without(1, columns, rows) if brief else Table(columns, rows, title=title)


def slices_table(slices: Iterable[Slice], *, title: str = "") -> Table:
    """Return the mAP of slices of the objects."""
    columns = (
        Column("objects", text=True),
        Column("number"),
        Column("found"),
        Column("mAP50"),
        Column("mAP"),
    )
    rows = [
        (
            item.title,
            str(item.objects),
            f"{item.found / item.objects:.0%}",
            score(item.mAP50),
            score(item.mAP),
        )
        for item in slices
    ]
    return Table(columns, rows, title=title)


def worst_slices_table(analysis: ErrorAnalysis) -> Table:
    """Return the slices of the lowest mAP50."""
    slices = [item for of_trait in analysis.slices.values() for item in of_trait]
    units = "; ".join(f"{trait.name.replace('_', ' ')}: {trait.unit}" for trait in analysis.traits)
    return slices_table(worst_slices(slices, limit=WORST), title=f"Worst objects ({units})")


def mistakes_table(analysis: ErrorAnalysis) -> Table:
    """Return the most frequent confusions."""
    columns = (
        Column("labelled", text=True),
        Column("detected as", text=True),
        Column("times"),
        Column("share"),
    )
    rows = [
        (item.labelled, item.detected, str(item.count), f"{item.share:.0%}")
        for item in analysis.confusion.worst(WORST)
    ]
    title = f"Most frequent confusions at score >= {analysis.confusion.threshold:.2f}"
    return Table(columns, rows, title=title)


def operating_points_table(analysis: ErrorAnalysis, *, brief: bool = False) -> Table:
    """Return the threshold of the highest F1 of each class.

    Args:
        analysis: of a model.
        brief: without AP50, beside curves that name it.
    """
    columns = [
        Column("class", text=True),
        Column("AP50"),
        Column("objects"),
        Column("score >="),
        Column("precision"),
        Column("recall"),
        Column("F1"),
    ]
    curves = {label: curve for label, curve in analysis.curves.items() if curve is not None}
    rows = [
        (label, score(curve.ap50), str(curve.objects), *_point_cells(curve.best))
        for label, curve in curves.items()
    ]
    total = sum(curve.objects for curve in curves.values())
    rows.append(("one for all", "", str(total), *_point_cells(analysis.operating_point)))
    title = "Operating points: the score threshold of the highest F1, at IoU .5"
    if brief:
        return _without(1, columns, rows)
    return Table(columns, rows, final_row=True, title=title)


def calibration_text(analysis: ErrorAnalysis) -> str:
    """Return in one sentence what scores are worth."""
    error, bias = analysis.calibration.expected_error, analysis.calibration.bias
    if error is None or bias is None:
        return "No detections: scores can't be judged."
    direction = "above" if bias > 0 else "below"
    return (
        f"Scores are {abs(bias):.3f} {direction} the precision on average; "
        f"expected calibration error {error:.3f}."
    )


def differences_table(
    one: MetricIntervals,
    other: MetricIntervals,
    difference: MetricIntervals,
    *,
    title: str = "",
) -> Table:
    """Return two models' metrics side by side, and whether they can be told apart.

    Args:
        one: of the first model.
        other: of the one that it is compared with.
        difference: of the two, see `metric_differences`.
        title: above the table.
    """
    columns = (
        Column("", text=True),
        Column("MODEL"),
        Column("against"),
        Column("difference"),
        Column("95 % interval"),
        Column("", text=True, wraps=True),
    )
    rows = [
        (name, _value(first), _value(second), *_difference_cells(apart))
        for (name, first), (_, second), (_, apart) in zip(
            one.items(), other.items(), difference.items(), strict=True
        )
    ]
    return Table(columns, rows, stacks=True, title=title)


def interval_text(item: Interval | None, *, signed: bool = False) -> str:
    """Write an interval as "0.4100..0.5200"; a dash where it is unknown."""
    if item is None or item.low is None or item.high is None:
        return MISSING
    spec = "+.4f" if signed else ".4f"
    return f"{item.low:{spec}}..{item.high:{spec}}"


def verdict(difference: Interval | None) -> str:
    """Return what a paired difference says of the first model."""
    if difference is None:
        return ""
    if not difference.excludes_zero:
        return "not distinguishable"
    return "better" if difference.value > 0 else "worse"


def _without(place: int, columns: Sequence[Column], rows: Sequence[tuple[str, ...]]) -> Table:
    """Return a table with one column left out."""
    kept = [(*row[:place], *row[place + 1 :]) for row in rows]
    return Table((*columns[:place], *columns[place + 1 :]), kept)


def _difference_cells(item: Interval | None) -> tuple[str, str, str]:
    if item is None:
        return MISSING, MISSING, ""
    return f"{item.value:+.4f}", interval_text(item, signed=True), verdict(item)


def _value(item: Interval | None) -> str:
    return MISSING if item is None else f"{item.value:.4f}"


def _point_cells(point: OperatingPoint | None) -> tuple[str, ...]:
    if point is None:
        return (MISSING,) * 4
    return tuple(f"{x:.2f}" for x in (point.threshold, point.precision, point.recall, point.f1))
