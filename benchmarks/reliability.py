"""Write results/reliability.md: findings, kills, fuzzing, hostile files, load, packaging, images.

    python benchmarks/reliability.py

Nothing is measured here. Findings come from benchmarks/findings.toml, and every test that is named
there must exist. The tables come from results/kill_table.json, fuzz.json, hostile_annotations.json,
load.json, installs.json, installs_arm64.json and image.json. A part that is missing is said to be
missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edge_retina.config import read_toml
from edge_retina.files import load_json, write_text
from edge_retina.report.markdown import markdown_table

BENCHMARKS = Path(__file__).resolve().parent
RESULTS = BENCHMARKS / "results"
TARGET = RESULTS / "reliability.md"
KILLS = 30  # asked for
LARGE = 100_000


def render(results: Path = RESULTS) -> str:
    """Return the text of reliability.md."""
    parts = [
        "# Reliability\n",
        "Written by `python benchmarks/reliability.py` from the files named below.\n",
        "## Findings\n",
        "What a search for faults found, its cure, and the tests of the cure "
        "([findings.toml](../findings.toml)).\n",
        findings_table(read_toml(BENCHMARKS / "findings.toml")["findings"]),
    ]
    for title, name, table in _PARTS:
        parts += [f"## {title}\n", _part(results / name, table)]
    return "\n".join(parts)


def findings_table(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of findings.

    Raises:
        click.ClickException: a test that is named does not exist.
    """
    missing = [name for item in findings for name in item["tests"] if not test_exists(name)]
    if missing:
        raise click.ClickException(f"findings.toml: no such test: {', '.join(missing)}")
    return markdown_table(
        ("", "what happened", "cure", "tests"),
        [(str(item["number"]), item["what"], item["cure"], _tests(item)) for item in findings],
    )


def test_exists(name: str) -> bool:
    """Say whether `FILE::FUNCTION` is a test of this repository."""
    path, _, function = name.partition("::")
    file = BENCHMARKS.parent / path
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    return re.search(rf"^(async )?def {re.escape(function)}\(", text, re.MULTILINE) is not None


def _tests(item: Mapping[str, Any]) -> str:
    texts = [f"`{name.removeprefix('tests/')}`" for name in item["tests"]]
    return ", ".join([*texts, *([f"open: {item['open']}"] if "open" in item else [])])


def _part(path: Path, table: Callable[[Any], str]) -> str:
    if not path.is_file():
        return f"Missing: `{path.name}` has not been written yet.\n"
    document = load_json(path)
    return f"From [{path.name}]({path.name}).\n\n{table(document)}"


def kill_table(document: Mapping[str, Any]) -> str:
    """Return the table of kills, with what is asked for."""
    rows = document.get("kills", [])
    same = sum(row["identical"] for row in rows)
    head = (
        f"{len(rows)} SIGKILLs in {len({row['run'] for row in rows})} runs with the network "
        f"`{document['network']}`. After {same} of them, weights and `.tflite` files were in the "
        "end byte for byte those of the undisturbed run. "
    )
    if len(rows) < KILLS:
        head += f"**{KILLS} are asked for; {KILLS - len(rows)} are not measured yet.** "
    table = markdown_table(
        ("kill", "run", "stage", "s in the process", "s in the stage", "left", "then", "identical"),
        [
            (
                str(number),
                str(row["run"]),
                row["stage"],
                f"{row['moment_s']:.1f}",
                f"{row['stage_s']:.1f}",
                f"{row['leftovers']} files, {row['workers']} processes",
                row["result"],
                "yes" if row["identical"] else "**no**",
            )
            for number, row in enumerate(rows, 1)
        ],
    )
    return f"{head}\n\n{table}"


def fuzz_table(document: Any) -> str:
    """Return the table of the fuzzers: cases by target, with their sum."""
    rows = _rows(document)
    total = sum(row["cases"] for row in rows)
    hours = sum(row["seconds"] for row in rows) / 3600
    table = markdown_table(
        ("target", "cases", "findings", "seconds"),
        [
            (row["target"], f"{row['cases']:,}", str(row["findings"]), f"{row['seconds']:.0f}")
            for row in rows
        ],
    )
    return (
        f"{total:,} cases in {hours:.1f} hours of processor time, over all versions of the code. "
        f"What was found is mended.\n\n{table}"
    )


def hostile_table(document: Mapping[str, Any]) -> str:
    """Return what hostile annotation files cost, and cost before where that was measured."""
    rows = document["results"]
    asked = document["asked"]
    within = sum(row["within"] for row in rows)
    head = (
        f"{within} of {len(rows)} are within {asked['cpu_seconds']} s of processor time and "
        f"{asked['peak_mb']:,} MB, the interpreter and its packages included. Before: the same "
        "files with the code before these costs were bounded, where that was measured. The machine "
        "was busy with other work both times."
    )
    table = markdown_table(
        ("file", "", "MB", "before", "now", "answer"),
        [
            (
                row["case"],
                row["command"],
                f"{row['bytes'] / 1e6:.2f}",
                _cost(row["before"]) if "before" in row else "",
                _cost(row) if row["within"] else f"**{_cost(row)}**",
                row["answer"].partition(":")[0],
            )
            for row in rows
        ],
    )
    return f"{head}\n\n{table}"


def _cost(row: Mapping[str, Any]) -> str:
    if row["cpu_seconds"] is None:
        return str(row["answer"])
    return f"{row['cpu_seconds']:.1f} s, {row['peak_mb']:,} MB"


def load_table(document: Mapping[str, Any]) -> str:
    """Return the table of large data, and what a further picture costs."""
    rows = list(document["parts"].values())
    table = markdown_table(
        ("part", "pictures", "objects each", "classes", "seconds", "of processor", "peak MB"),
        [
            (
                row["part"],
                f"{row['images']:,}",
                f"{row['objects']:,}",
                f"{row['classes']:,}",
                f"{row['seconds']:.0f}",
                f"{row['cpu_seconds']:.0f}",
                f"{row['peak_mb']:.0f}",
            )
            for row in rows
        ],
    )
    growth = document.get("bytes_per_image") or {}
    text = f"{table}\nMemory of the process for each further picture with ten objects:\n\n"
    text += markdown_table(
        ("part", "bytes a picture", "from", "to pictures"),
        [
            (part, *(f"{row[key]:,}" for key in ("bytes", "from", "to")))
            for part, row in growth.items()
        ],
    )
    if not any(row["images"] == LARGE for row in rows):
        text += f"\n**Missing: the parts on {LARGE:,} pictures.**\n"
    return text


def packaging_table(document: Any) -> str:
    """Return what was built and installed where."""
    return markdown_table(
        ("Python", "system", "what", "result", "seconds", "MB"),
        [
            tuple(_cell(row.get(key)) for key in ("python", "os", "what", "result"))
            + tuple(_number(row.get(key)) for key in ("seconds", "mb"))
            for row in _rows(document)
        ],
    )


def image_table(document: Any) -> str:
    """Return sizes of container images, whatever else is noted of them."""
    rows = _rows(document)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    return markdown_table(keys, [tuple(_cell(row.get(key)) for key in keys) for row in rows])


def _rows(document: Any) -> list[dict[str, Any]]:
    """Return the rows of a document that is a list, or has one."""
    if isinstance(document, list):
        return document
    lists = [value for value in document.values() if isinstance(value, list)]
    lists = [value for value in lists if value and isinstance(value[0], dict)]
    if not lists:
        raise click.ClickException("expected a list of rows")
    return max(lists, key=len)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, (int, float)) else ""


_PARTS = (
    ("Kills", "kill_table.json", kill_table),
    ("Kills with stages that compute nothing", "kill_table_stand_in.json", kill_table),
    ("Fuzzing", "fuzz.json", fuzz_table),
    ("Hostile annotation files", "hostile_annotations.json", hostile_table),
    ("Load", "load.json", load_table),
    ("Packaging", "installs.json", packaging_table),
    ("Packaging for ARM, emulated", "installs_arm64.json", packaging_table),
    ("Image sizes", "image.json", image_table),
)


if __name__ == "__main__":
    write_text(TARGET, render())
