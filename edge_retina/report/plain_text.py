"""Texts and tables for people who read them outside a browser.

In a pipe or a file they are plain, aligned text: no colours, and nothing is wrapped or cut.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from edge_retina.report.tables import Table

if TYPE_CHECKING:
    import rich.console
    import rich.table

Block = str | Table
_NO_LIMIT = 1_000_000  # columns; more than any table has


def plain_text(*blocks: Block) -> str:
    """Return texts and tables as they are written to a pipe or a file."""
    return "\n\n".join(
        _plain_table(block) if isinstance(block, Table) else block for block in blocks if block
    )


def _plain_table(table: Table) -> str:
    from rich.console import Console

    written = io.StringIO()
    console = Console(file=written, width=_NO_LIMIT, color_system=None)
    print_table(table, console, plain=True)
    return "\n".join(line.rstrip() for line in written.getvalue().rstrip("\n").split("\n"))


def print_table(table: Table, console: rich.console.Console, *, plain: bool) -> None:
    """Print title and table; cells are `Text`, because rich reads strings as markup."""
    from rich.text import Text

    if table.title:
        console.print(Text(table.title, style="" if plain else "bold"), soft_wrap=True)
    console.print(_rich_table(table, plain=plain))


def _rich_table(table: Table, *, plain: bool) -> rich.table.Table:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        box=None if plain else box.SIMPLE_HEAD,
        show_header=any(column.name for column in table.columns),
        header_style="" if plain else "bold",
        padding=(0, 2, 0, 0) if plain else (0, 1),
        pad_edge=False,
        show_edge=False,
    )
    for column in table.columns:
        drawn.add_column(
            Text(column.name),
            justify="left" if column.text else "right",
            overflow="fold",  # a long name takes two lines; it is never cut
            no_wrap=not column.text,
        )
    for number, row in enumerate(table.rows, 1):
        final = table.final_row and 1 < number == len(table.rows)
        drawn.add_row(*map(Text, row), style="bold" if final and not plain else None)
    return drawn
