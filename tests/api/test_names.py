"""The public names: all there, cheap to import, usable without TensorFlow."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import edge_retina as er
from tests.test_architecture import run_without_tensorflow

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", er.__all__)
def test_every_name_is_there_typed_and_explained(name: str) -> None:
    value = getattr(er, name)
    function = inspect.unwrap(value) if not inspect.isclass(value) else value
    assert function.__doc__
    if not inspect.isclass(function):
        hints = typing.get_type_hints(function)
        assert set(inspect.signature(value).parameters) | {"return"} == set(hints)


@pytest.mark.parametrize("name", [name for name in er.__all__ if name.endswith("Error")])
def test_errors_are_of_one_tree(name: str) -> None:
    assert issubclass(getattr(er, name), er.EdgeRetinaError)


def test_all_errors_of_the_tree_are_public() -> None:
    from edge_retina import errors

    tree = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert {name for name in tree if name.endswith("Error")} <= set(er.__all__)


def test_type_checkers_know_the_same_names() -> None:
    source = (ROOT / "edge_retina" / "__init__.py").read_text(encoding="utf-8")
    declared = [
        line.split(" as ")[1]
        for line in source.splitlines()
        if " as " in line[4:] and line.startswith("    from edge_retina.")
    ]
    assert sorted(declared) == sorted(er.__all__)
    assert (ROOT / "edge_retina" / "py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'detector_of'"):
        _ = er.detector_of  # type: ignore[attr-defined]
    assert set(er.__all__) <= set(dir(er))


@pytest.mark.parametrize("name", ["benchmark", "doctor"])
def test_packages_that_are_functions_too(name: str) -> None:
    """Python puts the package in the place of the function once it was imported."""
    code = (
        f"import inspect, edge_retina as er\nimport edge_retina.{name}\n"
        f"assert inspect.ismodule(er.{name})\nprint(inspect.signature(er.{name}))\n"
        f"try:\n    er.{name}('missing')\nexcept er.EdgeRetinaError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    signature, message = result.stdout.splitlines()
    assert "settings" in signature or "rounds" in signature
    assert message.startswith("missing")


def test_a_device_needs_no_tensorflow() -> None:
    result = run_without_tensorflow(
        "import edge_retina as er\n"
        "for name in er.__all__: getattr(er, name)\n"
        "print(er.Detector('tests/golden/tiny_uint8.tflite').labels)\n"
        "for call in (lambda: er.train('x', out='y'), lambda: er.Run('z')):\n"
        "    try: call()\n    except er.EdgeRetinaError as error: print(error)"
    )
    labels, train, run = result.stdout.splitlines()
    assert labels == "('disc', 'square')"
    assert "x: no such file or directory" in train
    assert run.startswith("z: not a run directory")
