from __future__ import annotations

import pytest
from click.testing import CliRunner

from edge_retina.cli.main import main


@pytest.mark.parametrize("given, named", [("float8", "float8"), ("int8, fp16", "fp16"), ("", "")])
def test_an_unknown_precision_is_told_with_the_choices(given: str, named: str) -> None:
    result = CliRunner().invoke(main, ["export", "run", "--out", "x", "--precision", given])
    assert result.exit_code == 2
    assert f"{named!r} is not one of float32, float16, int8" in result.stderr


def test_help_names_precisions_and_raw_files() -> None:
    text = " ".join(CliRunner().invoke(main, ["export", "--help"]).stdout.split())
    assert "any of float32, float16, int8" in text
    assert "[default: float32,int8]" in text
    assert "NAME_raw_*.tflite" in text
