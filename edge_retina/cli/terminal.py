"""Results on standard output: texts and tables.

On a terminal rich draws the tables to its width; see `report.plain_text` for everywhere else.
"""

from __future__ import annotations

import sys

import click

from edge_retina.report.plain_text import Block, plain_text, print_table
from edge_retina.report.tables import Table


def show(*blocks: Block) -> None:
    """Print texts and tables, an empty line between two of them; empty ones are left out."""
    if not sys.stdout.isatty():
        click.echo(plain_text(*blocks))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for number, block in enumerate(block for block in blocks if block):
        if number:
            click.echo()
        if isinstance(block, Table):
            print_table(block, console, plain=False)
        else:
            click.echo(block)
