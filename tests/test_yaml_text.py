from __future__ import annotations

import pytest

from edge_retina.yaml_text import MOST_BYTES, parse_yaml


def test_plain_values() -> None:
    text = "names: {0: cat, 1: dog}\ntrain: &t images\nval: *t\nnc: 2\n"
    assert parse_yaml(text) == {
        "names": {0: "cat", 1: "dog"},
        "train": "images",
        "val": "images",
        "nc": 2,
    }


@pytest.mark.parametrize(
    "text, message",
    [
        ("a: &a {k: 1}\nb: {<<: *a}\n", "line 2: merge keys (<<) are not read; write the keys out"),
        ("a: [1\n", "while parsing a flow sequence"),
        ("day: 2024-99-99\n", "month must be in 1..12"),
        ("[" * 2000, "its lists or mappings are nested too deeply"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
        ("#" * (MOST_BYTES + 1), f"it has {MOST_BYTES + 1} characters, but at most 1 MiB are read"),
    ],
    ids=["merge", "syntax", "day", "depth", "object", "size"],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_yaml(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_merges_of_merges_are_not_made() -> None:
    """Each line doubles the one before: unfolded, the last has two million entries."""
    lines = ["m0: &m0 {k: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}]}}" for n in range(1, 22)]
    with pytest.raises(ValueError, match="line 2: merge keys"):
        parse_yaml("\n".join(lines))
