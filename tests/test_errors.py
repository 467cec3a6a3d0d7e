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
