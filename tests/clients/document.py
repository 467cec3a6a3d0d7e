"""The table of clients in Markdown, as docs/clients.md has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_retina.files import write_text
from edge_retina.report.markdown import markdown_table
from tests.clients.comparison import SAME_IOU

BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
_COLUMNS = ("float32", "int8")

Cell = Mapping[str, Any]


def write_table(path: Path, table: str) -> None:
    """Replace the text between the two marks in `path`.

    Raises:
        ValueError: the marks are missing.
    """
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise ValueError(f"{path}: the marks {BEGIN} and {END} are missing")
    write_text(path, f"{head}{BEGIN}\n{table}{END}{tail}")


def full_table(document: Mapping[str, Any]) -> str:
    """Return one row per client, with the numbers behind the verdicts."""
    head = ["client", "version", *_COLUMNS, "class names"]
    head += [f"originals: {column}" for column in _COLUMNS]
    return markdown_table(
        head,
        [
            [
                client,
                _version(cells.values()),
                *(_verdict(cells.get(column)) for column in _COLUMNS),
                _names(document, client),
                *(_originals(cells.get(column)) for column in _COLUMNS),
            ]
            for client, cells in _by_client(document).items()
        ],
    )


def _by_client(document: Mapping[str, Any]) -> dict[str, dict[str, Cell]]:
    """Return the cells by client and column, clients in the order of the run."""
    found: dict[str, dict[str, Cell]] = {}
    for cell in document["cells"]:
        for column in _COLUMNS:
            if Path(cell["model"]).stem.endswith(column):
                found.setdefault(cell["client"], {})[column] = cell
    return found


def _version(cells: Any) -> str:
    return next((cell["version"] for cell in cells if cell["version"]), "")


def _verdict(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    if "operators" in cell:
        counts = cell["operators"]
        return f"{cell['verdict']}: {counts['NPU']} of {sum(counts.values())} operators on the NPU"
    if "network" not in cell:
        return f"{cell['verdict']}: `{cell['error']}`"
    return f"{cell['verdict']}: {_agreement(cell['network'])}"


def _names(document: Mapping[str, Any], client: str) -> str:
    """Return how many rows of the detector with known classes agree, over both its files."""
    cells = [cell for cell in document["class_names"] if cell["client"] == client]
    if not cells:
        return "–"
    errors = [f"{cell['verdict']}: `{cell['error']}`" for cell in cells if "error" in cell]
    if errors:
        return "; ".join(errors)
    agreed, rows = (sum(cell["objects"][name] for cell in cells) for name in ("agreed", "rows"))
    return f"green: {agreed}/{rows}"


def _originals(cell: Cell | None) -> str:
    if cell is None or "original" not in cell:
        return "–"
    return _agreement(cell["original"])


def _agreement(found: Mapping[str, Any]) -> str:
    if found["is_full"]:
        return f"{found['agreed']}/{found['rows']}"
    return (
        f"{found['agreed']}/{found['rows']} ({found['same']} with IoU ≥ {SAME_IOU:g}; median "
        f"{found['median_box_px']:.1f} px)"
    )
