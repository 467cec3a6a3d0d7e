"""JSON schemas of dataclasses, as their `to_dict` writes them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

_SIMPLE = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
_ENTRY = re.compile(r"^    ([\w, ]+): (.*)$")


def schema_of(cls: type, *, optional: tuple[str, ...] = (), **instead: Schema) -> Schema:
    """Return the schema of a dataclass; every field has to be there and no other may be.

    Args:
        cls: the dataclass. Descriptions come from the `Attributes` of its docstring.
        optional: fields that may be missing.
        instead: schemas for fields that `to_dict` writes in another form, or adds.
    """
    hints = typing.get_type_hints(cls)
    meanings = attribute_meanings(cls)
    properties: dict[str, Schema] = {}
    for field in dataclasses.fields(cls):
        found = instead.pop(field.name, None) or type_schema(hints[field.name])
        meaning = meanings.get(field.name)
        properties[field.name] = {**found, **({"description": meaning} if meaning else {})}
    return object_schema(properties | instead, optional=optional)


def object_schema(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def list_of(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """Return the schema of an object with any names, such as those of classes."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    """Return the schema of a value that may be null."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def type_schema(hint: Any) -> Schema:
    """Return the schema of a value of a type.

    Raises:
        TypeError: there is no rule for the type.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    if dataclasses.is_dataclass(hint):
        return schema_of(typing.cast(type, hint))
    if origin in (types.UnionType, typing.Union):
        kinds = [item for item in arguments if item is not type(None)]
        if len(kinds) == 1:
            return or_null(type_schema(kinds[0]))
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (tuple, list):
        return _list(arguments)
    if origin is dict:
        return map_of(type_schema(arguments[1]))
    raise TypeError(f"no JSON schema for {hint!r}; add a rule to {__name__}.type_schema")


def _list(arguments: tuple[Any, ...]) -> Schema:
    if len(arguments) == 1 or arguments[1] is Ellipsis:
        return list_of(type_schema(arguments[0]))
    items = [type_schema(argument) for argument in arguments]
    same = items[0] if all(item == items[0] for item in items) else {}
    return {**list_of(same), "minItems": len(items), "maxItems": len(items)}


def attribute_meanings(cls: type) -> dict[str, str]:
    """Return what the docstring of a class says of each attribute."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in _attribute_lines(inspect.getdoc(cls) or ""):
        entry = _ENTRY.match(line)
        if entry:
            names = entry[1].split(", ")
            found |= dict.fromkeys(names, entry[2])
        else:
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


def _attribute_lines(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        if line == "Attributes:":
            inside = True
        elif inside and line and not line.startswith(" "):
            return
        elif inside and line:
            yield line


def breaking_changes(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Yield how documents of a new schema may fail programs that were written for the old one.

    What is only added is no such change: readers are asked to ignore fields that they don't know.
    """
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield f"{where}: was {old!r}, is {new!r}"
        return
    for name, before in old.get("properties", {}).items():
        place = f"{where}.{name}" if where else name
        if name not in new.get("properties", {}):
            yield f"{place}: is gone"
        else:
            yield from breaking_changes(before, new["properties"][name], place)
            if name in old.get("required", ()) and name not in new.get("required", ()):
                yield f"{place}: may now be missing"
    for key in ("type", "enum", "const", "minItems", "maxItems"):
        if old.get(key) != new.get(key):
            yield f"{where}: {key} was {old.get(key)!r}, is {new.get(key)!r}"
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict):
            yield from breaking_changes(old[key], new.get(key), f"{where}[]")
    for place, before in enumerate(old.get("anyOf", ())):
        after = new.get("anyOf", ())
        yield from breaking_changes(before, after[place] if place < len(after) else None, where)
