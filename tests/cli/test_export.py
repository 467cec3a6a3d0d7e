from __future__ import annotations

import pytest
from click.testing import CliRunner

from edge_retina.cli.main import main


@pytest.mark.parametrize("given, named", [("float8", "float8"), ("int8, fp16", "fp16"), ("", "")])
def test_an_unknown_precision_is_told_with_the_choices(given: str, named: str) -> None:
    result = CliRunner().invoke(main, ["export", "run", "--out", "x", "--precision", given])
    assert result.exit_code == 1
    assert f"{named!r} is not one of float32, float16, int8" in result.stderr


def test_help_names_precisions_and_raw_files() -> None:
    text = " ".join(CliRunner().invoke(main, ["export", "--help"]).stdout.split())
    assert "any of float32, float16, int8" in text
    assert "[default: float32,int8]" in text
    assert "NAME_raw_*.tflite" in text


@pytest.mark.parametrize("given, named", [("tpu", "tpu"), ("cpu, dsp", "dsp"), ("", "")])
def test_an_unknown_target_is_told_with_the_choices(given: str, named: str) -> None:
    result = CliRunner().invoke(main, ["export", "run", "--out", "x", "--target", given])
    assert result.exit_code == 1
    assert f"{named!r} is not one of cpu, gpu, npu, edgetpu, ethos-u, micro" in result.stderr


@pytest.mark.parametrize(
    "options, said",
    [
        (
            ["--target", "cpu,npu,gpu", "--no-nms"],
            "--no-nms changes the files for cpu only, and those for npu, gpu have no NMS anyway; "
            "leave out --no-nms or --target",
        ),
        (
            ["--target", "npu", "--precision", "int8"],
            "--precision is of the files for cpu; those for npu have the one that suits it: leave "
            "out --precision, or add cpu to --target",
        ),
    ],
)
def test_options_that_contradict_a_target(options: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["export", "run", "--out", "x", *options])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {said}"
