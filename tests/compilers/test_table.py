"""The table of compilers, and the Python that they are run with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_retina.compilers.other_python import OtherPython, last_line
from edge_retina.compilers.table import COMPILERS, prepare
from edge_retina.errors import CompilerError
from tests.compilers.fake_python import network, write_fake


def test_every_compiler_stands_under_its_own_name() -> None:
    assert {name: compiler.name for name, compiler in COMPILERS.items()} == {
        "vela": "vela",
        "tflite-micro": "tflite-micro",
    }


@pytest.mark.parametrize("name", sorted(COMPILERS))
def test_the_example_of_each_compiler_is_accepted(tmp_path: Path, name: str) -> None:
    (request,) = prepare([COMPILERS[name].example], OtherPython(write_fake(tmp_path)))
    assert request.compiler is COMPILERS[name]
    assert request.version in ("5.2.0", "0.dev20261023182759")


@pytest.mark.parametrize("name", sorted(COMPILERS))
def test_a_missing_package_is_told_with_the_way_to_install_it(tmp_path: Path, name: str) -> None:
    python = OtherPython(write_fake(tmp_path, versions={}))
    with pytest.raises(CompilerError) as caught:
        prepare([COMPILERS[name].example], python)
    package = COMPILERS[name].package
    assert f"has no package {package}; install it beside: python3 -m venv" in str(caught.value)
    assert f"bin/pip install {package}, then add --compiler-python" in str(caught.value)


def test_an_unknown_compiler_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(CompilerError, match=r"no compiler 'vella'; did you mean 'vela'\?"):
        prepare(["vella:ethos-u55-128"], OtherPython(write_fake(tmp_path)))


def test_the_same_compiler_twice_is_asked_once(tmp_path: Path) -> None:
    python = OtherPython(write_fake(tmp_path, compiled=network("ethos-u")))
    requests = prepare(["tflite-micro", "vela:ethos-u55-128", "tflite-micro"], python)
    assert [request.compiler.name for request in requests] == ["tflite-micro", "vela"]


def test_what_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(CompilerError, match=r"can't be run \(No such file"):
        OtherPython(tmp_path / "missing" / "python").version("numpy")
    with pytest.raises(CompilerError, match=r"does not answer as a Python \(it says nothing"):
        OtherPython(Path("true")).version("numpy")


def test_by_default_it_is_the_python_that_runs_this() -> None:
    import numpy

    assert OtherPython().program == sys.executable
    assert OtherPython().version("numpy") == numpy.__version__


def test_a_link_to_another_python_stays_a_link(tmp_path: Path) -> None:
    """A virtual environment's Python is one; resolved, it would be another environment."""
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert OtherPython(link).program == str(link)


def test_the_last_line_that_says_something() -> None:
    assert last_line("a\n b \n\n") == "b"
    assert last_line(" \n") == ""
