"""docs/schemas: current, and changed only with their version.

tests/test_json_documents.py holds them against what the commands write.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from docs.site import schemas
from docs.site.json_schema import attribute_meanings, breaking_changes, schema_of, type_schema
from docs.site.schemas import SCHEMAS, schema_named, schema_text

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_are_current(name: str) -> None:
    path = ROOT / "docs" / "schemas" / f"{name}.json"
    assert path.read_text(encoding="utf-8") == schema_text(name), "run `make references`"


def test_there_are_no_other_files() -> None:
    assert {path.stem for path in (ROOT / "docs" / "schemas").glob("*")} == set(SCHEMAS)


def test_a_breaking_change_needs_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "DIRECTORY", tmp_path)
    assert schemas.main() == 0
    old = schema_named("predict")
    changed = copy.deepcopy(old)
    changed["properties"]["source"] = {"type": "string"}  # that this version doesn't have
    (tmp_path / "predict.json").write_text(json.dumps(changed))
    assert schemas.refusals("predict") == ["source: is gone"]
    assert schemas.main() == 1
    assert "source" in json.loads((tmp_path / "predict.json").read_text())["properties"]
    (tmp_path / "predict.json").write_text(json.dumps({**changed, "version": 0}))
    assert schemas.main() == 0
    assert json.loads((tmp_path / "predict.json").read_text()) == old


OLD = {
    "type": "object",
    "properties": {"a": {"type": "number"}, "b": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
}


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda new: None, []),
        (lambda new: new["properties"].update(c={"type": "string"}), []),
        (lambda new: new["required"].append("b"), []),
        (lambda new: new["properties"].pop("a"), ["a: is gone"]),
        (lambda new: new["required"].clear(), ["a: may now be missing"]),
        (
            lambda new: new["properties"]["b"]["items"].update(type="number"),
            ["b[]: type was 'string', is 'number'"],
        ),
        (lambda new: new["properties"]["b"].pop("items"), ["b[]: was {'type': 'string'}, is None"]),
    ],
)
def test_changes_that_break_readers(change: Callable[[Any], None], expected: list[str]) -> None:
    new = copy.deepcopy(OLD)
    change(new)
    assert list(breaking_changes(OLD, new)) == expected


@dataclass(frozen=True)
class Part:
    """A part.

    Attributes:
        size, weight: of it,
            in some unit.
        names: all of them.
    """

    size: tuple[int, int]
    weight: float | None
    names: dict[str, tuple[str, ...]]


def test_the_schema_of_a_dataclass() -> None:
    assert attribute_meanings(Part) == {
        "size": "of it, in some unit.",
        "weight": "of it, in some unit.",
        "names": "all of them.",
    }
    assert schema_of(Part, optional=("names",), extra={"type": "boolean"}) == {
        "type": "object",
        "properties": {
            "size": {
                "type": "array",
                "items": {"type": "integer"},
                "minItems": 2,
                "maxItems": 2,
                "description": "of it, in some unit.",
            },
            "weight": {"type": ["number", "null"], "description": "of it, in some unit."},
            "names": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
                "description": "all of them.",
            },
            "extra": {"type": "boolean"},
        },
        "required": ["size", "weight", "extra"],
        "additionalProperties": False,
    }
    with pytest.raises(TypeError, match="no JSON schema for <class 'complex'>"):
        type_schema(complex)
