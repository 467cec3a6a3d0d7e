"""How `edge-retina inspect` shows what compilers say, and what rules say in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edge_retina.report.plain_text import Block
from edge_retina.report.tables import Column, Table, megabytes

if TYPE_CHECKING:
    from edge_retina.compilers.report import CompilerReport
    from edge_retina.export.targets.estimate import TargetEstimate

_COLUMNS = (
    Column("compiler", text=True),
    Column("operators", text=True),
    Column("of MACs"),
    Column("estimated ms"),
    Column("memory", text=True),
    Column("", text=True),
)
_LEFT_OUT = 6  # operators named that stay on the CPU


def compiler_table(reports: Sequence[CompilerReport]) -> Block:
    """Return a row for each report; nothing if there are none."""
    if not reports:
        return ""
    return Table(_COLUMNS, [_row(report) for report in reports], title="Compilers")


def target_table(estimates: Sequence[TargetEstimate]) -> Table:
    """Return a row for each target of `edge-retina export --target`."""
    columns = (
        Column("target", text=True),
        Column("operators", text=True),
        Column("of MACs"),
        Column("", text=True),
    )
    rows = [
        (
            item.target,
            _count(item.operators, item.operators_total),
            f"{item.macs_share:.0%}",
            "; ".join(part for part in ("estimated", item.first_broken) if part),
        )
        for item in estimates
    ]
    return Table(columns, rows, title="Targets of export, by their rules")


def _count(operators: int, total: int) -> str:
    return "all" if operators == total else f"{operators} of {total}"


def _row(report: CompilerReport) -> tuple[str, ...]:
    package = f"{report.package} {report.version}"
    if report.refused:
        return report.title, "none", "", "", "", f"{package} refuses it: {report.refused}"
    return (
        report.title,
        _count(report.operators, report.operators_total),
        f"{report.macs_share:.0%}",
        "" if report.estimated_ms is None else f"{report.estimated_ms:.2f}",
        ", ".join(f"{name} {megabytes(size)}" for name, size in report.memory_bytes.items()),
        "; ".join([package, *_notes(report)]),
    )


def _notes(report: CompilerReport) -> Iterator[str]:
    if report.settings:
        yield ", ".join(report.settings.values())
    if report.left:
        dots = ", ..." if len(report.left) > _LEFT_OUT else ""
        yield f"on the CPU, not in the estimate: {', '.join(report.left[:_LEFT_OUT])}{dots}"
    if report.output_steps == 0:
        yield "outputs on noise equal those of LiteRT's reference kernels"
    elif report.output_steps is not None:
        steps = f"{report.output_steps} step{'' if report.output_steps == 1 else 's'}"
        yield f"outputs on noise within {steps} of those of LiteRT's reference kernels"
