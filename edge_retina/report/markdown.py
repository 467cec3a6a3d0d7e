"""Tables in Markdown, for documents that lie in a repository."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, each line with its line break.

    A cell may hold any text: a line break in it becomes a space, and a "|" is escaped.

    Args:
        head: column names.
        rows: each with one cell for every column.

    Raises:
        ValueError: a row has another number of cells.
    """
    lines = [_line(head), "| --- " * len(head) + "|\n"]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row of {len(row)} cells in {len(head)} columns: {row}")
        lines.append(_line(row))
    return "".join(lines)


def _line(cells: Sequence[str]) -> str:
    texts = (" ".join(cell.splitlines()).replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(texts)} |\n"
