"""Plain dicts -> dataclasses: what is converted, and what is refused with which words."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import pytest

from edge_retina.errors import ConfigError, ModelError
from edge_retina.schema import Reader, check_options, iterate_options, option, to_plain


@dataclass(frozen=True)
class Inner:
    size_hw: tuple[int, int] = option((64, 64), "pixels", low=32, high=128, multiple_of=32)
    kind: str = option("a", "which", choices=("", "a", "b"))


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float = option(0.5, "speed", low=0, high=1)
    count: int = option(3, "how many", low=1)
    on: bool = True
    inner: Inner = field(default_factory=Inner)
    parts: tuple[Inner, ...] = ()
    shapes: tuple[tuple[float, float], ...] = ()
    notes: dict[str, int] = field(default_factory=dict)
    anything: dict[str, Any] = field(default_factory=dict)
    score: float | None = None


READER = Reader("f.toml", ConfigError)


def test_values_of_every_kind() -> None:
    tree = {
        "name": "x",
        "rate": 1,
        "inner": {"size_hw": [32, 96]},
        "parts": [{"kind": "b"}, {}],
        "shapes": [[1, 2.5]],
        "notes": {"a": 1},
        "anything": {"deep": [1, {"b": None}]},
        "score": 0.25,
    }
    assert READER.read(Outer, tree) == Outer(
        name="x",
        rate=1.0,
        inner=Inner(size_hw=(32, 96)),
        parts=(Inner(kind="b"), Inner()),
        shapes=((1.0, 2.5),),
        notes={"a": 1},
        anything={"deep": [1, {"b": None}]},
        score=0.25,
    )
    assert type(READER.read(Outer, tree).rate) is float
    assert READER.read(Outer, {"name": "x", "score": None}).score is None


def test_what_was_read_can_be_written_and_read_again() -> None:
    value = Outer(name="x", parts=(Inner((32, 64), "b"),), shapes=((1.0, 2.0),), score=0.5)
    plain = to_plain(value)
    assert plain["parts"] == [{"size_hw": [32, 64], "kind": "b"}]
    assert READER.read(Outer, plain) == value


@pytest.mark.parametrize(
    "tree, message",
    [
        ({}, "f.toml: 'name' is missing"),
        ([], "f.toml: not an object"),
        ({"name": 3}, "f.toml: name must be a string, got 3"),
        ({"name": "x", "rat": 1}, "f.toml: unknown key 'rat'; did you mean 'rate'?"),
        ({"name": "x", "rate": True}, "f.toml: rate must be a number, got True"),
        ({"name": "x", "rate": 1.5}, "f.toml: rate must be in 0..1, got 1.5"),
        ({"name": "x", "rate": float("nan")}, "f.toml: rate must be in 0..1, got nan"),
        ({"name": "x", "count": 0}, "f.toml: count must be 1 or more, got 0"),
        ({"name": "x", "count": 2.0}, "f.toml: count must be an integer, got 2.0"),
        ({"name": "x", "on": 1}, "f.toml: on must be true or false, got 1"),
        ({"name": "x", "inner": 3}, "f.toml: 'inner' must be a section, got 3"),
        (
            {"name": "x", "inner": {"size_hw": [64, 65]}},
            "f.toml: inner.size_hw must be a multiple of 32, got 65",
        ),
        (
            {"name": "x", "inner": {"size_hw": [64]}},
            "f.toml: inner.size_hw must have 2 values, got [64]",
        ),
        ({"name": "x", "inner": {"kind": "c"}}, "f.toml: inner.kind must be one of a, b; got 'c'"),
        (
            {"name": "x", "parts": [{}, {"kind": 1}]},
            "f.toml: parts #2.kind must be a string, got 1",
        ),
        ({"name": "x", "parts": {}}, "f.toml: parts must be a list, got {}"),
        ({"name": "x", "notes": {"a": "b"}}, "f.toml: notes.a must be an integer, got 'b'"),
        ({"name": "x", "notes": 3}, "f.toml: notes must be an object, got 3"),
    ],
)
def test_what_is_refused(tree: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        READER.read(Outer, tree)
    assert str(caught.value) == message


def test_the_kind_of_error_and_the_remedy_are_the_caller_s() -> None:
    reader = Reader("m.json", ModelError, remedy="export again")
    with pytest.raises(ModelError) as caught:
        reader.read(Outer, {})
    assert str(caught.value) == "m.json: 'name' is missing; export again"


def test_a_value_from_elsewhere_is_located_there() -> None:
    reader = Reader("f.toml", ConfigError, origins={"inner.kind": "--set"})
    with pytest.raises(ConfigError, match=r"^--set: inner\.kind must be one of a, b; got 'z'$"):
        reader.read(Outer, {"name": "x", "inner": {"kind": "z"}})


def test_unknown_keys_can_be_let_pass() -> None:
    reader = Reader("m.json", ModelError, ignore_unknown=True)
    assert reader.read(Outer, {"name": "x", "later": 1}) == Outer("x")


def test_values_set_in_python_are_checked_by_the_same_rules() -> None:
    wrong = Outer(name="x", rate=2.0, inner=dataclasses.replace(Inner(), size_hw=(16, 64)))
    assert check_options(wrong) == [
        "rate must be in 0..1, got 2",
        "inner.size_hw must be in 32..128, got 16",
    ]
    assert check_options(Outer(name="x")) == []


def test_every_option_is_listed_by_its_whole_name() -> None:
    helps = {key: rule.help for key, rule in iterate_options(Outer)}
    assert helps["inner.kind"] == "which"
    assert helps["rate"] == "speed"
    assert "inner" not in helps
