"""benchmarks/installs.py: other systems, what is refused, and what the commands must answer."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from edge_retina.cli.main import main

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MODEL = Path(__file__).parent / "golden" / "tiny_uint8.tflite"

pytestmark = pytest.mark.checkout


@pytest.fixture(autouse=True)
def _scripts_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


@pytest.fixture
def systems() -> Any:
    return importlib.import_module("systems")


@pytest.fixture
def installs() -> Any:
    return importlib.import_module("installs")


@pytest.fixture
def commands() -> Any:
    return importlib.import_module("device_commands")


def write_release(root: Path, text: str, path: str = "etc/os-release") -> Path:
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text(text, encoding="utf-8")
    return root


class Calls:
    """Answers in the place of subprocess.run, and what was asked."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers, self.calls = list(answers), []

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append((command, options["env"]))
        code, text = self.answers.pop(0)
        return subprocess.CompletedProcess(command, code, stdout=text, stderr="")


@pytest.fixture
def fake_root(
    systems: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[Any, Calls]]:
    """Make a root whose first answer is the version and the processor of its Python."""

    def make(python: str, machine: str, *answers: tuple[int, str]) -> tuple[Any, Calls]:
        root = write_release(tmp_path / "roots" / "some", 'PRETTY_NAME="Some OS 7"\n')
        calls = Calls((0, json.dumps([python, machine])), *answers)
        monkeypatch.setattr(systems.subprocess, "run", calls)
        monkeypatch.setattr(systems.os, "geteuid", lambda: 0)
        monkeypatch.setattr(systems.os, "chown", lambda *_, **__: None)
        return systems.Root(root, tmp_path / "shared"), calls

    return make


@pytest.mark.parametrize(
    "path, text, name",
    [
        ("etc/os-release", 'NAME=x\nPRETTY_NAME="Some OS 7 (a)"\n', "Some OS 7 (a), riscv64"),
        ("usr/lib/os-release", "#PRETTY_NAME=no\nPRETTY_NAME='B'\n", "B, riscv64"),
        ("etc/os-release", "PRETTY_NAME=A=B\n", "A=B, riscv64"),
    ],
)
def test_a_system_is_called_what_it_calls_itself(
    systems: Any, tmp_path: Path, path: str, text: str, name: str
) -> None:
    assert systems.system_name(write_release(tmp_path, text, path), "riscv64") == name


def test_a_system_without_a_name_is_told(systems: Any, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="no PRETTY_NAME in etc/os-release"):
        systems.system_name(write_release(tmp_path, "NAME=x\n"), "riscv64")


def test_what_is_no_root_is_refused(systems: Any, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match=r"no etc/os-release; expected the root dir"):
        systems.Root(tmp_path, tmp_path / "shared")
    assert not (tmp_path / "shared").exists()


def test_only_root_enters_a_root(
    systems: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(systems.os, "geteuid", lambda: 1000)
    root = write_release(tmp_path, "PRETTY_NAME=x\n")
    with pytest.raises(click.ClickException, match="run this as root"):
        systems.Root(root, tmp_path / "shared")


def test_a_root_for_another_processor_needs_an_emulator(
    systems: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failed = Calls((126, "chroot: failed to run command 'sh': Exec format error\n"))
    monkeypatch.setattr(systems.subprocess, "run", failed)
    monkeypatch.setattr(systems.os, "geteuid", lambda: 0)
    monkeypatch.setattr(systems.os, "chown", lambda *_, **__: None)
    with pytest.raises(click.ClickException, match=r"Exec format error.* qemu-user-static"):
        systems.Root(write_release(tmp_path / "a", "PRETTY_NAME=x\n"), tmp_path / "shared")


def test_a_root_is_entered_with_its_paths_and_a_fresh_environment(
    fake_root: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/checkout")
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    system, calls = fake_root("3.12.3", "riscv64", (0, "answer\n"))
    assert (system.version, system.name) == ("3.12.3", "Some OS 7, riscv64, emulated")
    shared = tmp_path / "shared"
    assert system.run(shared / "v/bin/pip", f"{shared}/a.whl[x]", cwd=shared / "v") == "answer\n"
    command, environment = calls.calls[-1]
    assert command[0] == "unshare"
    assert command[-4:] == ['cd "$0" && exec "$@"', "/mnt/v", "/mnt/v/bin/pip", "/mnt/a.whl[x]"]
    assert str(tmp_path / "roots" / "some") in command
    assert environment["https_proxy"] == "http://proxy:1"
    assert environment["HOME"] == "/mnt"
    assert not {"PYTHONPATH", "PIP_FIND_LINKS"} & environment.keys()


@pytest.mark.parametrize("machine, native", [(platform.machine(), True), ("riscv64", False)])
def test_only_a_root_of_this_processor_sees_this_processor(
    fake_root: Any, monkeypatch: pytest.MonkeyPatch, machine: str, native: bool
) -> None:
    """LiteRT for arm64 crashes where /sys describes an x86 processor."""
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    system, calls = fake_root("3.12.3", machine, (0, ""))
    assert system.name == f"Some OS 7, {machine}{'' if native else ', emulated'}"
    system.run("true")
    command, environment = calls.calls[-1]
    assert ("OPENBLAS_CORETYPE" in environment) == native
    entered = command.index("sh")
    assert command[entered + 7] == str(native)
    assert """if [ "$native" = True ]; then mount --rbind /sys""" in command[entered + 2]


def test_what_a_step_needs_is_copied_to_where_it_sees_it(fake_root: Any, tmp_path: Path) -> None:
    system, _ = fake_root("3.12.3", "x86_64")
    source = tmp_path / "source" / "tests"
    source.mkdir(parents=True)
    (source / "a.txt").write_text("a")
    copy = system.take(source.parent)
    assert (copy / "tests/a.txt").read_text() == "a"
    assert str(system.inside(copy / "tests/a.txt")) == "/mnt/source/tests/a.txt"
    assert str(system.inside(system.take(source / "a.txt"))) == "/mnt/a.txt"


@pytest.fixture
def own_root(systems: Any, tmp_path: Path) -> Any:
    """Enter this machine's own root as if it were another one."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("entering a root needs root and util-linux")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"]).returncode:
        pytest.skip("this container may not make namespaces")
    return systems.Root(Path("/"), tmp_path / "shared")


def test_a_step_in_a_root_is_a_user_and_leaves_nothing_behind(own_root: Any) -> None:
    before = Path("/proc/self/mounts").read_text()
    assert own_root.name.startswith(platform.freedesktop_os_release()["PRETTY_NAME"])
    (own_root.directory / "here").write_text("seen")
    script = "id -u; pwd; cat here; echo written > there; sleep 60 & ls -d /proc/[0-9]* | wc -l"
    user, where, rest = own_root.run("sh", "-c", script).split("\n", 2)
    assert (user, where) == ("1000", "/mnt")
    assert rest.startswith("seen")
    assert int(rest.removeprefix("seen")) < 8  # its own processes, not those of the machine
    assert (own_root.directory / "there").read_text() == "written\n"
    assert Path("/proc/self/mounts").read_text() == before
    assert not Path("/mnt/there").exists()


def test_a_step_that_fails_in_a_root_tells_its_last_line(systems: Any, own_root: Any) -> None:
    with pytest.raises(systems.StepError, match="exit code 3: the last"):
        own_root.run("sh", "-c", "echo first; echo the last >&2; exit 3")


def run_here(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands_of_a_device_answer_what_is_known_by_hand(
    commands: Any, tmp_path: Path
) -> None:
    commands.write_data(tmp_path / "data")
    names = commands.try_commands(run_here, MODEL, tmp_path / "data")
    assert names == "--version, inspect, doctor, predict"


def _prediction(score: float, ymin: float, label: str = "square") -> str:
    first = {"label": label, "score": score, "box_px": [ymin, 20, 50, 60]}
    second = {"label": "disc", "score": 0.25, "box_px": [0, 0, 100, 100]}
    return json.dumps({"predictions": [{"detections": [first, second]}]})


def test_other_detections_are_a_failure(commands: Any) -> None:
    commands.check_predictions(_prediction(0.748047, 10.0))
    for answer in (
        _prediction(0.75, 10.0),
        _prediction(0.748047, 11.0),
        _prediction(0.748047, 10.0, "disc"),
        json.dumps({"predictions": [{"detections": []}]}),
        json.dumps({"predictions": []}),
        "no JSON",
    ):
        with pytest.raises(commands.StepError, match="predict"):
            commands.check_predictions(answer)


def test_a_missing_answer_is_a_failure(commands: Any, tmp_path: Path) -> None:
    commands.write_data(tmp_path / "data")
    with pytest.raises(commands.StepError, match="expected 'edge-retina, version', got: nothing"):
        commands.try_commands(lambda *_: "nothing", MODEL, tmp_path / "data")


REQUIRED = "ERROR: Package 'edge-retina' requires a different Python: 3.14.10 not in '<3.14'"
NO_INDEX = "WARNING: Retrying (Retry(total=0))\nERROR: No matching distribution found for pillow"


@pytest.mark.parametrize(
    "log, text",
    [
        (f"Processing a.whl\n{REQUIRED}\n", REQUIRED.removeprefix("ERROR: ")),
        (
            "ERROR: Could not find a version\nERROR: No matching distribution found for pillow>=12",
            "No matching distribution found for pillow>=12",
        ),
    ],
)
def test_pip_refuses_a_python_in_its_own_words(installs: Any, log: str, text: str) -> None:
    assert installs.pip_refusal(log, installs.StepError("exit code 1")) == text


@pytest.mark.parametrize("log", ["ERROR: No space left on device", NO_INDEX])
def test_an_install_that_fails_otherwise_is_no_refusal(installs: Any, log: str) -> None:
    with pytest.raises(installs.StepError, match="exit code 1"):
        installs.pip_refusal(log, installs.StepError("exit code 1"))


@pytest.fixture
def bench(installs: Any, tmp_path: Path) -> Any:
    """A bench whose wheel allows Python 3.10 to 3.13."""
    made = installs.Bench(tmp_path / "installs.json", tmp_path, "", "boxes")
    made.contents = "0"
    made.wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(made.wheel, "w") as archive:
        text = "Metadata-Version: 2.4\nName: a\nVersion: 1\nRequires-Python: >=3.10,<3.14\n"
        archive.writestr("a-1.dist-info/METADATA", text)
    made.members = installs.wheel_members(made.wheel)
    return made


def test_which_python_is_supported_is_read_from_the_wheel(bench: Any) -> None:
    answers = {
        version: bench.supports(version) for version in ("3.9.2", "3.10.0", "3.13.5", "3.14.0")
    }
    assert list(answers.values()) == [False, True, True, False]


def test_a_row_is_kept_for_its_own_system(installs: Any, bench: Any) -> None:
    def fails() -> tuple[str, None]:
        raise installs.StepError("no")

    bench.row("Debian", "3.12", "wheel", lambda: ("passed: all", 1.26))
    bench.row("Debian", "3.12", "wheel", fails)
    bench.row("Other", "3.12", "wheel", fails)
    rows = json.loads(bench.target.read_text())["rows"]
    assert [(row["os"], row["result"], row["mb"]) for row in rows] == [
        ("Debian", "passed: all", 1.3),
        ("Other", "failed: no", None),
    ]
    assert bench.failed


def test_only_chooses_by_the_system_too(installs: Any, tmp_path: Path) -> None:
    bench = installs.Bench(None, tmp_path, "Other.*wheel", "boxes")
    bench.row("Debian", "3.12", "wheel", lambda: ("passed", None))
    bench.row("Other", "3.12", "sdist", lambda: ("passed", None))
    bench.row("Other", "3.12", "wheel", lambda: ("passed", None))
    assert [(row["os"], row["what"]) for row in bench.rows] == [("Other", "wheel")]


UNSOLVABLE = """
  × No solution found when resolving dependencies:
  ╰─▶ Because ai-edge-litert>=2.1.0 has no wheels with a
      matching platform tag (e.g., `musllinux_1_2_x86_64`) and edge-retina depends on it.
"""


def test_a_platform_without_a_wheel_is_refused_by_name(
    installs: Any, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    systems = importlib.import_module("systems")
    monkeypatch.setattr(
        systems.subprocess, "run", Calls((1, UNSOLVABLE), (0, "a==1\nb==2\n"), (1, "no network"))
    )
    ask = ("x86_64-unknown-linux-musl", "", "3.12")
    assert bench.resolve_elsewhere(*ask)[0] == "refused: ai-edge-litert has no wheel for it"
    assert bench.resolve_elsewhere(*ask)[0] == "passed: 2 packages"
    with pytest.raises(installs.StepError, match="no network"):
        bench.resolve_elsewhere(*ask)


def test_a_root_whose_python_is_not_supported_gets_a_row_that_says_so(
    installs: Any, bench: Any, fake_root: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system, _ = fake_root("3.14.10", "x86_64", (1, REQUIRED))
    monkeypatch.setattr(installs, "Root", lambda *_: system)
    site = system.directory / "environment/lib/python3.14/site-packages"
    monkeypatch.setattr(system, "create", lambda *_: site.mkdir(parents=True))
    installs.in_a_root(bench, tmp_path / "roots/some", "python3", "boxes", True)
    (row,) = bench.rows
    assert (row["os"], row["python"]) == (system.name, "3.14.10")
    assert row["result"] == f"refused: {REQUIRED.removeprefix('ERROR: ')}"
    assert not bench.failed
    assert not system.directory.exists()
