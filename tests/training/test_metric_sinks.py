"""Services that other packages connect; here the package is made on the fly."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import invalidate_caches
from pathlib import Path

import pytest

from edge_retina.errors import ConfigError

pytestmark = pytest.mark.tf

CODE = """
import shutil


class Sink:
    def __init__(self, run, config):
        self.file = run / "sink.txt"
        self.fail_at = config.get("fail_at")
        self.text(f"open {config['name']}")

    def text(self, line):
        with self.file.open("a") as stream:
            stream.write(line + "\\n")

    def write(self, step, values):
        if step == self.fail_at:
            raise ConnectionError("no route to host\\nmore lines")
        self.text(f"{step} {sorted(values.items())}")

    def close(self):
        self.text("closed")


def broken(run, config):
    raise RuntimeError("no credentials")


def stopped(run, config):
    raise KeyboardInterrupt


def removing(run, config):
    shutil.rmtree(run)
    raise OSError("gone")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package with four sinks, as pip would."""
    (tmp_path / "sink_for_tests.py").write_text(CODE)
    meta = tmp_path / "sink_for_tests-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text("Metadata-Version: 2.1\nName: sink-for-tests\nVersion: 1.0\n")
    (meta / "entry_points.txt").write_text(
        "[edge_retina.metric_sinks]\nfile = sink_for_tests:Sink\n"
        + "".join(f"{name} = sink_for_tests:{name}\n" for name in ("broken", "stopped", "removing"))
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    monkeypatch.delitem(sys.modules, "sink_for_tests", raising=False)


def log_two_lines(run: Path, config: Mapping[str, object], names: str = "file") -> list[str]:
    from edge_retina.training.metric_sinks import open_sinks
    from edge_retina.training.metrics_log import MetricsLog

    log = MetricsLog(run / "metrics.jsonl", sinks=open_sinks(names, run, config))
    log.write(20, loss=1.5, per_class={"cat": 0.5, "dog": None})
    log.write(40, loss=1.0)
    log.close()
    return (run / "sink.txt").read_text().splitlines()


@pytest.mark.usefixtures("package")
def test_a_sink_gets_every_number(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert log_two_lines(run, {"name": "mine"}, names=" file , ") == [
        "open mine",
        "20 [('loss', 1.5), ('per_class/cat', 0.5)]",
        "40 [('loss', 1.0)]",
        "closed",
    ]


@pytest.mark.usefixtures("package")
def test_a_sink_that_fails_is_named_once_and_the_log_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert log_two_lines(run, {"name": "mine", "fail_at": 20}) == ["open mine"]
    (warning,) = caplog.messages
    assert "file failed at step 20 (ConnectionError: no route to host)" in warning
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "file,wandb",
            "no installed package offers 'wandb' (installed: broken, file, removing, stopped)",
        ),
        ("broken,file", "broken can't be opened: RuntimeError: no credentials"),
    ],
)
def test_a_sink_that_is_not_there_ends_the_command_before_any_is_opened(
    names: str, message: str, tmp_path: Path
) -> None:
    from edge_retina.training.metric_sinks import open_sinks

    with pytest.raises(ConfigError) as error:
        open_sinks(names, tmp_path, {"name": "mine"})
    assert message in str(error.value)
    assert not (tmp_path / "sink.txt").exists()


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("names", "raised"),
    [("file,file,broken", ConfigError), ("file,file,stopped", KeyboardInterrupt)],
)
def test_sinks_are_closed_if_a_later_one_cannot_be_opened(
    names: str, raised: type[BaseException], tmp_path: Path
) -> None:
    from edge_retina.training.metric_sinks import open_sinks

    with pytest.raises(raised):
        open_sinks(names, tmp_path, {"name": "mine"})
    lines = (tmp_path / "sink.txt").read_text().splitlines()
    assert lines == ["open mine", "open mine", "closed", "closed"]


@pytest.mark.usefixtures("package")
def test_a_sink_that_cannot_be_closed_hides_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sink's directory is gone when it is closed; what ended the opening is told."""
    from edge_retina.training.metric_sinks import open_sinks

    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ConfigError, match="removing can't be opened: OSError: gone"):
        open_sinks("file,removing", run, {"name": "mine"})
    (warning,) = caplog.messages
    assert "file failed at the end (FileNotFoundError" in warning
