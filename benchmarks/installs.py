"""Do wheel and sdist install and pass the device tests, on every Python that is supported?

    make release-tools
    export PYTHONPATH=.
    .venv-release/bin/python benchmarks/installs.py --json benchmarks/results/installs.json

Wheel and sdist are built with the hash-pinned tools of requirements/release.txt, and their contents
are compared with the checkout. Then each Python resolves and installs them in fresh environments,
in the newest versions that the metadata allows: constraints.txt is not used. The tests come out of
the sdist, without its copy of the package, so they can only import the package that is installed.

Resumable: every row is written at once. One that passed is kept as long as the built package and
the tests are the same. `--only` chooses rows by their text, `--train` adds a real install of the
training extra and a short demo. Sizes are without compiled modules. To leave a machine's own pip
settings out, set PIP_CONFIG_FILE=/dev/null.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from edge_retina.files import write_json

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv-release" / "bin"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
LIMIT_MB = 400  # of a base install
# Of the repository, not of the sdist: the project's own CI and what git is told.
NOT_IN_SDIST = re.compile(r"\.ci/|\.gitignore$|\.gitattributes$")
TEST_TOOLS = ("hypothesis", "packaging", "pytest", "pytest-xdist")
# Of what a device runs, those that take a minute or two. `--tests` takes others.
DEVICE_TESTS = "boxes,evaluation,examples,int8,report,runtime"
MARKS = "not tf and not slow and not checkout"
# The demo at its shortest: it shows that every stage works, and finds next to nothing.
SHORT_DEMO = (
    *("model.image_size=64", "train.steps=40", "train.warmup_steps=5", "train.eval_every_epochs=9"),
    *("train.batch_size=8", "quantize.steps=4"),
)


class StepError(Exception):
    """A step that did not do what it should; the text goes into its row."""


def run(*command: str | Path, cwd: Path | None = None, hours: float = 1.0) -> str:
    """Return what `command` prints. Nothing of the checkout is on its import path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=hours * 3600,
    )
    if result.returncode:
        last = (result.stdout + result.stderr).strip().splitlines()[-1:]
        raise StepError(f"exit code {result.returncode}: {''.join(last)[:200]}")
    return result.stdout


def tree_sha256(members: dict[str, bytes]) -> str:
    """Return one hash of names and contents, whatever the order and the times of the files."""
    digest = hashlib.sha256()
    for name in sorted(members):
        digest.update(f"{name}\0{hashlib.sha256(members[name]).hexdigest()}\n".encode())
    return digest.hexdigest()


def wheel_members(path: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def sdist_members(path: Path) -> dict[str, bytes]:
    """Return the files of an sdist by name, without its top directory."""
    members = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                members[member.name.partition("/")[2]] = file.read()
    return members


def installed_members(directory: Path) -> dict[str, bytes]:
    """Return the installed files of the package, without compiled ones."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in (directory / "edge_retina").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def size_mb(directory: Path) -> float:
    """Return the bytes of all files below `directory`, in MB."""
    return sum(path.lstat().st_size for path in directory.rglob("*") if path.is_file()) / 1e6


class Environment:
    """A fresh virtual environment, removed when the block ends."""

    def __init__(self, directory: Path, python: str) -> None:
        self.directory, self.base = directory, python
        self.python = directory / "bin" / "python"

    def __enter__(self) -> Environment:
        shutil.rmtree(self.directory, ignore_errors=True)
        run(self.base, "-m", "venv", "--without-pip", self.directory)
        self.site = next(self.directory.glob("lib/python3*/site-packages"))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.directory)

    def install(self, *arguments: str | Path) -> None:
        """Install with uv, which takes a tenth of pip's time; modules are not compiled."""
        run(TOOLS / "uv", "pip", "install", "--quiet", "--python", self.python, *arguments)


class Bench:
    """The rows so far, and the built files that they are about."""

    def __init__(self, target: Path | None, work: Path, only: str, tests: str) -> None:
        self.target, self.work, self.only = target, work, re.compile(only)
        self.directories = [f"tests/{name}" for name in tests.split(",")]
        self.rows: list[dict[str, object]] = []
        self.failed = False

    def build(self) -> None:
        """Build the sdist, the wheel from it, and take over the rows of the same contents."""
        shutil.rmtree(self.work / "dist", ignore_errors=True)
        run(TOOLS / "python", "-m", "build", "--no-isolation", "-o", self.work / "dist", ROOT)
        (self.wheel,) = (self.work / "dist").glob("*.whl")
        (self.sdist,) = (self.work / "dist").glob("*.tar.gz")
        self.package = {
            name: content
            for name, content in wheel_members(self.wheel).items()
            if name.startswith("edge_retina/")
        }
        tests = {
            name: content
            for name, content in sdist_members(self.sdist).items()
            if name.startswith("tests/") or name == "pyproject.toml"
        }
        self.contents = tree_sha256({**self.package, **tests})
        if self.target is not None and self.target.is_file():
            before = json.loads(self.target.read_text(encoding="utf-8"))
            if before["contents_sha256"] == self.contents:
                self.rows = [row for row in before["rows"] if row["result"].startswith("passed")]
        self.source = self._unpack_tests()

    def _unpack_tests(self) -> Path:
        directory = self.work / "sdist"
        shutil.rmtree(directory, ignore_errors=True)
        with tarfile.open(self.sdist) as archive:
            archive.extractall(directory, filter="data")
        (unpacked,) = directory.iterdir()
        shutil.rmtree(unpacked / "edge_retina")
        return unpacked

    def row(self, python: str, what: str, step: Callable[[], tuple[str, float | None]]) -> None:
        """Run a step unless its row is there, and write its row; a failure is a row too."""
        if not self.only.search(f"{python} {what}"):
            return
        if any((old["python"], old["what"]) == (python, what) for old in self.rows):
            click.echo(f"{python:8} {what}: done before")
            return
        started = time.perf_counter()
        try:
            result, mb = step()
        except (StepError, subprocess.TimeoutExpired) as error:
            result, mb = f"failed: {error}", None
            self.failed = True
        row = {
            "python": python,
            "os": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {platform.machine()}",
            "what": what,
            "result": result,
            "seconds": round(time.perf_counter() - started, 1),
            "mb": None if mb is None else round(mb, 1),
        }
        click.echo(f"{python:8} {what}: {result}, {row['seconds']} s, {row['mb']} MB")
        self.rows.append(row)
        if self.target is not None:
            document = {"schema_version": 1, "contents_sha256": self.contents, "rows": self.rows}
            write_json(self.target, document)

    def contents_of_wheel(self) -> tuple[str, float]:
        """Compare the wheel with the package in git, and check its metadata."""
        wanted = {name for name in tracked() if name.startswith("edge_retina/")}
        compare(wanted, set(self.package))
        others = {name.partition("dist-info/")[2] for name in wheel_members(self.wheel)}
        missing = {"licenses/LICENSE", "licenses/NOTICE"} - others
        if missing:
            raise StepError(f"without {', '.join(sorted(missing))}")
        run(TOOLS / "twine", "check", "--strict", self.wheel)
        return f"passed: the {len(wanted)} files of the package", self.wheel.stat().st_size / 1e6

    def contents_of_sdist(self) -> tuple[str, float]:
        """Compare the sdist with all files in git, and check its metadata."""
        wanted = {name for name in tracked() if not NOT_IN_SDIST.match(name)}
        made = re.compile(r"PKG-INFO$|setup\.cfg$|edge_retina\.egg-info/")
        compare(wanted, {name for name in sdist_members(self.sdist) if not made.match(name)})
        run(TOOLS / "twine", "check", "--strict", self.sdist)
        return f"passed: the {len(wanted)} files of the checkout", self.sdist.stat().st_size / 1e6

    def resolve_by_pip(self, python: str, extra: str) -> tuple[str, None]:
        """Count the packages that pip would install; none is installed."""
        with Environment(self.work / "environment", python) as fresh:
            dry = ("install", "--quiet", "--dry-run", "--report", "-", f"{self.wheel}{extra}")
            report = run(TOOLS / "pip", "--python", fresh.python, *dry)
        found = {item["metadata"]["name"] for item in json.loads(report)["install"]}
        return f"passed: {len(found)} packages", None

    def resolve_by_uv(self, python: str, extra: str) -> tuple[str, None]:
        """Count the packages that uv would install; none is installed."""
        project = self.work / "requirement.in"
        project.write_text(f"edge-retina{extra} @ {self.wheel.as_uri()}\n", encoding="utf-8")
        options = ("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", python)
        pins = run(TOOLS / "uv", *options, project)
        return f"passed: {len(pins.splitlines())} packages", None

    def install(self, python: str, package: Path) -> tuple[str, float]:
        """Install wheel or sdist without extras, and look into a file with what is installed."""
        with Environment(self.work / "environment", python) as fresh:
            fresh.install(package)
            mb = size_mb(fresh.site)
            if mb > LIMIT_MB:
                raise StepError(f"the base install has {mb:.0f} MB, more than {LIMIT_MB}")
            if tree_sha256(installed_members(fresh.site)) != tree_sha256(self.package):
                raise StepError("what is installed is not what the wheel holds")
            run(TOOLS / "uv", "pip", "check", "--python", fresh.python)
            model = self.source / "tests/golden/tiny_uint8.tflite"
            answer = run(fresh.directory / "bin/edge-retina", "inspect", model, cwd=self.work)
            if "serving_default_image:0" not in answer:
                raise StepError(f"inspect doesn't name the input of {model.name}")
            return "passed: the wheel's files, no conflict, inspect", mb

    def test(self, python: str, package: Path) -> tuple[str, None]:
        """Run the device tests on what is installed."""
        with Environment(self.work / "environment", python) as fresh:
            fresh.install(package, *TEST_TOOLS)
            fresh.install("--no-deps", "-r", self.source / "tests/oracles.txt")
            return self._test(fresh), None

    def _test(self, fresh: Environment) -> str:
        where = run(
            fresh.python, "-c", "import edge_retina as e; print(e.__file__)", cwd=self.source
        )
        if not Path(where.strip()).is_relative_to(fresh.site):
            raise StepError(f"the tests would import {where.strip()}")
        log = self.work / "tests.log"
        tests = ("-m", MARKS, "-n", "2", "--dist", "loadfile", "-q", "-p", "no:cacheprovider")
        with log.open("w") as output:
            code = subprocess.run(
                [fresh.python, "-m", "pytest", *tests, *self.directories],
                cwd=self.source,
                env={key: text for key, text in os.environ.items() if key != "PYTHONPATH"},
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=3600,
            ).returncode
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
        counts = re.sub(r" in [0-9.]+s.*", "", last.strip("= "))
        if code:
            shutil.copy(log, self.work / f"failed-{fresh.directory.name}.log")
            raise StepError(f"{counts}; see {log.name}")
        return f"passed: {counts}"

    def train(self, python: str) -> tuple[str, float]:
        """Install the training extra, and run the whole pipeline once."""
        with Environment(self.work / "environment", python) as fresh:
            fresh.install(f"{self.wheel}[train]")
            mb = size_mb(fresh.site)
            settings = [part for text in SHORT_DEMO for part in ("--set", text)]
            out = self.work / "demo"
            shutil.rmtree(out, ignore_errors=True)
            run(fresh.directory / "bin/edge-retina", "demo", "--out", out, *settings, cwd=self.work)
            files = sorted(path.name for path in (out / "export").glob("*.tflite"))
            if not files:
                raise StepError("the demo ended without a .tflite file")
            return f"passed: demo, {', '.join(files)}", mb


def tracked() -> set[str]:
    """Return the names of the files that git knows."""
    return set(run("git", "ls-files", cwd=ROOT).splitlines())


def compare(wanted: set[str], found: set[str]) -> None:
    """Raise a StepError that names what is missing and what is too much."""
    if wanted != found:
        missing, extra = sorted(wanted - found)[:5], sorted(found - wanted)[:5]
        raise StepError(f"missing: {missing}; not of the checkout: {extra}")


def pythons(given: Sequence[str]) -> dict[str, str]:
    """Return the program of each Python by its full version."""
    found = {}
    for name in given or [f"python{version}" for version in VERSIONS]:
        program = shutil.which(name)
        if program is None:
            raise click.ClickException(f"{name}: no such program; name it by --python PATH")
        found[run(program, "-c", "import platform; print(platform.python_version())").strip()] = (
            program
        )
    return found


@click.command()
@click.option("--python", "given", multiple=True, help="A Python to install for. Default: all.")
@click.option("--train", is_flag=True, help="Install the training extra on the last one, too.")
@click.option("--only", default="", help="Only rows whose Python and text fit this expression.")
@click.option("--tests", default=DEVICE_TESTS, show_default=True, help="Directories of tests.")
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "packaging")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(
    given: tuple[str, ...], train: bool, only: str, tests: str, work: Path, target: Path | None
) -> None:
    """Build, then resolve, install and test; exit code 1 if a row failed."""
    if not (TOOLS / "twine").is_file():
        raise click.ClickException("no .venv-release here; run `make release-tools` first")
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(target, work, only, tests)
    bench.build()
    here = platform.python_version()
    bench.row(here, "wheel: contents", bench.contents_of_wheel)
    bench.row(here, "sdist: contents", bench.contents_of_sdist)
    found = pythons(given)
    kinds = (("wheel", bench.wheel), ("sdist", bench.sdist))
    for kind, package in kinds:
        for version, python in found.items():
            bench.row(version, f"{kind}: install", partial(bench.install, python, package))
    for extra in ("", "[train]"):
        for version, python in found.items():
            name = f"without constraints{' ' if extra else ''}{extra}"
            bench.row(version, f"uv, {name}", partial(bench.resolve_by_uv, python, extra))
            bench.row(version, f"pip, {name}", partial(bench.resolve_by_pip, python, extra))
    for kind, package in kinds:
        for version, python in found.items():
            name = f"{kind}: tests of {tests.replace(',', ', ')}"
            bench.row(version, name, partial(bench.test, python, package))
    if train:
        version, python = list(found.items())[-1]
        bench.row(version, "wheel[train]: install and demo", partial(bench.train, python))
    sys.exit(1 if bench.failed else 0)


if __name__ == "__main__":
    main()
