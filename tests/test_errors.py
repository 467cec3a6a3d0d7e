"""The error tree and the ends of its messages."""

from __future__ import annotations

import pytest

from edge_retina import errors


@pytest.mark.parametrize(
    "got, allowed, hint",
    [
        ("trian", ["train", "model"], "did you mean 'train'?"),
        ("x", ["b", "a"], "allowed: a, b"),
        ("x", [], "allowed: "),
        ("val", {"val": 1, "train": 2}, "did you mean 'val'?"),
    ],
)
def test_choices_hint(got: str, allowed: list[str], hint: str) -> None:
    assert errors.choices_hint(got, allowed) == hint


def test_every_error_is_one_a_user_can_mend_and_is_in_the_drawn_tree() -> None:
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    raised = [cls for cls in classes if issubclass(cls, Exception)]
    assert len(raised) >= 8
    for cls in raised:
        assert issubclass(cls, errors.EdgeRetinaError)
        assert cls.__name__ in (errors.__doc__ or "")


def test_one_line_of_many_and_no_control_of_the_terminal() -> None:
    assert errors.one_line("a\n  b\r\nc") == "a b c"
    assert errors.one_line("größer × \x1b[31mred\x07") == "größer × \\x1b[31mred\\x07"


def test_a_very_long_line_keeps_its_start_and_its_remedy() -> None:
    found = errors.one_line("a.csv: class '" + "x" * 20_000 + "' is unknown; fix the file")
    assert found.startswith("a.csv: class 'xxx")
    assert found.endswith("xxx' is unknown; fix the file")
    assert " [... 18040 characters ...] " in found
    assert len(found) < 2050
    assert errors.one_line("x" * 2000) == "x" * 2000


def test_a_long_list_of_choices_is_shortened() -> None:
    names = [f"n{number:02}" for number in range(53)]
    assert errors.shortened_list(names) == ", ".join(names[:50]) + " and 3 more"
    assert errors.shortened_list(names[:50]) == ", ".join(names[:50])
    assert errors.choices_hint("x", names).endswith(", n49 and 3 more")
