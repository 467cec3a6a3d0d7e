"""Labels are any text; in source files they are only text."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_retina.decoders.literals import (
    c_string,
    camel_case,
    comment_text,
    float_text,
    python_string,
    snake_case,
    swift_string,
    utf16_escaped,
)
from edge_retina.decoders.render import render_decoder
from edge_retina.decoders.table import LANGUAGES
from tests.decoders.programs import TOOLCHAINS
from tests.decoders.synthetic import LABELS, Kind, layout_of, plan_of

HOSTILE = (
    'a"b',
    "a'b`c",
    "back\\slash\\",
    "*/ /* // # end",
    "${x} $x \\(x) {{x}} <%= x %>",
    "??/ trigraph",
    "line\nbreak\r\u2028\u2029\0\x1b",
    "</script><!--",
    "größe Δ 猫 😀 \u202e",
    "7\x017",  # digits after an escape
    "",
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_every_language_reads_the_same_text(text: str) -> None:
    assert ast.literal_eval(python_string(text)) == text
    assert json.loads(utf16_escaped(text)) == text
    octal = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), c_string(text)[1:-1])
    assert octal.encode("latin-1").decode("utf-8") == text
    points = re.sub(r"\\u\{(\w+)\}", lambda match: chr(int(match[1], 16)), swift_string(text)[1:-1])
    assert points == text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_ends_a_string_or_a_comment(language: str, text: str) -> None:
    literal = LANGUAGES[language].string(text)
    assert literal.isascii()
    assert literal.isprintable()
    inside = re.sub(r"\\(u\{\w+\}|u\w{4}|U\w{8}|\d{3})", "", literal[1:-1])
    assert not set(inside) & set("\"'\\`$*?<%{")
    assert not set(comment_text(text)) & set("\"'\\`$*?<%{\n\r\u2028\0")


@pytest.mark.parametrize(
    "text, snake, camel",
    [
        ("cells_raw_int8", "cells_raw_int8", "CellsRawInt8"),
        ("a--b.c d", "a_b_c_d", "ABCD"),
        ("8bit", "model_8bit", "Model8bit"),
        ("猫", "model", "Model"),
        ('x"; drop', "x_drop", "XDrop"),
    ],
)
def test_names(text: str, snake: str, camel: str) -> None:
    assert (snake_case(text), camel_case(text)) == (snake, camel)


def test_floats_have_the_digits_that_they_need() -> None:
    assert [float_text(x) for x in (0.05, 1e-5, 24, 1 / 3)] == [
        "0.05",
        "1e-05",
        "24.0",
        "0.33333334",
    ]


def test_labels_arrive(tmp_path: Path) -> None:
    """Read back by Python and Node."""
    plan = plan_of(layout_of(Kind("flat", "int8", "logits")))
    for name in ("python", "js"):
        suffix = LANGUAGES[name].suffix
        (tmp_path / f"d{suffix}").write_text(render_decoder(plan, LANGUAGES[name]))
    found = subprocess.run(
        [sys.executable, "-c", "import d, json; print(json.dumps(d.LABELS))"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
        text=True,
    )
    assert tuple(json.loads(found.stdout)) == LABELS
    if shutil.which(TOOLCHAINS["js"].tool) is None:
        pytest.skip("no node on this machine to read the labels of the JavaScript decoder with")
    script = 'import("./d.mjs").then((d) => console.log(JSON.stringify(d.LABELS)))'
    found = subprocess.run(
        ["node", "-e", script], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert tuple(json.loads(found.stdout)) == LABELS
