"""Announcements of native libraries are left out, and nothing else is."""

from __future__ import annotations

import os

import pytest

from edge_retina.runtime import start_up_lines
from edge_retina.runtime.start_up_lines import is_announcement, without_start_up_lines

LITERT = b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"
CUDA = b"E0000 00:00:1795743545.876386    6698 cuda_platform.cc:52] failed call to cuInit: 303\n"


@pytest.mark.parametrize(
    "line",
    [
        LITERT,
        b"I0000 00:00:1795743532.594248    6698 port.cc:153] oneDNN custom operations are on.\n",
        b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
        b"2026-11-27 01:39:05.876386: I tensorflow/core/platform/cpu_feature_guard.cc:210] This\n",
    ],
)
def test_announcements(line: bytes) -> None:
    assert is_announcement(line)


@pytest.mark.parametrize(
    "line",
    [
        b"01:38:51 INFO data: 16 training images\n",  # our own
        b"01:39:05 WARNING augmentation.scale\n",
        b"WARNING: something else\n",
        b"ERROR: Node number 3 (CONV_2D) failed to prepare.\n",
        b"W0000 00:00:1795743532.594248    6698 x.cc:1] a warning\n",
        b"E0000 00:00:1795743532.594248    6698 x.cc:1] an error\n",
        b"2026-11-27 01:39:05.876386: W tensorflow/core/x.cc:210] a warning\n",
        b"Information for you\n",
        b"\n",
    ],
)
def test_everything_else(line: bytes) -> None:
    assert not is_announcement(line)


def test_a_gpu_that_does_not_answer_is_worth_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_up_lines, "_GPU_DEVICES", ("/nowhere",))
    assert is_announcement(CUDA)
    monkeypatch.setattr(start_up_lines, "_GPU_DEVICES", ("/dev/null",))
    assert not is_announcement(CUDA)


def test_what_a_library_writes(capfd: pytest.CaptureFixture[str]) -> None:
    with without_start_up_lines(), without_start_up_lines():  # one within the other
        os.write(2, b"first\n" + LITERT + b"second\nno newline")
    os.write(2, b"\nafter\n" + LITERT)
    assert capfd.readouterr().err == f"first\nsecond\nno newline\nafter\n{LITERT.decode()}"


def test_an_error_is_not_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with without_start_up_lines():
            os.write(2, b"why it broke\n" + LITERT)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert capfd.readouterr().err == "why it broke\n"


def test_without_a_place_for_the_lines_nothing_is_held_back(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    monkeypatch.setattr("os.memfd_create", full, raising=False)
    with without_start_up_lines():
        os.write(2, LITERT)
    assert capfd.readouterr().err == LITERT.decode()
