"""MkDocs hook: brings the files outside docs/ that pages link to into the site.

The pages link to results, scripts and examples by relative path, so that they work in a checkout
and in a repository browser. MkDocs knows only files in docs/. This hook follows the links, adds the
files as `repository/PATH`, and rewrites the links. Markdown files, source files and directories
of source files become pages, others are copied.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "repository/"
CODE = {".py": "python", ".toml": "toml", ".sh": "sh", ".yaml": "yaml", ".txt": "text"}
CODE |= {".kt": "kotlin", ".swift": "swift", ".kts": "kotlin"}
_LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_TABLE_CODE = re.compile(r"`[^`]*`")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside docs/ that a page, or an added Markdown file, links to."""
    waiting = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    waiting += ["CONTRIBUTING.md", "CHANGELOG.md"]  # in the navigation
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if not path.startswith("docs/"):
            files.append(_added_file(path, config))
        if path.endswith(".md"):
            waiting += _linked(path)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite links to files of the repository, and "|" in the code of table cells."""
    path = _repository_path(page.file.src_uri)
    if not path.endswith(".md"):
        page.meta["search"] = {"exclude": True}  # source files
        return markdown
    if not path.startswith("docs/"):
        page.meta["search"] = {"boost": 0.2}  # below the pages that explain

    def site_link(match: re.Match[str]) -> str:
        target = _target(path, match[2])
        if target is None:
            return match[0]
        here = posixpath.dirname(page.file.src_uri)
        return f"{match[1]}{posixpath.relpath(_site_path(target), here or '.')}{match[3]}"

    return _outside_fences(markdown, lambda text: _LINK.sub(site_link, _table_code(text)))


def _linked(path: str) -> Iterator[str]:
    """Yield the repository paths of the existing files that a Markdown file links to."""
    text = _FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    for match in _LINK.finditer(text):
        target = _target(path, match[2])
        if target is not None:
            yield target


def _target(path: str, link: str) -> str | None:
    """Return the repository path of a relative link; a directory stands for its README.md, if any.

    None for other links, and for paths that don't exist: MkDocs reports those.
    """
    if "://" in link or link.startswith(("mailto:", "/")):
        return None
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    if (ROOT / target / "README.md").is_file():
        target = posixpath.join(target, "README.md")
    return target if (ROOT / target).exists() else None


def _site_path(path: str) -> str:
    """Return the path below docs/ as which MkDocs sees a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if (ROOT / path).is_dir():
        return f"{PREFIX}{path}/index.md"
    return PREFIX + path + (".md" if posixpath.splitext(path)[1] in CODE else "")


def _repository_path(site_path: str) -> str:
    if not site_path.startswith(PREFIX):
        return f"docs/{site_path}"
    path = site_path.removeprefix(PREFIX)
    return path if (ROOT / path).exists() else path.removesuffix("/index.md").removesuffix(".md")


def _added_file(path: str, config: MkDocsConfig) -> File:
    source = ROOT / path
    if source.is_file() and source.suffix not in CODE:
        return File.generated(config, _site_path(path), abs_src_path=str(source))
    shown = sorted(source.iterdir()) if source.is_dir() else [source]
    page = f"# {path}\n"
    for file in (file for file in shown if file.suffix in CODE):
        text = file.read_text(encoding="utf-8").rstrip()
        title = f"\n{file.name}\n" if source.is_dir() else ""
        page += f"{title}\n````{CODE[file.suffix]}\n{text}\n````\n"
    return File.generated(config, _site_path(path), content=page)


def _table_code(text: str) -> str:
    r"""Write "\|" in the code of a table's cells as "|": Python-Markdown shows the backslash."""
    lines = text.splitlines(keepends=True)
    return "".join(
        _TABLE_CODE.sub(lambda code: code[0].replace(r"\|", "|"), line)
        if line.startswith("|")
        else line
        for line in lines
    )


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [change(markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(markdown[end:])])
