"""The table of clients in a Markdown file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_retina.files import write_text

BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
_COLUMNS = ("float32", "int8")


def write_table(path: Path, document: Mapping[str, Any]) -> None:
    """Replace what stands between the two marks of `path`.

    Raises:
        ValueError: the marks are missing.
    """
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{path}: the marks {BEGIN} and {END} are missing")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    write_text(path, f"{head}{BEGIN}\n{table(document)}{END}{tail}")


def table(document: Mapping[str, Any]) -> str:
    """Return the table: a row for each client, a column for each precision."""
    clients = list(dict.fromkeys(cell["client"] for cell in document["cells"]))
    lines = [
        "| client | version | float32 | int8 | originals: float32 | originals: int8 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for client in clients:
        cells = {
            column: cell
            for cell in document["cells"]
            for column in _COLUMNS
            if cell["client"] == client and Path(cell["model"]).stem.endswith(column)
        }
        version = next((cell["version"] for cell in cells.values() if cell["version"]), "")
        texts = [_verdict(cells.get(column)) for column in _COLUMNS]
        texts += [_originals(cells.get(column)) for column in _COLUMNS]
        lines.append(f"| {client} | {version} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def _verdict(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "–"
    if "network" not in cell:
        return f"{cell['verdict']}: `{cell['error']}`"
    return f"{cell['verdict']}: {_agreement(cell['network'])}"


def _originals(cell: Mapping[str, Any] | None) -> str:
    if cell is None or "original" not in cell:
        return "–"
    return _agreement(cell["original"])


def _agreement(found: Mapping[str, Any]) -> str:
    if found["is_full"]:
        return f"{found['agreed']}/{found['rows']}"
    return (
        f"{found['agreed']}/{found['rows']} ({found['same']} the same object; median "
        f"{found['median_box_px']:.1f} px)"
    )
