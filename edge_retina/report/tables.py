"""Tables and small figures as HTML, and how numbers are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """A table's column; `text` columns are aligned left, the others right."""

    name: str
    text: bool = False


@dataclass(frozen=True)
class Figure:
    """A number that stands alone, with what it is above it and what it refers to below."""

    name: str
    value: str
    note: str = ""


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, final_row: bool = False
) -> str:
    """Return a table that scrolls sideways where it is too wide; `final_row`: last row bold."""
    head = "".join(_cell("th", column.name, column) for column in columns)
    lines = [
        "".join(_cell("td", value, column) for value, column in zip(row, columns, strict=True))
        for row in rows
    ]
    body = [f"<tr>{line}</tr>" for line in lines]
    if final_row and len(body) > 1:
        body[-1] = f'<tr class="final">{lines[-1]}</tr>'
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def figures(items: Iterable[Figure]) -> str:
    """Return a row of cards, one for each figure."""
    cards = "".join(
        f"<div><dt>{escape(item.name)}</dt><dd>{escape(item.value)}</dd>"
        f'<dd class="note">{escape(item.note)}</dd></div>'
        for item in items
    )
    return f'<dl class="figures">{cards}</dl>'


def score(value: float | None) -> str:
    """Write a metric in 0..1 with three digits, as papers do without the leading percent sign."""
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


def _cell(tag: str, value: str, column: Column) -> str:
    css = ' class="text"' if column.text else ""
    return f"<{tag}{css}>{escape(value)}</{tag}>"
