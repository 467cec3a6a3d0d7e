"""A device behind ssh: what is brought, what comes back, and what is left behind (nothing)."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_retina.benchmark import agent, ssh
from edge_retina.benchmark.accuracy import LabelledData
from edge_retina.benchmark.backends import KERAS
from edge_retina.benchmark.candidate import Candidate, tflite_candidates
from edge_retina.benchmark.connection import SSH_VARIABLE
from edge_retina.benchmark.device_options import DeviceOptions
from edge_retina.benchmark.environment import read_environment
from edge_retina.benchmark.local import LocalRunner
from edge_retina.benchmark.run import run_benchmark
from edge_retina.benchmark.ssh import SshRunner, open_ssh
from edge_retina.benchmark.ssh_errors import Address
from edge_retina.benchmark.task import TeamTask, WorkerTask
from edge_retina.benchmark.timing_plan import TimingPlan
from edge_retina.benchmark.worker_archive import build_worker_archive
from edge_retina.cli.main import main
from edge_retina.datasets.schema import Example
from edge_retina.errors import BenchmarkError, DeviceLostError
from edge_retina.files import sha256_file
from edge_retina.stored_files import stored_path
from tests.benchmark.conftest import Server

CANDIDATE = Candidate(Path("m"), file=Path("m"), family="m", backend=KERAS, threads=1)
LABELS = ("disc", "square")


def pictures(directory: Path, count: int) -> list[Path]:
    """Pictures of one brightness each: the tiny detectors' scores are its fractions."""
    paths = [directory / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(str(path), np.full((40, 60, 3), 20 + 30 * number, np.uint8))
    return paths


def custom_task(image: Path, tmp_path: Path, factory: str, **options: Any) -> WorkerTask:
    """A task for one of tests/benchmark/factories.py on the device."""
    model = tmp_path / "m.tflite"
    model.write_bytes(b"model")
    return WorkerTask(
        factory=factory,
        model=str(model),
        options=options,
        environment={"PYTHONPATH": str(Path(__file__).parent)},
        images=(str(image),),
        runs=2,
        warmup=1,
        threads=1,
    )


def wait_until(condition: Any, what: str) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"after 10 s still not: {what}")


def test_detections_are_those_of_this_machine_bit_for_bit(
    loopback: SshRunner, tiny: list[Path], tmp_path: Path
) -> None:
    """Through a real ssh server, with a worker that is brought there."""
    images = pictures(tmp_path, 8)
    for path in tiny:
        candidate = tflite_candidates(path, threads=[1])[0]
        task = candidate.detection_task(images, LABELS)
        here, there = (runner.detect(candidate, task) for runner in (LocalRunner(), loopback))
        assert (here.device, there.device) == ("local", loopback.name)
        assert sum(map(len, here.detections)) > 8
        assert len({found.scores.tobytes() for found in here.detections}) > 4
        for ours, theirs in zip(here.detections, there.detections, strict=True):
            for name in ("boxes_norm", "classes", "scores"):
                one, other = getattr(ours, name), getattr(theirs, name)
                assert (one.dtype, one.shape, one.tobytes()) == (
                    other.dtype,
                    other.shape,
                    other.tobytes(),
                )


def test_pictures_in_a_shard_are_brought_too(
    device: SshRunner, tiny: list[Path], tmp_path: Path
) -> None:
    images = pictures(tmp_path, 2)
    contents = [path.read_bytes() for path in images]
    shard = tmp_path / "train-00000-of-00001.tfrecord"
    shard.write_bytes(b"head" + b"".join(contents))
    places = [4, 4 + len(contents[0])]
    stored = [
        stored_path(shard, place, len(content), path.name)
        for place, content, path in zip(places, contents, images, strict=True)
    ]
    candidate = tflite_candidates(tiny[0], threads=[1])[0]
    found, expected = (
        device.detect(candidate, candidate.detection_task(paths, LABELS)).detections
        for paths in (stored, images)
    )
    assert [item.scores.tobytes() for item in found] == [x.scores.tobytes() for x in expected]
    assert sum(map(len, found)) > 0


def test_a_whole_benchmark_through_ssh(loopback: SshRunner, tiny: list[Path], image: Path) -> None:
    example = Example(
        image_id="noise.png",
        path=image,
        image_hw=(480, 640),
        boxes_px=np.array([[0, 0, 480, 640]], np.float32),
        classes=np.array([0], np.int32),
        crowd=np.array([False]),
    )
    report = run_benchmark(
        tflite_candidates(tiny[1], threads=[1])[:1],
        runner=loopback,
        images=[image],
        plan=TimingPlan(runs=3, rounds=1, warmup=1, min_seconds=0, max_warmup_s=0),
        data=LabelledData((example,), LABELS),
    )
    assert report.device == loopback.name
    assert report.environment.cpu == read_environment().cpu
    (item,) = report.results
    assert (item.backend, item.latency_ms.n) == ("tflite-xnnpack", 3)
    assert item.sha256 == sha256_file(tiny[1])
    assert (item.mAP, item.mAP_device) == (pytest.approx(1.0), loopback.name)
    assert item.delegate is not None
    assert (item.delegate.partitions, item.delegate.left[0].name) == (1, "CAST")


def test_models_take_turns_on_the_device(device: SshRunner, tiny: list[Path], image: Path) -> None:
    candidates = [tflite_candidates(path, threads=[1])[0] for path in tiny]
    team = TeamTask(tuple(item.task([image], runs=5, warmup=0) for item in candidates))
    float32, int8 = device.measure_together(candidates, team)
    assert (float32.precision, int8.precision) == ("float32", "int8")
    assert len(float32.inference_ms) == len(int8.inference_ms) == 5
    assert len(float32.blocks) == len(int8.blocks)


def test_members_on_the_device_use_what_was_brought(
    device: SshRunner, image: Path, tmp_path: Path
) -> None:
    """Not a package that happens to be installed there; the failing member is named."""
    fine = custom_task(image, tmp_path, "factories:SleepyPredictor", inference_ms=0.1)
    telling = custom_task(image, tmp_path, "factories:telling_the_package")
    other = dataclasses.replace(CANDIDATE, path=Path("other"))
    with pytest.raises(BenchmarkError, match=r"^other, .*: RuntimeError: .*worker\.pyz/edge_ret"):
        device.measure_together([CANDIDATE, other], TeamTask((fine, telling)))


def test_a_file_is_copied_once(
    device: SshRunner, tiny: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    put = SshRunner._put

    def noting(self: SshRunner, connection: Any, name: str, content: bytes, sha256: str) -> None:
        sent.append(name)
        put(self, connection, name, content, sha256)

    monkeypatch.setattr(SshRunner, "_put", noting)
    one, two = pictures(tmp_path, 2)
    twin = Path(shutil.copy(one, tmp_path / "twin.png"))
    for candidate in tflite_candidates(tiny[0], threads=[1]):
        device.measure(candidate, candidate.task([one, twin, two], runs=1, warmup=0))
    kinds = [name.split("/")[0] for name in sent]
    assert sorted(kinds) == ["images", "images", "models", "models", "worker.pyz"]
    assert len(set(sent)) == 5


def test_nothing_is_left_behind(device: SshRunner, image: Path, tmp_path: Path) -> None:
    device.measure(
        CANDIDATE, custom_task(image, tmp_path, "factories:SleepyPredictor", inference_ms=0)
    )
    root = root_of(device)
    assert (root / "worker.pyz").is_file()
    device.close()
    assert not root.exists()


def root_of(device: SshRunner) -> Path:
    """Return the directory on the "device"."""
    assert device._connection is not None
    return Path(device._connection.root)


def test_a_worker_ends_with_the_connection(
    loopback: SshRunner, image: Path, tmp_path: Path
) -> None:
    """ssh is killed in the middle of a measurement; nothing is left behind then either."""
    loopback._connected()
    root = root_of(loopback)
    assert loopback._connection is not None
    client = loopback._connection._process
    workers: list[int] = []

    def cut() -> None:
        wait_until(lambda: running_in(root), "worker started")
        workers.extend(running_in(root))
        client.kill()

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(DeviceLostError, match=r"connection to ssh:127\.0\.0\.1:\d+ lost \("):
        loopback.measure(CANDIDATE, custom_task(image, tmp_path, "factories:stalling"))
    thread.join()
    wait_until(lambda: not root.exists(), "directory removed")
    assert len(workers) == 1
    wait_until(lambda: not running_in(root), "worker ended")
    assert not Path(f"/proc/{workers[0]}").exists()


def running_in(root: Path) -> list[int]:
    """Return the processes that work in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(root):
                found.append(int(process.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def test_a_lost_connection_is_made_again(
    device: SshRunner, image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device.retries_s = (0.0,)
    task = custom_task(image, tmp_path, "factories:cutting_once", marker=str(tmp_path / "cut"))
    result = device.measure(CANDIDATE, task)
    assert len(result.inference_ms) == 2
    assert "connection to ssh:pi@board lost (" in caplog.text
    assert "trying again in 0 s" in caplog.text


def test_a_device_that_stays_away_is_lost(
    device: SshRunner, ssh_script: Path, image: Path, tmp_path: Path
) -> None:
    device.retries_s = (0.0, 0.0)
    device._connected()
    ssh_script.write_text("#!/bin/sh\necho 'ssh: connect to host board: timed out' >&2; exit 255\n")
    task = custom_task(image, tmp_path, "factories:cutting_once", marker=str(tmp_path / "cut"))
    with pytest.raises(
        DeviceLostError, match=r"lost, and not to be had again .* no answer; is the"
    ):
        device.measure(CANDIDATE, task)


def test_a_worker_that_takes_too_long_is_stopped(
    device: SshRunner, image: Path, tmp_path: Path
) -> None:
    device._connected()
    device.timeout_s = 0.5
    with pytest.raises(BenchmarkError, match=r"not done on ssh:pi@board after 0\.5 s"):
        device.measure(CANDIDATE, custom_task(image, tmp_path, "factories:stalling"))


@pytest.mark.parametrize(
    "factory, message",
    [
        ("factories:failing", "m, keras, 1 thread: RuntimeError: no such accelerator"),
        ("factories:crashing", "m, keras, 1 thread: worker was killed by SIGABRT"),
    ],
)
def test_a_workers_failure_there_is_a_benchmark_error(
    device: SshRunner, image: Path, tmp_path: Path, factory: str, message: str
) -> None:
    with pytest.raises(BenchmarkError) as caught:
        device.measure(CANDIDATE, custom_task(image, tmp_path, factory))
    assert str(caught.value).startswith(message)
    assert not isinstance(caught.value, DeviceLostError)


def test_no_room_is_noticed_before_anything_is_copied(
    device: SshRunner, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_SPARE_BYTES", 10**18)
    with pytest.raises(BenchmarkError, match=r"no room on ssh:pi@board: .* MB to copy .* MB free;"):
        device.measure(CANDIDATE, custom_task(image, tmp_path, "factories:SleepyPredictor"))
    assert not list(root_of(device).glob("images/*"))


def test_a_file_that_arrives_changed_is_refused(device: SshRunner) -> None:
    device._connected()
    assert device._connection is not None
    request = {"do": "put", "path": "a/b", "bytes": 3, "sha256": "0" * 64}
    assert device._connection.request(request, b"abc") == {
        "error": "what arrived has another SHA-256"
    }
    with pytest.raises(BenchmarkError, match="b could not be copied: what arrived has another"):
        device._put(device._connection, "a/b", b"abc", "0" * 64)


def test_a_full_disk_is_told_and_the_next_request_is_heard(device: SshRunner) -> None:
    device._connected()
    assert device._connection is not None
    full = {"do": "put", "path": "/dev/full", "bytes": 3 * agent.CHUNK, "sha256": ""}
    assert device._connection.request(full, bytes(3 * agent.CHUNK)) == {"error": "no room left"}
    assert device._connection.request({"do": "room"})["free"] > 0


def test_what_a_login_shell_prints_does_no_harm(device: SshRunner, ssh_script: Path) -> None:
    ssh_script.write_text(ssh_script.read_text().replace("exec sh", "echo Welcome!\nexec sh"))
    assert device._connected().root


@pytest.mark.parametrize(
    "errors, message",
    [
        ("ssh: Could not resolve hostname board: Name or service not known", "no host of the name"),
        ("ssh: connect to host board port 22: Connection refused", "refuses connections on port"),
        (
            "Host key verification failed.",
            "host key is not known; connect once with 'ssh pi@board'",
        ),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "the device's host key is another than before",
        ),
        ("pi@board: Permission denied (publickey,password).", "run 'ssh-copy-id pi@board' once"),
        ("ssh: connect to host board port 22: Connection timed out", "no answer; is the device on"),
        ("ssh: connect to host board port 22: No route to host", "no way to the device"),
        ("Received disconnect: Too many authentication failures", "name the right one"),
        ("kex_exchange_identification: read: broken", "no connection: kex_exchange_identification"),
    ],
)
def test_what_ssh_says_becomes_what_to_do(
    ssh_script: Path, tiny: list[Path], errors: str, message: str
) -> None:
    ssh_script.write_text(f"#!/bin/sh\ncat >&2 <<'E'\n{errors}\nE\nexit 255\n")
    result = CliRunner().invoke(main, ["benchmark", str(tiny[0]), "--device", "ssh:pi@board"])
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: --device ssh:pi@board: ")
    assert message in line


def test_no_ssh_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SSH_VARIABLE, "no-such-ssh -4")
    with pytest.raises(BenchmarkError, match=r"can't start no-such-ssh .* install an OpenSSH"):
        open_ssh("pi@board", DeviceOptions()).environment()


@pytest.mark.parametrize(
    "python, message",
    [
        ("no-such-python", "there is no 'no-such-python' on the device; install Python 3.10"),
        ("~/no/python", "there is no '~/no/python' on the device"),
        ("/etc/passwd", "'/etc/passwd' can't be run on the device"),
    ],
)
def test_a_device_without_python(device: SshRunner, python: str, message: str) -> None:
    device.python = python
    with pytest.raises(BenchmarkError) as caught:
        device._connected()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "line, message",
    [
        ("sys.version_info = (3, 9, 2)", "is Python 3.9.2 there, 3.10 or newer is needed"),
        (
            "import importlib.util as u; u.find_spec = lambda name: name == 'numpy' or None",
            "has no cv2, ai_edge_litert there; run 'python3 -m venv ~/edge && ~/edge/bin/pip "
            "install opencv-python-headless ai-edge-litert' on the device",
        ),
        ("os.path.isdir = lambda path: False", "no directory to write to there"),
    ],
)
def test_a_device_that_lacks_something(
    device: SshRunner, tmp_path: Path, line: str, message: str
) -> None:
    """A Python that is changed when it starts."""
    (tmp_path / "sitecustomize.py").write_text(f"import os, sys\n{line}\n")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    device.python = str(python)
    with pytest.raises(BenchmarkError) as caught:
        device._connected()
    assert message in str(caught.value)


@pytest.mark.parametrize("address", ["", "pi@", "-oProxyCommand=x", "a b", "a@b:99999", "a@b:c"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(BenchmarkError, match="expected ssh:USER@HOST or ssh:USER@HOST:PORT"):
        open_ssh(address, DeviceOptions())


@pytest.mark.parametrize(
    "text, address",
    [
        ("pi@192.168.1.20", Address("pi@192.168.1.20")),
        ("board", Address("board")),
        ("pi@board.local:2222", Address("pi@board.local", 2222)),
        ("pi@[fe80::1%eth0]:22", Address("pi@fe80::1%eth0", 22)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    runner = open_ssh(text, DeviceOptions(python="py"))
    assert (runner.address, runner.python) == (address, "py")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"UserKnownHostsFile": "/dev/null"}, "the device's host key is not known; connect once"),
        ({"IdentityFile": "{directory}/stranger"}, "login refused: ssh must log in with a key"),
    ],
)
def test_what_a_real_server_refuses(
    sshd: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: dict[str, str],
    message: str,
) -> None:
    lines = [
        line.split(maxsplit=1) for line in (sshd.directory / "config").read_text().splitlines()
    ]
    config = {**dict(lines), **change}
    text = "\n".join(f"{key} {value}" for key, value in config.items())
    (tmp_path / "config").write_text(text.format(directory=sshd.directory))
    monkeypatch.setenv(SSH_VARIABLE, f"ssh -F {tmp_path / 'config'}")
    with pytest.raises(BenchmarkError) as caught:
        open_ssh(f"127.0.0.1:{sshd.port}", DeviceOptions()).environment()
    assert message in str(caught.value)


def test_the_archive_needs_neither_this_checkout_nor_tensorflow(
    tiny: list[Path], image: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "worker.pyz"
    archive.write_bytes(build_worker_archive())
    assert build_worker_archive() == archive.read_bytes()
    names = zipfile.ZipFile(io.BytesIO(archive.read_bytes())).namelist()
    assert not [name for name in names if name.startswith(("edge_retina/model", "edge_retina/cli"))]
    task = tflite_candidates(tiny[0], threads=[1])[0].task([image], runs=1, warmup=0)
    code = (
        "import sys, runpy\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('tensorflow', 'pycocotools', 'click', 'yaml'):\n"
        "            raise ImportError(name)\n"
        # Where the package is installed from a checkout, that finder knows the checkout's modules
        "kept = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', '')]\n"
        "sys.meta_path = kept\n"
        "sys.meta_path.insert(0, Blocked())\n"
        f"sys.path.insert(0, {str(archive)!r})\n"
        "import edge_retina.runtime.foreign_detector\n"
        f"runpy.run_path({str(archive)!r}, run_name='__main__')\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], input=task.to_json(), capture_output=True, text=True
    )
    assert "edge_retina/runtime/formats/table.py" in names  # of other frameworks' files
    assert "error" not in json.loads(process.stdout), process.stdout
    assert len(json.loads(process.stdout)["inference_ms"]) == 1


def test_the_agent_keeps_to_old_syntax() -> None:
    """It must start on a Python that is too old, to say so."""
    import ast

    ast.parse(Path(agent.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))
