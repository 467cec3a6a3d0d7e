"""The program around the commands: errors, exit codes, --debug, help."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from types import ModuleType

import click
import pytest
from click.testing import CliRunner, Result

import edge_retina
from edge_retina.cli import main as program
from edge_retina.cli.main import CommandEntry, main
from edge_retina.cli.options import debug_option
from edge_retina.errors import ConfigError, DatasetError, EdgeRetinaError


@pytest.fixture(autouse=True)
def _keep_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "configure_logging", lambda debug=False: None)
    monkeypatch.setattr("edge_retina.cli.options.configure_logging", lambda debug=False: None)


@pytest.fixture
def run_failing(monkeypatch: pytest.MonkeyPatch):
    """Run a command `fail` that raises a given exception, with these arguments."""

    def run(error: BaseException | None, *args: str, **options: object) -> Result:
        @click.command()
        @debug_option
        def command() -> None:
            """Fail.

            Example: edge-retina fail
            """
            if error is not None:
                raise error

        module = ModuleType("edge_retina_test_fail")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        entry = CommandEntry(module.__name__, "Fails.")
        monkeypatch.setitem(program.COMMANDS, "fail", entry)
        return CliRunner().invoke(main, args or ["fail"], **options)  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize(
    "error, line",
    [
        (DatasetError("a.xml: xmax (4) <= xmin (5)"), "Error: a.xml: xmax (4) <= xmin (5)"),
        (ConfigError("not valid TOML:\n  line 3"), "Error: not valid TOML: line 3"),
        (EdgeRetinaError("x"), "Error: x"),
        (
            ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"),
            'Error: this command needs the training extra: pip install "edge-retina[train]"',
        ),
        (
            ModuleNotFoundError("No module", name="tf_keras.layers"),
            'Error: this command needs the training extra: pip install "edge-retina[train]"',
        ),
        (
            ModuleNotFoundError("No module", name="tensorflow_model_optimization.core"),
            'Error: this command needs the training extra: pip install "edge-retina[train]"',
        ),
        (
            ModuleNotFoundError("No module named 'nonsense'", name="nonsense"),
            "Error: unexpected ModuleNotFoundError: No module named 'nonsense'; "
            "run again with --debug and report it",
        ),
        (
            ZeroDivisionError("division\nby zero"),
            "Error: unexpected ZeroDivisionError: division by zero; "
            "run again with --debug and report it",
        ),
        (KeyError(), "Error: unexpected KeyError; run again with --debug and report it"),
        (
            OSError(28, "No space left on device", "runs/a/metrics.jsonl"),
            "Error: runs/a/metrics.jsonl: No space left on device; "
            "use another path, or check its permissions and the free space",
        ),
        (OSError("odd"), "Error: unexpected OSError: odd; run again with --debug and report it"),
    ],
)
def test_errors_are_one_line_and_exit_code_1(run_failing, error: Exception, line: str) -> None:
    result = run_failing(error)
    assert result.exit_code == 1
    assert result.stderr == line + "\n"
    assert result.stdout == ""


@pytest.mark.parametrize(
    "args, env",
    [
        (["fail", "--debug"], {}),
        (["--debug", "fail"], {}),
        (["fail"], {"EDGE_RETINA_DEBUG": "1"}),
    ],
)
def test_debug_shows_the_traceback_and_the_line(run_failing, args: list, env: dict) -> None:
    result = run_failing(DatasetError("no such thing"), *args, env=env)
    assert result.exit_code == 1
    assert "Traceback (most recent call last):" in result.stderr
    assert result.stderr.endswith("\nError: no such thing\n")


def test_interrupt(run_failing) -> None:
    result = run_failing(KeyboardInterrupt())
    assert result.exit_code == 130
    assert result.stderr.strip() == "Interrupted."


def test_success_is_exit_code_0(run_failing) -> None:
    assert run_failing(None).exit_code == 0


@pytest.mark.parametrize(
    "args, message",
    [
        (["fail", "--nonsense"], "No such option"),
        (["fail", "extra"], "unexpected extra argument"),
        (["evalute"], "no such command 'evalute'; did you mean 'evaluate'?"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_code_2(run_failing, args: list[str], message: str) -> None:
    result = run_failing(None, *args)
    assert result.exit_code == 2
    assert message in result.stderr


def test_help_lists_every_command_with_its_summary() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, entry in program.COMMANDS.items():
        assert any(
            line.split()[:1] == [name] and entry.summary in line
            for line in result.stdout.splitlines()
        ), name


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.stdout == f"edge-retina, version {edge_retina.__version__}\n"


def test_without_standalone_mode_errors_get_through(run_failing) -> None:
    with pytest.raises(DatasetError, match="no such thing"):
        run_failing(DatasetError("no such thing"), standalone_mode=False, catch_exceptions=False)


def test_as_a_program() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "edge_retina.cli.main", "evalute"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("Error: no such command 'evalute'")


@pytest.mark.parametrize("debug, expected", [("", "INFO WARNING 2"), ("1", "DEBUG WARNING 0")])
def test_logs_go_to_standard_error(debug: str, expected: str) -> None:
    code = (
        "import logging, os\n"
        "from edge_retina.cli.logs import configure_logging\n"
        f"configure_logging(debug={bool(debug)})\n"
        "ours, others = logging.getLogger('edge_retina.x'), logging.getLogger('others')\n"
        "ours.info('written'), others.info('dropped')\n"
        "name = logging.getLevelName\n"
        "print(name(ours.getEffectiveLevel()), name(others.getEffectiveLevel()),"
        " os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60
    )
    assert result.stdout.strip() == expected
    assert result.stderr.endswith(f" {logging.getLevelName(logging.INFO)} written\n")
