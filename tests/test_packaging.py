"""What a fresh machine gets: dependencies, pinned versions, data files, make targets."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import edge_retina
from edge_retina.config import PRESETS, read_toml

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "edge_retina"
PROJECT = read_toml(ROOT / "pyproject.toml")["project"]
EXTRAS = PROJECT["optional-dependencies"]
TARGETS = (
    *("setup", "demo", "test", "test-fast", "test-slow", "fmt", "lint", "type", "arch"),
    *("test-faults", "golden", "bench", "profile", "docs", "references", "docs-site", "clean"),
)


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def pinned_here() -> dict[str, str]:
    """Pinned version by name, for the Python that runs the tests."""
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins()
        if pin.marker is None or pin.marker.evaluate()
    }


def installed_closure(requirements: list[str]) -> set[str]:
    """The names of everything that installing `requirements` brings along here."""
    seen: set[str] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        requirement = waiting.pop()
        extras = requirement.extras or {""}
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": e}) for e in extras
        ):
            continue
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        below = [Requirement(text) for text in importlib.metadata.requires(name) or ()]
        waiting += [r for r in below if not r.marker or r.marker.evaluate({"extra": ""})]
    return seen


def test_base_install_is_for_a_device() -> None:
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert {"numpy", "opencv-python-headless", "click", "pycocotools", "ai-edge-litert"} <= names
    assert not [name for name in names if "tensorflow" in name or "keras" in name]


def test_train_extra_has_tensorflow() -> None:
    names = {Requirement(text).name for text in EXTRAS["train"]}
    assert {"tensorflow", "tf-keras", "tensorflow-model-optimization"} <= names


def test_constraints_are_exact_versions_and_nothing_else() -> None:
    for pin in pins():
        assert [spec.operator for spec in pin.specifier] == ["=="], pin
        assert pin.url is None, pin


def test_every_dependency_is_pinned_to_the_version_tested_here() -> None:
    wanted = [*PROJECT["dependencies"], *EXTRAS["train"], *EXTRAS["dev"]]
    # setuptools comes with the virtual environment of Python 3.10 and 3.11, in its version.
    names = installed_closure(wanted) - ({"setuptools"} if sys.version_info < (3, 12) else set())
    pinned = pinned_here()
    assert {name: pinned.get(name) for name in names} == {
        name: importlib.metadata.version(name) for name in names
    }


def test_no_pin_is_for_a_python_that_is_not_supported() -> None:
    assert PROJECT["requires-python"] == ">=3.10,<3.14"
    for version in ("3.10", "3.11", "3.12", "3.13"):
        names = [
            canonicalize_name(pin.name)
            for pin in pins()
            if pin.marker is None or pin.marker.evaluate({"python_version": version})
        ]
        assert len(names) == len(set(names)), f"pinned twice for Python {version}"


@pytest.mark.parametrize(
    "name",
    [
        *(f"presets/{preset}.toml" for preset in PRESETS),
        *(
            path.relative_to(PACKAGE).as_posix()
            for path in PACKAGE.rglob("templates/*")
            if path.is_file()
        ),
    ],
)
def test_data_files_are_declared(name: str) -> None:
    assert files(edge_retina).joinpath(name).is_file()
    declared = read_toml(ROOT / "pyproject.toml")["tool"]["setuptools"]["package-data"]
    patterns = [
        "/".join((*package.split("."), pattern)).removeprefix("edge_retina/")
        for package, of_package in declared.items()
        for pattern in of_package
    ]
    assert any(Path(name).match(pattern) for pattern in patterns)


def test_pages_have_templates() -> None:
    assert (PACKAGE / "report/templates/report.html.j2").is_file()
    assert (PACKAGE / "doctor/templates/data.html.j2").is_file()


def test_entry_point_is_the_program() -> None:
    module, _, name = PROJECT["scripts"]["edge-retina"].partition(":")
    program = getattr(__import__(module, fromlist=[name]), name)
    assert program.name == "main"
    assert callable(program)


def test_make_help_lists_every_target() -> None:
    result = subprocess.run(
        ["make", "help"], capture_output=True, text=True, cwd=ROOT, check=True, timeout=30
    )
    listed = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    assert set(TARGETS) <= listed.keys()
    assert all(listed.values()), "a target without a description"


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert re.search(r"^exec make test$", script.read_text(encoding="utf-8"), re.MULTILINE)


def test_device_image_installs_no_extra() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    device = text.split("AS device")[1].split("FROM")[0]
    assert "[train]" not in device
    assert "USER retina" in device
    assert "[train]" in text.split("AS train")[1]
