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
    *("test-faults", "fuzz", "golden", "bench", "profile", "docs", "references", "docs-site"),
    *("release-tools", "requirements", "package", "test-package", "sbom", "audit", "images"),
    "clean",
)
REQUIREMENTS = ROOT / "requirements"
IMAGE_PYTHON = "3.11"  # of the Dockerfile, and so of device.txt and train.txt

pytestmark = pytest.mark.checkout


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
        *sorted(
            path.relative_to(PACKAGE).as_posix()
            for path in PACKAGE.rglob("*")
            if path.is_file() and path.suffix not in {".py", ".pyc"}
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


def hashed(name: str) -> dict[str, Requirement]:
    """The pins of a file in requirements/, by name; each has its hashes."""
    text = (REQUIREMENTS / name).read_text(encoding="utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        pin, *hashes = re.split(r"\s+--hash=", line.strip())
        assert hashes, f"{name}: {pin} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), pin
        requirement = Requirement(pin)
        assert [spec.operator for spec in requirement.specifier] == ["=="], pin
        found[canonicalize_name(requirement.name)] = requirement
    return found


@pytest.mark.parametrize("name", ["device.txt", "train.txt"])
def test_images_have_the_versions_of_the_constraints(name: str) -> None:
    """Else: make requirements."""
    of_image = {"python_version": IMAGE_PYTHON, "python_full_version": f"{IMAGE_PYTHON}.0"}
    constraints = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in pins()
        # setuptools: the environments of constraints.txt have Python 3.11's own, the images none.
        if pin.name == "setuptools" or pin.marker is None or pin.marker.evaluate(of_image)
    }
    found = {key: next(iter(pin.specifier)).version for key, pin in hashed(name).items()}
    assert found == {key: constraints.get(key) for key in found}


def test_images_have_what_the_package_needs() -> None:
    def names(texts: list[str]) -> set[str]:
        wanted = [Requirement(text) for text in texts]
        return {
            canonicalize_name(one.name)
            for one in wanted
            if one.marker is None or one.marker.evaluate({"python_version": IMAGE_PYTHON})
        }

    device, train = hashed("device.txt"), hashed("train.txt")
    assert names(PROJECT["dependencies"]) <= device.keys() <= train.keys()
    assert names(EXTRAS["train"]) <= train.keys()
    assert "tensorflow" not in device
    assert f"python:{IMAGE_PYTHON}-" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["build", "release"])
def test_release_tools_are_pinned_with_hashes(name: str) -> None:
    lines = (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    wanted = {
        canonicalize_name(Requirement(line).name)
        for line in lines
        if line and not line.startswith(("#", "-r"))
    }
    assert wanted <= hashed(f"{name}.txt").keys()
    assert hashed("build.txt").keys() <= hashed("release.txt").keys()


def test_the_notice_names_every_dependency() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    wanted = [*PROJECT["dependencies"], *EXTRAS["train"], *EXTRAS["tune"]]
    names = [Requirement(text).name for text in wanted]
    assert [name for name in names if not re.search(rf"\b{name}  ", notice)] == []
    assert set(PROJECT["license-files"]) == {"LICENSE", "NOTICE"}


def test_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").is_file()


def stages() -> dict[str, str]:
    """The text of each stage of the Dockerfile, by its name."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    parts = re.split(r"^FROM (\S+) AS (\S+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[2::3], parts[3::3], strict=True))


@pytest.mark.parametrize("name", ["device", "train"])
def test_images_run_as_nobody_special_and_have_a_health_check(name: str) -> None:
    image = stages()[name]
    user = re.search(r"^USER (\d+):\d+$", image, re.MULTILINE)
    assert user is not None  # a number: Kubernetes can't tell whether a name is root
    assert int(user[1]) > 0
    assert re.search(r'^HEALTHCHECK .*CMD \["edge-retina", "--version"\]$', image, re.MULTILINE)
    assert "pip" not in image


def test_only_the_train_image_has_tensorflow() -> None:
    found = {
        name: set(re.findall(r"--requirement requirements/(\w+)\.txt", text))
        for name, text in stages().items()
    }
    assert (found["device-packages"], found["train-packages"]) == ({"device"}, {"train"})
    for name in ("device", "train"):
        copied = set(re.findall(r"COPY --from=(\S+)", stages()[name]))
        assert copied == {f"{name}-packages", "wheel"}


def test_images_install_only_what_has_a_known_hash() -> None:
    installs = [
        line
        for text in stages().values()
        for line in re.split(r"&&|^RUN", text, flags=re.MULTILINE)
        if " install " in line
    ]
    assert len(installs) == 4
    assert [line for line in installs if not re.search("--require-hashes|--no-index", line)] == []


def test_the_build_context_has_what_is_copied() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignore if line.startswith("!")}
    sources = {
        source
        for text in stages().values()
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert {source.partition("/")[0] for source in sources} == kept


def test_the_sdist_has_every_directory_of_the_repository() -> None:
    """benchmarks/packaging.py compares the files; this finds a new directory at once."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout, so git can't list its files")
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True, timeout=30
    )
    names = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    manifest = set((ROOT / "MANIFEST.in").read_text(encoding="utf-8").split())
    # What setuptools takes by itself, and what an sdist needs not.
    by_itself = {"edge_retina", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"}
    assert names - manifest - by_itself == {".ci", ".gitignore"}
