"""Where installs.py runs its steps: on this machine, or in the root directory of another system.

A root is what debootstrap, `docker export` or an installer writes into a directory. It is entered
by chroot, in mount and process namespaces of its own: no mount and no process is left behind.
Nothing is written into it. It sees one directory of this machine as /mnt.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

MOUNT = "/mnt"  # where a root sees the directory that it shares with this machine
USER = 1000  # who the steps in a root run as, as in the container images
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# How this machine reaches the package index holds in a root too; what its processor needs, only
# if the root is not for another one.
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "QEMU_CPU")
_OF_THE_PROCESSOR = ("OPENBLAS_CORETYPE",)
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
# $1: the root, $2: what it shares, $3: the user, $4: whether it is for this processor. Only then it
# gets /sys: LiteRT for arm64 crashes if it finds the description of an x86 processor there. A root
# whose resolv.conf is a link keeps it.
_ENTER = f"""set -e
root=$1 shared=$2 user=$3 native=$4
shift 4
mount --rbind /dev "$root/dev"
if [ "$native" = True ]; then mount --rbind /sys "$root/sys"; fi
mount -t proc proc "$root/proc"
mount --bind "$shared" "$root{MOUNT}"
resolv=$root/etc/resolv.conf
if [ -f "$resolv" ] && [ ! -L "$resolv" ]; then mount --bind /etc/resolv.conf "$resolv"; fi
exec chroot "--userspec=$user:$user" "$root" "$@"
"""
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--")


class StepError(Exception):
    """A step that did not do what it should; the text goes into its row."""


class Machine:
    """This machine. Nothing of the checkout is on the import path of what it runs."""

    def __init__(self, tools: Path, directory: Path) -> None:
        self.directory = directory  # the steps may write here
        self.name = system_name(Path("/"), platform.machine())
        self._uv = tools / "uv"

    def inside(self, path: Path) -> Path:
        """Return the path under which a step finds a file."""
        return path

    def call(self, *command: str | Path, cwd: Path | None = None) -> list[str]:
        """Return the command that runs `command` there."""
        return [str(part) for part in command]

    def environment(self) -> dict[str, str]:
        """Return the variables that a command begins with."""
        return {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}

    def run(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        hours: float = 1.0,
        log: Path | None = None,
    ) -> str:
        """Return what `command` prints; errors and warnings go into the log, if there is one.

        Raises:
            StepError: it ended with another exit code than 0; with its last line.
        """
        result = subprocess.run(
            self.call(*command, cwd=cwd),
            cwd=cwd,
            env=self.environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=hours * 3600,
        )
        if log is not None:
            log.write_text(result.stdout + result.stderr, encoding="utf-8")
        if result.returncode:
            last = (result.stdout + result.stderr).strip().splitlines()[-1:]
            raise StepError(f"exit code {result.returncode}: {''.join(last)[:200]}")
        return result.stdout

    def create(self, environment: Path, python: str) -> None:
        """Make a virtual environment."""
        self.run(python, "-m", "venv", "--without-pip", environment)

    def install(self, environment: Path, *arguments: str | Path, log: Path | None = None) -> None:
        """Install with uv, which takes a tenth of pip's time; modules are not compiled."""
        python = environment / "bin/python"
        self.run(self._uv, "pip", "install", "--quiet", "--python", python, *arguments, log=log)

    def check(self, environment: Path) -> None:
        """Fail if two installed packages contradict each other."""
        self.run(self._uv, "pip", "check", "--python", environment / "bin/python")

    def take(self, source: Path) -> Path:
        """Return where the steps find a file or directory of this machine."""
        return source


class Root(Machine):
    """The root directory of another system; its own pip installs.

    Raises:
        click.ClickException: it is no root, can't be entered, or has no Python.
    """

    def __init__(self, root: Path, directory: Path, python: str = "python3") -> None:
        self._root, self.directory = root.resolve(), directory
        if not any((self._root / name).is_file() for name in _RELEASE):
            raise click.ClickException(
                f"{root}: no {_RELEASE[0]}; expected the root directory of a system, "
                "such as debootstrap or docker export writes"
            )
        if os.geteuid():
            raise click.ClickException(f"{root}: only root can enter it; run this as root")
        self._native = False  # until it says what it is for
        self._clear()
        try:
            code = (
                "import json, platform as p; print(json.dumps([p.python_version(), p.machine()]))"
            )
            self.version, machine = json.loads(self.run(python, "-c", code))
        except StepError as error:
            raise click.ClickException(
                f"{root}: {python} doesn't run there: {error}. Install it there. For another "
                "processor, this machine needs qemu-user-static, registered in binfmt_misc"
            ) from None
        self.name = system_name(self._root, machine)
        self._native = machine == platform.machine()
        if not self._native:
            self.name += ", emulated"

    def _clear(self) -> None:
        """Empty the shared directory, and give it to the user."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        if CERTIFICATES.is_file():
            shutil.copy(CERTIFICATES, self.directory)
        os.chown(self.directory, USER, USER)

    def inside(self, path: Path) -> Path:
        """Return the path under which a step finds a file of the shared directory."""
        return Path(MOUNT, path.relative_to(self.directory))

    def call(self, *command: str | Path, cwd: Path | None = None) -> list[str]:
        """Return the command that enters the root and runs `command` there.

        Paths of the shared directory are given as this machine has them.
        """
        parts = [str(part).replace(str(self.directory), MOUNT) for part in command]
        start = str(self.inside(cwd or self.directory))
        given = (self._root, self.directory, USER, self._native)
        enter = ("sh", "-c", _ENTER, "sh", *map(str, given))
        return [*_NAMESPACES, *enter, "sh", "-c", 'cd "$0" && exec "$@"', start, *parts]

    def environment(self) -> dict[str, str]:
        """Return the variables of a fresh login, and those that hold in a root too."""
        given: Mapping[str, str] = os.environ
        names = [*_PASSED_ON, *(name.lower() for name in _PASSED_ON)]
        names += _OF_THE_PROCESSOR if self._native else ()
        certificates = self.directory / CERTIFICATES.name
        return {
            "PATH": _PATH,
            "HOME": MOUNT,
            "LANG": "C.UTF-8",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **({"PIP_CERT": str(self.inside(certificates))} if certificates.is_file() else {}),
            **{name: given[name] for name in names if name in given},
        }

    def create(self, environment: Path, python: str) -> None:
        """Make a virtual environment, with the pip that the system brings."""
        self.run(python, "-m", "venv", environment)

    def install(self, environment: Path, *arguments: str | Path, log: Path | None = None) -> None:
        """Install with the environment's pip; modules are not compiled."""
        pip = environment / "bin/pip"
        self.run(pip, "install", "--quiet", "--no-compile", *arguments, hours=3, log=log)

    def check(self, environment: Path) -> None:
        """Fail if two installed packages contradict each other."""
        self.run(environment / "bin/pip", "check")

    def take(self, source: Path) -> Path:
        """Copy a file or directory to where the steps find it, and return where that is."""
        copy = self.directory / source.name
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True)
        elif source != copy:
            shutil.copy(source, copy)
        for path in (copy, *copy.rglob("*")):
            os.chown(path, USER, USER, follow_symlinks=False)
        return copy


_RELEASE = ("etc/os-release", "usr/lib/os-release")


def system_name(root: Path, machine: str) -> str:
    """Return what a system calls itself, and its processor.

    Raises:
        click.ClickException: it has no os-release, or one without a name.
    """
    for path in (root / name for name in _RELEASE):
        if path.is_file():
            found = dict(_assignments(path.read_text(encoding="utf-8")))
            if "PRETTY_NAME" in found:
                return f"{found['PRETTY_NAME']}, {machine}"
    raise click.ClickException(f"{root}: no PRETTY_NAME in {' or '.join(_RELEASE)}")


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and not name.startswith("#"):
            yield name.strip(), value.strip().strip("\"'")
