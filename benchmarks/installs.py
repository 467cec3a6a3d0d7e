"""Do wheel and sdist install and work, on every Python that is supported and on other systems?

    make release-tools
    export PYTHONPATH=.
    .venv-release/bin/python benchmarks/installs.py --json benchmarks/results/installs.json

Wheel and sdist are built with the hash-pinned tools of requirements/release.txt, and their contents
are compared with the checkout. Then each Python resolves and installs them in fresh environments,
in the newest versions that the metadata allows: constraints.txt is not used. The tests come out of
the sdist, without its copy of the package, so they can only import the package that is installed.

With `--root DIR`, another system installs them: its own Python, venv and pip, as user 1000, in its
root directory. This needs root, and for another processor qemu-user-static in binfmt_misc:

    debootstrap --variant=minbase --include=ca-certificates,python3-venv trixie roots/trixie
    .venv-release/bin/python benchmarks/installs.py --root roots/trixie --train \
        --json benchmarks/results/installs.json

A system for another processor is emulated, which takes many times as long. So it has a result file
of its own: --root roots/trixie-arm64 --json benchmarks/results/installs_arm64.json.

Resumable: every row is written at once. One that passed is kept as long as the built package and
the tests are the same. `--only` chooses rows by their text, `--train` adds a real install of the
training extra and a short demo. Sizes are without compiled modules. To leave a machine's own pip
settings out, set PIP_CONFIG_FILE=/dev/null.
"""

from __future__ import annotations

import hashlib
import json
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
from device_commands import try_commands, write_data
from packaging.metadata import Metadata
from systems import Machine, Root, StepError

from edge_retina.files import write_json

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv-release" / "bin"
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
LIMIT_MB = 400  # of a base install
ENDED = ("passed", "refused")  # how the result of a row begins that is not run again
# What there is no root of: the names that uv and tables have for it.
ELSEWHERE = {
    "x86_64-manylinux_2_28": "glibc 2.28, x86_64, resolved only",
    "aarch64-manylinux_2_28": "glibc 2.28, aarch64, resolved only",
    "x86_64-manylinux_2_17": "glibc 2.17, x86_64, resolved only",
    "x86_64-unknown-linux-musl": "musl, x86_64, resolved only",
    "aarch64-unknown-linux-musl": "musl, aarch64, resolved only",
}
NO_WHEEL = re.compile(r"(\S+?)[<>=]\S* has no wheels with a matching platform")
# Of the repository, not of the sdist: the project's own CI and what git is told.
NOT_IN_SDIST = re.compile(r"\.ci/|\.gitignore$|\.gitattributes$")
TEST_TOOLS = ("hypothesis", "packaging", "pytest", "pytest-xdist")
# Of what a device runs, those that take a minute or two. `--tests` takes others.
DEVICE_TESTS = "boxes,evaluation,examples,int8,report,runtime"
TRAIN = "wheel[train]: install and demo"
MARKS = "not tf and not slow and not checkout"
# The demo at its shortest: it shows that every stage works, and finds next to nothing.
SHORT_DEMO = (
    *("model.image_size=64", "train.steps=40", "train.warmup_steps=5", "train.eval_every_epochs=9"),
    *("train.batch_size=8", "quantize.steps=4"),
)


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
    """A fresh virtual environment of a system, removed when the block ends."""

    def __init__(self, system: Machine, python: str) -> None:
        self.system, self.base = system, python
        self.directory = system.directory / "environment"
        self.python = self.directory / "bin" / "python"

    def __enter__(self) -> Environment:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.system.create(self.directory, self.base)
        self.site = next(self.directory.glob("lib/python3*/site-packages"))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.directory)

    def install(self, *arguments: str | Path, log: Path | None = None) -> None:
        """Install packages."""
        self.system.install(self.directory, *arguments, log=log)

    def program(self, *arguments: str | Path) -> str:
        """Return what edge-retina prints, run outside every checkout."""
        program = self.directory / "bin/edge-retina"
        return self.system.run(program, *arguments, cwd=self.system.directory)


class Bench:
    """The rows so far, and the built files that they are about."""

    def __init__(self, target: Path | None, work: Path, only: str, tests: str) -> None:
        self.target, self.work, self.only = target, work, re.compile(only)
        self.here = Machine(TOOLS, work)
        self.directories = [f"tests/{name}" for name in tests.split(",")]
        self.rows: list[dict[str, object]] = []
        self.failed = False

    def build(self) -> None:
        """Build the sdist, the wheel from it, and take over the rows of the same contents."""
        shutil.rmtree(self.work / "dist", ignore_errors=True)
        self.here.run(
            TOOLS / "python", "-m", "build", "--no-isolation", "-o", self.work / "dist", ROOT
        )
        (self.wheel,) = (self.work / "dist").glob("*.whl")
        (self.sdist,) = (self.work / "dist").glob("*.tar.gz")
        self.members = wheel_members(self.wheel)
        self.package = {
            name: content
            for name, content in self.members.items()
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
                self.rows = [row for row in before["rows"] if row["result"].startswith(ENDED)]
        self.source = self._unpack_tests()

    def _unpack_tests(self) -> Path:
        directory = self.work / "sdist"
        shutil.rmtree(directory, ignore_errors=True)
        with tarfile.open(self.sdist) as archive:
            archive.extractall(directory, filter="data")
        (unpacked,) = directory.iterdir()
        shutil.rmtree(unpacked / "edge_retina")
        return unpacked

    def row(
        self, system: str, python: str, what: str, step: Callable[[], tuple[str, float | None]]
    ) -> None:
        """Run a step unless its row is there, and write its row; a failure is a row too."""
        about = f"{system}: {python:8} {what}"
        if not self.only.search(f"{system} {python} {what}"):
            return
        key = (system, python, what)
        if any((old["os"], old["python"], old["what"]) == key for old in self.rows):
            click.echo(f"{about}: done before")
            return
        started = time.perf_counter()
        try:
            result, mb = step()
        except (StepError, subprocess.TimeoutExpired) as error:
            result, mb = f"failed: {error}", None
            self.failed = True
        row = {
            "python": python,
            "os": system,
            "what": what,
            "result": result,
            "seconds": round(time.perf_counter() - started, 1),
            "mb": None if mb is None else round(mb, 1),
        }
        click.echo(f"{about}: {result}, {row['seconds']} s, {row['mb']} MB")
        self.rows.append(row)
        if self.target is not None:
            document = {"schema_version": 1, "contents_sha256": self.contents, "rows": self.rows}
            write_json(self.target, document)

    def contents_of_wheel(self) -> tuple[str, float]:
        """Compare the wheel with the package in git, and check its metadata."""
        wanted = {name for name in self._tracked() if name.startswith("edge_retina/")}
        compare(wanted, set(self.package))
        others = {name.partition("dist-info/")[2] for name in self.members}
        missing = {"licenses/LICENSE", "licenses/NOTICE"} - others
        if missing:
            raise StepError(f"without {', '.join(sorted(missing))}")
        self.here.run(TOOLS / "twine", "check", "--strict", self.wheel)
        return f"passed: the {len(wanted)} files of the package", self.wheel.stat().st_size / 1e6

    def contents_of_sdist(self) -> tuple[str, float]:
        """Compare the sdist with all files in git, and check its metadata."""
        wanted = {name for name in self._tracked() if not NOT_IN_SDIST.match(name)}
        made = re.compile(r"PKG-INFO$|setup\.cfg$|edge_retina\.egg-info/")
        compare(wanted, {name for name in sdist_members(self.sdist) if not made.match(name)})
        self.here.run(TOOLS / "twine", "check", "--strict", self.sdist)
        return f"passed: the {len(wanted)} files of the checkout", self.sdist.stat().st_size / 1e6

    def _tracked(self) -> set[str]:
        """Return the names of the files that git knows."""
        return set(self.here.run("git", "ls-files", cwd=ROOT).splitlines())

    def supports(self, python: str) -> bool:
        """Return whether the wheel's metadata allows a version of Python."""
        (name,) = (name for name in self.members if name.endswith(".dist-info/METADATA"))
        allowed = Metadata.from_email(self.members[name], validate=False).requires_python
        return allowed is None or python in allowed

    def refuse(self, system: Machine, python: str) -> tuple[str, None]:
        """Return what pip says to a user whose Python is not supported."""
        log = self.work / "refused.log"
        with Environment(system, python) as fresh:
            try:
                fresh.install(system.take(self.wheel), log=log)
            except StepError as error:
                return f"refused: {pip_refusal(log.read_text(encoding='utf-8'), error)}", None
        raise StepError("installed, though its metadata excludes this Python")

    def resolve_by_pip(self, python: str, extra: str) -> tuple[str, None]:
        """Count the packages that pip would install; none is installed."""
        with Environment(self.here, python) as fresh:
            dry = ("install", "--quiet", "--dry-run", "--report", "-", f"{self.wheel}{extra}")
            report = self.here.run(TOOLS / "pip", "--python", fresh.python, *dry)
        found = {item["metadata"]["name"] for item in json.loads(report)["install"]}
        return f"passed: {len(found)} packages", None

    def resolve_by_uv(self, extra: str, *options: str, log: Path | None = None) -> tuple[str, None]:
        """Count the packages that uv would install; none is installed."""
        project = self.work / "requirement.in"
        project.write_text(f"edge-retina{extra} @ {self.wheel.as_uri()}\n", encoding="utf-8")
        quiet = ("pip", "compile", "--quiet", "--no-header", "--no-annotate")
        pins = self.here.run(TOOLS / "uv", *quiet, *options, project, log=log)
        return f"passed: {len(pins.splitlines())} packages", None

    def resolve_elsewhere(self, platform_name: str, extra: str, python: str) -> tuple[str, None]:
        """Say how many wheels another platform gets, or of which package it has none."""
        options = ("--python-platform", platform_name, "--only-binary", ":all:")
        log = self.work / "resolve.log"
        try:
            return self.resolve_by_uv(extra, *options, "--python-version", python, log=log)
        except StepError:
            missing = NO_WHEEL.search(" ".join(log.read_text(encoding="utf-8").split()))
            if missing is None:
                raise
            return f"refused: {missing[1]} has no wheel for it", None

    def install(self, system: Machine, python: str, package: Path) -> tuple[str, float]:
        """Install wheel or sdist without extras, and try the commands of a device."""
        with Environment(system, python) as fresh:
            fresh.install(system.take(package))
            mb = size_mb(fresh.site)
            if mb > LIMIT_MB:
                raise StepError(f"the base install has {mb:.0f} MB, more than {LIMIT_MB}")
            if tree_sha256(installed_members(fresh.site)) != tree_sha256(self.package):
                raise StepError("what is installed is not what the wheel holds")
            system.check(fresh.directory)
            write_data(self.work / "data")
            model = system.take(self.source / "tests/golden/tiny_uint8.tflite")
            names = try_commands(fresh.program, model, system.take(self.work / "data"))
            return f"passed: the wheel's files, no conflict, {names}", mb

    def test(self, system: Machine, python: str, package: Path) -> tuple[str, None]:
        """Run the device tests on what is installed."""
        with Environment(system, python) as fresh:
            source = system.take(self.source)
            fresh.install(system.take(package), *TEST_TOOLS)
            fresh.install("--no-deps", "-r", source / "tests/oracles.txt")
            where = system.run(
                fresh.python, "-c", "import edge_retina as e; print(e.__file__)", cwd=source
            )
            if not Path(where.strip()).is_relative_to(system.inside(fresh.site)):
                raise StepError(f"the tests would import {where.strip()}")
            log = self.work / "tests.log"
            options = ("-m", MARKS, "-n", "2", "--dist", "loadfile", "-q", "-p", "no:cacheprovider")
            pytest: tuple[str | Path, ...] = (fresh.python, "-m", "pytest", *options)
            answer = system.run(*pytest, *self.directories, cwd=source, hours=3, log=log)
            last = answer.strip().splitlines()[-1]
            return f"passed: {re.sub(r' in [0-9.]+s.*', '', last.strip('= '))}", None

    def train(self, system: Machine, python: str) -> tuple[str, float]:
        """Install the training extra, and run the whole pipeline once."""
        with Environment(system, python) as fresh:
            fresh.install(f"{system.take(self.wheel)}[train]")
            mb = size_mb(fresh.site)
            settings = [part for text in SHORT_DEMO for part in ("--set", text)]
            out = system.directory / "demo"
            shutil.rmtree(out, ignore_errors=True)
            fresh.program("demo", "--out", out, *settings)
            files = sorted(path.name for path in (out / "export").glob("*.tflite"))
            if not files:
                raise StepError("the demo ended without a .tflite file")
            return f"passed: demo, {', '.join(files)}", mb


def pip_refusal(log: str, error: StepError) -> str:
    """Return why pip takes no version; `error` is raised if it was for another reason.

    The pip of Python 3.9 reads the metadata of the dependencies first, and names one of those.
    """
    found = re.findall(r"^ERROR: (.*requires a different Python.*|No matching .*)$", log, re.M)
    if not found or "Retrying" in log:  # it retries when the index does not answer
        raise error
    return str(found[-1])


def compare(wanted: set[str], found: set[str]) -> None:
    """Raise a StepError that names what is missing and what is too much."""
    if wanted != found:
        missing, extra = sorted(wanted - found)[:5], sorted(found - wanted)[:5]
        raise StepError(f"missing: {missing}; not of the checkout: {extra}")


def pythons(system: Machine, given: Sequence[str]) -> dict[str, str]:
    """Return the program of each Python by its full version."""
    found = {}
    for name in given or [f"python{version}" for version in VERSIONS]:
        program = shutil.which(name)
        if program is None:
            raise click.ClickException(f"{name}: no such program; name it by --python PATH")
        code = "import platform; print(platform.python_version())"
        try:
            found[system.run(program, "-c", code).strip()] = program
        except StepError as error:
            text = f"{name}: {program} doesn't run: {error}; name another by --python PATH"
            raise click.ClickException(text) from None
    return found


def on_this_machine(bench: Bench, given: Sequence[str], tests: str, train: bool) -> None:
    """Write the rows of this machine's Pythons, and of platforms that can only be resolved for."""
    here = partial(bench.row, bench.here.name)
    here(platform.python_version(), "wheel: contents", bench.contents_of_wheel)
    here(platform.python_version(), "sdist: contents", bench.contents_of_sdist)
    found = pythons(bench.here, given)
    kinds = (("wheel", bench.wheel), ("sdist", bench.sdist))
    for kind, package in kinds:
        for version, python in found.items():
            here(version, f"{kind}: install", partial(bench.install, bench.here, python, package))
    for extra in ("", "[train]"):
        name = f"without constraints{' ' if extra else ''}{extra}"
        for version, python in found.items():
            by_uv = partial(bench.resolve_by_uv, extra, "--python", python)
            here(version, f"uv, {name}", by_uv)
            here(version, f"pip, {name}", partial(bench.resolve_by_pip, python, extra))
        for key, text in ELSEWHERE.items():
            version = list(found)[-1].rpartition(".")[0]
            step = partial(bench.resolve_elsewhere, key, extra, version)
            bench.row(text, version, f"uv, only wheels{' ' if extra else ''}{extra}", step)
    for kind, package in kinds:
        for version, python in found.items():
            step = partial(bench.test, bench.here, python, package)
            here(version, f"{kind}: tests of {tests.replace(',', ', ')}", step)
    if train:
        version, python = list(found.items())[-1]
        here(version, TRAIN, partial(bench.train, bench.here, python))


def in_a_root(bench: Bench, root: Path, given: str, tests: str, train: bool) -> None:
    """Write the rows of another system, with a Python of its own."""
    system = Root(root, bench.work / "roots" / root.resolve().name, given)
    row = partial(bench.row, system.name, system.version)
    try:
        if not bench.supports(system.version):
            row("wheel: install", partial(bench.refuse, system, given))
            return
        for kind, package in (("wheel", bench.wheel), ("sdist", bench.sdist)):
            row(f"{kind}: install", partial(bench.install, system, given, package))
        name = f"wheel: tests of {tests.replace(',', ', ')}"
        row(name, partial(bench.test, system, given, bench.wheel))
        if train:
            row(TRAIN, partial(bench.train, system, given))
    finally:
        shutil.rmtree(system.directory)


@click.command()
@click.option("--python", "given", multiple=True, help="A Python to install for. Default: all.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Root directory of another system; --python is then one of its programs.",
)
@click.option("--train", is_flag=True, help="Install the training extra on the last one, too.")
@click.option("--only", default="", help="Only rows whose text fits this expression.")
@click.option("--tests", default=DEVICE_TESTS, show_default=True, help="Directories of tests.")
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "packaging")
@click.option("--json", "target", type=click.Path(path_type=Path))
def main(
    given: tuple[str, ...],
    roots: tuple[Path, ...],
    train: bool,
    only: str,
    tests: str,
    work: Path,
    target: Path | None,
) -> None:
    """Build, then resolve, install and test; exit code 1 if a row failed."""
    if not (TOOLS / "twine").is_file():
        raise click.ClickException("no .venv-release here; run `make release-tools` first")
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(target, work, only, tests)
    bench.build()
    for root in roots:
        for python in given or ("python3",):
            in_a_root(bench, root, python, tests, train)
    if not roots:
        on_this_machine(bench, given, tests, train)
    sys.exit(1 if bench.failed else 0)


if __name__ == "__main__":
    main()
