"""Tables and single figures before they become HTML or text, and how numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """A table's column.

    Attributes:
        name: its heading.
        text: aligned left; the others hold numbers and are aligned right.
        wraps: text of many words, which may take several lines.
    """

    name: str
    text: bool = False
    wraps: bool = False


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: from left to right.
        rows: each with one cell for every column.
        final_row: the last row is the result and stands out, unless it is the only one.
        stacks: on a narrow page each row becomes a block, for tables with wrapping text.
        named: so too, and each cell has its column's name beside it, for tables with many numbers.
        sortable: on a page, a click on a column's name sorts the rows by it.
        title: above the table on a terminal; a page has headings of its own.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    final_row: bool = False
    stacks: bool = False
    named: bool = False
    sortable: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells in {len(self.columns)} columns: {row}")

    def __bool__(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.rows)


@dataclass(frozen=True)
class Figure:
    """A number that stands alone, with its name above and what it refers to below."""

    name: str
    value: str
    note: str = ""


def score(value: float | None) -> str:
    """Write a metric in 0..1 with three digits, as papers do."""
    return MISSING if value is None else f"{value:.3f}"


def percent(value: float | None, *, of: float | None) -> str:
    """Write `value` in per cent of `of`."""
    return MISSING if value is None or not of else f"{100 * value / of:.1f} %"


def milliseconds(value: float) -> str:
    """Write a time with three significant digits, or all of those before the point."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}"


def megabytes(size_bytes: int) -> str:
    """Write a file's size in MB (10^6 bytes), small ones in kB."""
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"
