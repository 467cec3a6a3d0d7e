"""How `edge-retina inspect --profile` shows where the time goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edge_retina.report.plain_text import Block
from edge_retina.report.tables import MISSING, Column, Table

if TYPE_CHECKING:
    from edge_retina.benchmark.profile_result import OperatorProfile, PartProfile, Profile, Work

_TOP = 15
# The sum of the operators as a share of the whole. Alone they find their data in the caches, which
# takes some time off; much more than that is other work on the machine.
_EXPLAINED = (0.75, 1.15)
_UNSURE = (
    "Warning: the operators don't explain the whole. Most often other work interrupts the long "
    "runs; repeat it on a quiet machine before you believe these figures."
)
_FIGURES = (
    Column("ms"),
    Column("of whole"),
    Column("MMAC"),
    Column("MB"),
    Column("GMAC/s"),
    Column("GB/s"),
    Column("of roof"),
)


def profile_blocks(found: Profile) -> Iterator[Block]:
    """Return the tables of a profile: by part, by type of operator, and the slowest operators."""
    yield _headline(found)
    if not _EXPLAINED[0] <= found.explained <= _EXPLAINED[1]:
        yield _UNSURE
    yield _parts(found)
    yield _types(found)
    yield _slowest(found)
    yield _ceilings(found)


def _headline(found: Profile) -> str:
    threads = f"{found.threads} thread{'' if found.threads == 1 else 's'}"
    text = (
        f"{found.path} with {found.backend}, {threads}: {_ms(found.whole_ms)} ms; its operators, "
        f"each timed alone, add up to {_ms(found.operators_ms)} ms ({found.explained:.0%})"
    )
    if found.outside_share is None or found.delegated is None:
        return text
    partitions = f"{found.partitions} partition{'' if found.partitions == 1 else 's'}"
    outside = found.whole_ms - (found.delegated.ms or 0.0)
    return (
        f"{text}\nXNNPACK's {partitions} alone: {_ms(found.delegated.ms)} ms; all else: "
        f"{_ms(outside)} ms ({found.outside_share:.1%} of the whole)"
    )


def _parts(found: Profile) -> Table:
    columns = (
        Column("part", text=True),
        Column("operators"),
        Column("in XNNPACK"),
        *_FIGURES,
        Column("sum of its operators, ms"),
    )
    rows = [_part(found, part) for part in found.parts]
    whole = sum(part.roof_ms for part in found.parts)
    delegated = sum(part.delegated for part in found.parts)
    rows.append(
        (
            "whole file",
            str(len(found.operators)),
            str(delegated),
            *_figures(found, found.whole, whole),
            _ms(found.operators_ms),
        )
    )
    return Table(columns, rows, final_row=True, title="By part (each part timed as one model)")


def _part(found: Profile, part: PartProfile) -> tuple[str, ...]:
    return (
        part.name,
        str(part.operators),
        str(part.delegated),
        *_figures(found, part.work, part.roof_ms),
        _ms(part.operators_ms),
    )


def _types(found: Profile) -> Table:
    """Add up the operators of one type and kind of kernel."""
    groups: dict[tuple[str, str, bool], list[OperatorProfile]] = {}
    for op in found.operators:
        groups.setdefault((op.name, op.dtype, op.delegated), []).append(op)
    rows = []
    for (name, dtype, delegated), group in sorted(
        groups.items(), key=lambda item: -sum(op.work.ms or 0.0 for op in item[1])
    ):
        work, roof_ms = _sum(group)
        kernels = "XNNPACK" if delegated else "built-in"
        rows.append((name, dtype, kernels, str(len(group)), *_figures(found, work, roof_ms)))
    columns = (
        Column("operator", text=True),
        Column("type", text=True),
        Column("kernels", text=True),
        Column("count"),
        *_FIGURES,
    )
    return Table(columns, rows, title="By type of operator (each operator timed alone)")


def _slowest(found: Profile) -> Table:
    columns = (
        Column("operator", text=True),
        Column("part", text=True),
        Column("output", text=True),
        Column("type", text=True),
        *_FIGURES,
        Column("limit", text=True),
    )
    ranked = sorted(found.operators, key=lambda op: -(op.work.ms or 0.0))[:_TOP]
    rows = [
        (
            f"{op.place} {op.name}",
            op.part,
            "x".join(map(str, op.shape)),
            op.dtype,
            *_figures(found, op.work, op.roof_ms),
            op.limit,
        )
        for op in ranked
    ]
    untimed = sum(bool(op.why_untimed) for op in found.operators)
    note = f"; {untimed} could not be timed alone" if untimed else ""
    return Table(columns, rows, title=f"The slowest {len(rows)} operators{note}")


def _figures(found: Profile, work: Work, roof_ms: float) -> tuple[str, ...]:
    if work.ms is None:
        return (MISSING,) * len(_FIGURES)
    rate, moved = work.gmacs_per_s, work.weight_bytes + work.activation_bytes
    return (
        _ms(work.ms),
        f"{work.ms / found.whole_ms:.1%}",
        f"{work.macs / 1e6:.1f}" if work.macs else "",
        f"{moved / 1e6:.2f}",
        f"{rate:.0f}" if rate else "",
        f"{moved / work.ms / 1e6:.1f}" if work.ms else MISSING,
        f"{roof_ms / work.ms:.0%}" if work.ms else MISSING,
    )


def _sum(group: Sequence[OperatorProfile]) -> tuple[Work, float]:
    from edge_retina.benchmark.profile_result import Work

    work = Work(
        macs=sum(op.work.macs for op in group),
        weight_bytes=sum(op.work.weight_bytes for op in group),
        activation_bytes=sum(op.work.activation_bytes for op in group),
        ms=sum(op.work.ms or 0.0 for op in group),
    )
    return work, sum(op.roof_ms for op in group)


def _ceilings(found: Profile) -> str:
    ceilings = found.ceilings
    rates = ", ".join(f"{rate:.0f} GMAC/s {name}" for name, rate in ceilings.gmacs_per_s.items())
    return (
        f"Roof: {rates or 'no MACs'} (a 1x1 convolution of 256 channels, same kernels and threads) "
        f"and {ceilings.gbytes_per_s:.1f} GB/s (a copy of {ceilings.copy_bytes / 1e6:.2f} MB on "
        f"one thread), measured in the same {found.rounds} rounds. MB: weights and activations, "
        "each read or written once."
    )


def _ms(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
