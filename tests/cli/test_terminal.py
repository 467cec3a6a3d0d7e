from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from edge_retina.cli.terminal import show
from edge_retina.report.plain_text import plain_text
from edge_retina.report.tables import Column, Table

LONG = "a-class-name-that-is-far-longer-than-eighty-columns-" * 3
TABLE = Table(
    [Column("class", text=True), Column("n"), Column("note", text=True)],
    [("[bold]cat[/bold]", "7", ":smile:"), (LONG, "1234", "many words " * 20)],
    title="Classes [1]",
)


def test_plain_tables_are_aligned_and_whole() -> None:
    title, head, first, second = plain_text(TABLE).splitlines()
    assert title == "Classes [1]"
    assert first.startswith("[bold]cat[/bold] "), "cells are not markup"
    assert first.endswith(":smile:")
    assert LONG in second
    assert second.endswith("many words " * 19 + "many words"), "nothing is cut or wrapped"
    assert head.index("note") == first.index(":smile:") == second.index("many words")
    assert head.index("n  note") == first.index("7  :") == second.index("4  many"), "right-aligned"


def test_plain_tables_without_names_have_no_head() -> None:
    labelled = Table([Column("", text=True), Column("", text=True)], [("a", "b"), ("long", "c")])
    assert plain_text(labelled) == "a     b\nlong  c"


def test_blocks_have_an_empty_line_between_them() -> None:
    table = Table([Column("n")], [("1",)])
    assert plain_text("head", table, "", Table([Column("n")], []), "tail") == "head\n\nn\n1\n\ntail"


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_gets_no_colours_whatever_the_environment_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("COLUMNS", "40")
    show("text", TABLE)
    assert capsys.readouterr().out == plain_text("text", TABLE) + "\n"
    assert "\x1b" not in plain_text(TABLE)


SCRIPT = """
from edge_retina.cli.terminal import show
from tests.cli.test_terminal import TABLE
show("text", TABLE)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals")
def test_a_terminal_gets_a_table_of_its_width_with_every_word() -> None:
    import pty

    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color", "NO_COLOR": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=side, env=environment, stdin=subprocess.DEVNULL
    )
    os.close(side)
    written = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    assert process.wait(timeout=60) == 0
    text = written.decode()
    assert "\x1b[1m" in text, "bold heads"
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[0] == "text"
    names = "".join(line.split("  ")[0].strip() for line in lines[lines.index("") + 4 :])
    assert LONG in names
    assert " ".join(" ".join(lines).split()).count("words") == 20
