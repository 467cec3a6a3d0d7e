"""The page of the Python API, `python.md`: an introduction, and the docstrings of its names."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edge_retina as er

HEAD = Path(__file__).with_name("python_head.md")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")


def python_page(note: str) -> str:
    """Return the page.

    Args:
        note: says that and from what it is generated.
    """
    parts = [HEAD.read_text(encoding="utf-8"), note, "", "## Reference", ""]
    for name in er.__all__:
        value = getattr(er, name)
        if not name.endswith("Error"):
            parts += _entry(f"er.{name}", value, level=3)
    parts += ["### Errors", ""]
    parts += [f"- `er.{name}`: {_first_line(getattr(er, name))}" for name in _errors()]
    return "\n".join(parts).rstrip() + "\n"


def _errors() -> list[str]:
    return [name for name in er.__all__ if name.endswith("Error")]


def _entry(title: str, value: Any, *, level: int) -> Iterator[str]:
    """Yield the lines about a function or a class, and about a class's public methods."""
    yield from (f"{'#' * level} {title}", "")
    if inspect.isclass(value):
        yield from _documentation(value)
        constructor = vars(value).get("__init__")
        if constructor is not None and constructor.__doc__:
            yield from _call(title, constructor)
        for name, member in vars(value).items():
            yield from _member(title, name, member, level=level + 1)
        return
    yield from _call(title, inspect.unwrap(value))


def _member(title: str, name: str, member: Any, *, level: int) -> Iterator[str]:
    if name == "__call__":
        yield from (f"{'#' * level} {title}(...)(...)", "")
        yield from _call("detector", member)
    elif name.startswith("_"):
        return
    elif isinstance(member, property):
        yield from (f"{'#' * level} {title}.{name}", "")
        yield from _documentation(member)
    elif isinstance(member, classmethod):
        yield from _entry(f"{title}.{name}", member.__func__, level=level)
    elif inspect.isfunction(member):
        yield from _entry(f"{title}.{name}", member, level=level)


def _call(title: str, function: Any) -> Iterator[str]:
    """Yield the signature and the docstring."""
    yield from ("```text", _signature(title, function), "```", "")
    yield from _documentation(function)


def _signature(title: str, function: Any) -> str:
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    returned = signature.return_annotation
    result = "" if returned in (inspect.Signature.empty, "None", None) else f" -> {returned}"
    texts = [_parameter(parameter) for parameter in given]
    keyword = next((i for i, p in enumerate(given) if p.kind is p.KEYWORD_ONLY), None)
    star = any(p.kind is p.VAR_POSITIONAL for p in given)
    if keyword is not None and not star:
        texts.insert(keyword, "*")
    line = f"{title}({', '.join(texts)}){result}"
    if len(line) <= 100:
        return line
    return f"{title}(\n" + "".join(f"    {text},\n" for text in texts) + f"){result}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
    text = f"{stars}{parameter.name}: {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    default = parameter.default
    return f"{text} = {json.dumps(default) if isinstance(default, str) else repr(default)}"


def _documentation(value: Any) -> Iterator[str]:
    """Yield a docstring in the form of Google's guide as Markdown."""
    section = ""
    for line in _joined(inspect.getdoc(value) or ""):
        heading = _SECTION.match(line)
        if heading:
            section = heading[1]
            yield from (f"{section}:", "")
        elif section and line.startswith("    "):
            text = line.strip()
            name, colon, meaning = text.partition(": ")
            named = colon and section != "Returns"
            yield f"- {_code(name)}: {meaning}" if named else f"- {text}"
        else:
            section = ""
            yield line
    yield ""


def _joined(text: str) -> list[str]:
    """Return the lines of a docstring, those of one paragraph or entry as one."""
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        heading = _SECTION.match(line)
        section = heading[1] if heading else section if line.startswith("    ") else ""
        indent = len(line) - len(line.lstrip())
        previous = lines[-1] if lines else ""
        new = not line or not previous or _SECTION.match(line) or _SECTION.match(previous)
        deeper = (indent > 4 or section == "Returns") and previous.startswith("    ")
        if not new and (deeper or (indent == 0 and not previous.startswith("    "))):
            lines[-1] = f"{previous} {line.strip()}"
        else:
            lines.append(line)
    return lines


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").splitlines()[0]
