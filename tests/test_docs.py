"""The pages: generated ones are current, links lead somewhere, commands and snippets are right.

Nothing heavy is run. A command is parsed by the program's own options, its `--set` values are
checked by the config, and a config snippet is loaded.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
import yaml

from docs.site.references import PAGES
from edge_retina.cli.main import COMMANDS, main
from edge_retina.config import Config, load_config, read_toml
from edge_retina.schema import to_plain

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
WITH_COMMANDS = [ROOT / "README.md", ROOT / "calibration" / "README.md", *DOCS]
WITH_LINKS = [
    *WITH_COMMANDS,
    *(ROOT / name for name in ("CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "benchmarks" / "results").glob("*.md")),
    *sorted((ROOT / "calibration" / "results").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(r"^(\$ )?(\S+/)?edge-retina ")
_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of these languages."""
    found = _FENCE.findall(path.read_text(encoding="utf-8"))
    return [text for language, text in found if language in languages]


def commands_of(path: Path) -> Iterator[str]:
    """The calls of `edge-retina` in a page's blocks; in blocks of output, those after a prompt."""
    for language, text in _FENCE.findall(path.read_text(encoding="utf-8")):
        for line in text.replace("\\\n", " ").splitlines():
            match = _PROGRAM.match(line)
            if match and (match[1] or language == "sh"):
                yield line[match.end() :]


def inline_commands(path: Path) -> Iterator[str]:
    """The calls of `edge-retina` in a page's running text."""
    prose = _FENCE.sub("", path.read_text(encoding="utf-8"))
    for _, code in _CODE.findall(prose):
        if code.startswith("edge-retina "):
            yield code.removeprefix("edge-retina ")


def cases(source: Any) -> list[Any]:
    found = {(path, text): None for path in WITH_COMMANDS for text in source(path)}
    return [pytest.param(text, id=f"{name_of(path)}: {text}") for path, text in found]


def command_named(name: str) -> tuple[click.Command, click.Context]:
    root = click.Context(main, info_name="edge-retina")
    command = main.get_command(root, name)
    assert command is not None, f"no command {name}"
    return command, root


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "run `make references`"


@pytest.mark.parametrize("line", cases(commands_of))
def test_commands_are_ones_that_the_program_takes(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)
    if name.startswith("-"):
        return  # of the program itself, such as --help
    command, root = command_named(name)
    context = command.make_context(name, arguments, parent=root)  # raises on wrong usage
    load_config(overrides=context.params.get("overrides") or ())


@pytest.mark.parametrize("text", cases(inline_commands))
def test_commands_in_the_text_exist_with_their_options(text: str) -> None:
    name = text.split()[0]
    if name == "COMMAND":
        return
    command, _ = command_named(name)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert set(re.findall(r"--[a-z][a-z-]*", text)) <= known


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=name_of)
def test_toml_snippets_are_valid(path: Path, tmp_path: Path) -> None:
    sections = {"preset", *to_plain(Config())}
    for text in blocks(path, "toml"):
        file = tmp_path / "snippet.toml"
        file.write_text(text, encoding="utf-8")
        if set(read_toml(file)) <= sections:
            load_config(file)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=name_of)
def test_other_snippets_are_valid(path: Path) -> None:
    for text in blocks(path, "python"):
        compile(text, name_of(path), "exec")
    for text in blocks(path, "json"):
        json.loads(text)
    for text in blocks(path, "sh"):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_python_example_finds_what_the_model_says(tmp_path: Path) -> None:
    (code,) = blocks(ROOT / "docs" / "quickstart.md", "python")
    model = (ROOT / "tests" / "golden" / "tiny_uint8.tflite").read_bytes()
    (tmp_path / "demo_int8.tflite").write_bytes(model)
    cv2.imwrite(str(tmp_path / "photo.jpg"), np.full((40, 60, 3), 255, np.uint8))
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert result.returncode == 0, result.stderr
    # tests/golden/make_tiny_detector.py: the square's score is 0.5 + 0.25 * mean = 0.75 for white
    assert result.stdout == "square 0.75 ymin xmin ymax xmax in pixels: [ 4. 12. 20. 36.]\n"


def anchors_of(path: Path) -> set[str]:
    """The anchors that a page's headings get, as GitHub makes them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        numbered = (f"{slug}-{number}" for number in range(1, 100))
        found.add(slug if slug not in found else next(new for new in numbered if new not in found))
    return found


@pytest.mark.checkout
@pytest.mark.parametrize("path", WITH_LINKS, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    prose = _CODE.sub("", _FENCE.sub("", path.read_text(encoding="utf-8")))
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_in_the_navigation_once() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def pages(items: list[Any]) -> Iterator[str]:
        for item in items:
            for value in item.values():
                yield from [value] if isinstance(value, str) else pages(value)

    listed = [page for page in pages(site["nav"]) if not page.startswith("repository/")]
    assert sorted(listed) == [path.name for path in DOCS]


def test_every_page_is_in_the_table_of_contents() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)}
    assert {path.name for path in DOCS} - {"README.md"} <= linked


def sentences_of(path: Path) -> Iterator[str]:
    """The sentences of a page's paragraphs and lists; a link or a piece of code is one word."""
    text = _CODE.sub("code", _FENCE.sub("", path.read_text(encoding="utf-8")))
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for block in re.split(r"\n\s*\n|\n\s*(?:-|\d+\.) ", text):
        if not block.lstrip().startswith(("|", "#", "<!--")):
            yield from re.split(r"(?<=[.!?:;])\s+", " ".join(block.split()))


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=name_of)
def test_sentences_have_one_breath(path: Path) -> None:
    long = [text for text in sentences_of(path) if len(re.findall(r"[\w'%.]+", text)) > 30]
    assert long == [], "split them"


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_all_commands_are_in_some_page_as_a_call() -> None:
    called = {line.split()[0] for path in WITH_COMMANDS for line in commands_of(path)}
    assert set(COMMANDS) <= called
