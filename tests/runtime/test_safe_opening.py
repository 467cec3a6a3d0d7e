"""A file that ends LiteRT's process doesn't end ours, and a good one is tried at most once."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_retina.cli.main import main
from edge_retina.errors import ModelError
from edge_retina.runtime import safe_opening, trial_run
from edge_retina.runtime.detector import TFLiteDetector
from edge_retina.runtime.manifest import FileEntry, InputSpec, Manifest
from edge_retina.runtime.safe_opening import crashes_are_contained, prove_file, trust_file
from edge_retina.runtime.trial_run import try_out
from tests.runtime.test_flatbuffer_check import edited, put

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "tiny_float32.tflite"
# A convolution whose kernel is left out, as only biases may be: LiteRT follows a null pointer
CRASHING = edited(put("subgraphs.0.operators.0.inputs", [0, -1, 2]))


class Trials:
    """Counts trials and lets each end as told."""

    def __init__(self, code: int = 0, text: str = "") -> None:
        self.paths: list[Path] = []
        self._answer = (code, text)

    def __call__(self, path: Path, seconds: float, most_bytes: int) -> tuple[int, str]:
        self.paths.append(path)
        return self._answer


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    """No process is started, and nothing is proven yet."""
    found = Trials()
    monkeypatch.setattr(trial_run, "_start", found)
    monkeypatch.setattr(safe_opening, "_proven", safe_opening._Proven())
    return found


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("disc\nsquare\n")
    return Path(shutil.copy(GOLDEN, tmp_path / "a.tflite"))


def list_in_manifest(path: Path, entry: FileEntry) -> None:
    Manifest(
        edge_retina_version="0.1.0",
        input=InputSpec(32, 32, {path.name: "float32"}, 128.0, 128.0),
        outputs=(),
        labels=("disc", "square"),
        anchors={},
        thresholds={},
        quantization={},
        metrics={},
        files={path.name: entry},
        config={},
    ).save(path.parent)


def test_a_file_is_tried_once_however_often_it_is_opened(model: Path, trials: Trials) -> None:
    for use_xnnpack in (True, False):
        detector = TFLiteDetector(model, use_xnnpack=use_xnnpack)
        for _ in range(3):
            detector.predict(np.zeros((8, 8, 3), np.uint8))
    copy = Path(shutil.copy(model, model.with_name("copy.tflite")))
    prove_file(copy)  # it is the content that counts
    assert trials.paths == [model]
    copy.write_bytes(model.read_bytes() + b"\0")
    prove_file(copy)
    assert trials.paths == [model, copy]


def test_what_the_manifest_confirms_is_not_tried(model: Path, trials: Trials) -> None:
    list_in_manifest(model, FileEntry.of(model))
    TFLiteDetector(model)
    assert trials.paths == []


def test_a_manifest_with_another_hash_confirms_nothing(model: Path, trials: Trials) -> None:
    list_in_manifest(model, FileEntry(model.stat().st_size, "0" * 64))
    prove_file(model)
    assert trials.paths == [model]


def test_a_contained_process_and_a_new_file_need_no_trial(model: Path, trials: Trials) -> None:
    trust_file(model)
    prove_file(model)
    model.write_bytes(model.read_bytes() + b"\0")
    crashes_are_contained()
    prove_file(model)
    assert trials.paths == []


def test_a_worker_of_the_benchmark_is_contained() -> None:
    source = Path(safe_opening.__file__).parents[1] / "benchmark" / "worker.py"
    body = source.read_text().partition("def main()")[2]
    assert "crashes_are_contained()" in body


@pytest.mark.parametrize(
    "code, text, expected",
    [
        (-signal.SIGSEGV, "", "LiteRT crashes (SIGSEGV) when"),
        (-signal.SIGABRT, "", "LiteRT crashes (SIGABRT) when"),
        (-signal.SIGABRT, "what():  std::bad_alloc", "LiteRT takes more than 768 MiB of memory"),
        (-signal.SIGXCPU, "", "LiteRT takes more than 8 s for one picture when"),
        (1, "Traceback\nOSError: no room", "LiteRT fails (OSError: no room) when"),
        (2, "", "LiteRT fails (exit code 2) when"),
    ],
)
def test_how_a_trial_ended_is_told_in_one_line(
    model: Path, code: int, text: str, expected: str
) -> None:
    with pytest.raises(ModelError) as caught:
        try_out(model, macs=0, start=Trials(code, text))
    assert str(caught.value).startswith(f"{model}: {expected}")
    assert "\n" not in str(caught.value)
    assert "copy or export it again" in str(caught.value)


def test_a_large_network_has_more_time(model: Path) -> None:
    seconds = []

    def start(path: Path, allowed: float, most_bytes: int) -> tuple[int, str]:
        seconds.append(allowed)
        return 0, ""

    for macs in (0, 10**9, 10**13):
        try_out(model, macs=macs, start=start)
    assert seconds == [8, 50, 600]


@pytest.mark.parametrize("command", ["predict", "inspect", "evaluate"])
def test_a_real_crash_is_one_line(command: str, tmp_path: Path) -> None:
    path, data = tmp_path / "crash.tflite", tmp_path / "data"
    path.write_bytes(CRASHING)
    data.mkdir()
    cv2.imwrite(str(data / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (data / "test.csv").write_text("a.png,1,1,5,5,disc\n")
    arguments = {
        "predict": [str(path), str(data), "--out", str(tmp_path / "out")],
        "inspect": [str(path)],
        "evaluate": [str(path), str(data)],
    }
    done = CliRunner().invoke(main, [command, *arguments[command]])
    assert done.exit_code == 1
    # What lies where the kernel should be is chance: an address, the size of an allocation, or now
    # and then something that LiteRT itself refuses
    ends = r"(crashes \(SIG[A-Z]+\)|takes more than 768 MiB of memory) when it opens and runs this"
    line = rf"Error: {path}: LiteRT ({ends} file, tried in a .*|can't open the model .*)\n"
    assert re.fullmatch(line, done.stderr), done.stderr
    assert not (tmp_path / "out").exists()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe.tflite"
    os.mkfifo(path)
    for call in (prove_file, TFLiteDetector):
        with pytest.raises(ModelError, match="no ordinary file"):
            call(path)
