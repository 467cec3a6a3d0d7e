"""Write benchmarks/README.md: which measurements there are, their commands and their results.

    python benchmarks/index.py

Everything in it is taken from the files themselves: titles of suites, first sentences and first
commands of the scripts, comments of the configs, and the results that lie beside them.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edge_retina.config import read_toml
from edge_retina.files import write_text
from edge_retina.report.benchmark_document import backend_name, middle_ms, short_names, threads_text
from edge_retina.report.markdown import markdown_table
from edge_retina.report.tables import milliseconds, score

BENCHMARKS = Path(__file__).resolve().parent
README = BENCHMARKS / "README.md"
_RESULTS = BENCHMARKS / "results"
_SUITE = "suite_"
_ORDER = (".html", ".md", ".csv", ".json")
_TOOLS = ("suite", "index")  # scripts that measure nothing of their own


def render() -> str:
    """Return the text of README.md."""
    results = _by_stem(_RESULTS.iterdir())
    suites = sorted((BENCHMARKS / "suites").glob("*.toml"))
    scripts = [path for path in sorted(BENCHMARKS.glob("*.py")) if _is_script(path)]
    configs = sorted((BENCHMARKS / "configs").glob("*.toml"))
    owners = _owners(results, [path.stem for path in (*scripts, *configs)])
    rest = [stem for stem in results if stem not in owners and not stem.startswith(_SUITE)]
    parts = [
        "# Benchmarks\n",
        "Written by `python benchmarks/index.py`, from the files here; change those instead.\n",
        "## Suites\n",
        "Latency and mAP of several models together: `python benchmarks/suite.py "
        "benchmarks/suites/NAME.toml`, on a machine that does nothing else.\n",
        *(_suite(path, results.get(_SUITE + path.stem, [])) for path in suites),
        "## Studies and measurements\n",
        markdown_table(
            ("script", "what it is about", "results"),
            [
                (_link(path), _sentence(_docstring(path)), _links(_owned(results, owners, path)))
                for path in scripts
            ],
        ),
        "## Trainings\n",
        markdown_table(
            ("config", "what it is", "results"),
            [
                (_link(path), _comment(path), _links(_owned(results, owners, path)))
                for path in configs
            ],
        ),
    ]
    if rest:
        parts += [
            "## Other results\n",
            markdown_table(
                ("results", "command"),
                [(_links(results[stem]), _command(results[stem])) for stem in rest],
            ),
        ]
    return "\n".join(parts)


def _suite(path: Path, files: Sequence[Path]) -> str:
    suite = read_toml(path)
    lines = [
        f"### {suite['title']}\n",
        f"`python benchmarks/suite.py benchmarks/suites/{path.name}`\n",
    ]
    document = next((file for file in files if file.suffix == ".json"), None)
    if document is None:
        return "\n".join([*lines, "Not measured yet.\n"])
    tree = json.loads(document.read_text(encoding="utf-8"))
    environment = tree["environment"]
    machine = f"{environment['cpu']}, {environment['cores']} cores, {environment['os']}"
    lines += [f"{_links(files)}. {machine}.\n", _suite_table(tree["results"])]
    return "\n".join(lines)


def _suite_table(results: Sequence[dict[str, Any]]) -> str:
    names = short_names([result["model"] for result in results])
    rows = [
        (
            f"{names[result['model']]}, {backend_name(result['backend'])}",
            threads_text(result["threads"]),
            milliseconds(middle_ms(result)),
            score(result["mAP"]),
        )
        for result in results
    ]
    return markdown_table(("model, backend", "threads", "p50 ms", "mAP"), rows)


def _by_stem(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of each result, those for reading first."""
    found: dict[str, list[Path]] = {}
    for path in sorted(files, key=lambda file: (file.stem, _rank(file.suffix), file.name)):
        found.setdefault(path.stem, []).append(path)
    return found


def _rank(suffix: str) -> int:
    return _ORDER.index(suffix) if suffix in _ORDER else len(_ORDER)


def _owners(stems: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Return by result the script or config of the same name, or of the name it begins with."""
    owners = {}
    for stem in stems:
        fitting = [name for name in names if stem == name or stem.startswith(f"{name}_")]
        if fitting:
            owners[stem] = max(fitting, key=len)
    return owners


def _owned(results: dict[str, list[Path]], owners: dict[str, str], owner: Path) -> list[Path]:
    return [
        path for stem, files in results.items() if owners.get(stem) == owner.stem for path in files
    ]


def _is_script(path: Path) -> bool:
    return "__main__" in path.read_text(encoding="utf-8") and path.stem not in _TOOLS


def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def _sentence(text: str) -> str:
    return text.partition("\n")[0]


def _comment(path: Path) -> str:
    """Return the first line of a config, which says what it is."""
    line = path.read_text(encoding="utf-8").partition("\n")[0]
    return line.removeprefix("#").strip()


def _command(files: Sequence[Path]) -> str:
    """Return the command that a result says it was made by."""
    for path in files:
        if path.suffix == ".json":
            tree = json.loads(path.read_text(encoding="utf-8"))
            if "command" in tree:
                return f"`{tree['command']}`"
        found = re.search(r"^Command: (`[^`]+`)", path.read_text(encoding="utf-8"), re.MULTILINE)
        if found:
            return found[1]
    return ""


def _link(path: Path) -> str:
    return f"[{path.name}]({path.relative_to(BENCHMARKS).as_posix()})"


def _links(files: Sequence[Path]) -> str:
    return ", ".join(_link(path) for path in files)


if __name__ == "__main__":
    write_text(README, render())
