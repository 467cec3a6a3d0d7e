"""Devices to measure on that need no device: this machine behind ssh, really or as if."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_retina.benchmark.connection import SSH_VARIABLE
from edge_retina.benchmark.noise_image import write_noise_image
from edge_retina.benchmark.ssh import SshRunner
from edge_retina.benchmark.ssh_errors import Address

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
_SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_noise_image(tmp_path / "noise.png", seed=0)


@pytest.fixture
def tiny(tmp_path: Path) -> list[Path]:
    """tiny_float32.tflite and tiny_int8.tflite, with the labels in a file beside them."""
    directory = tmp_path / "models"
    directory.mkdir()
    (directory / "labels.txt").write_text("disc\nsquare\n")
    pairs = (("tiny_float32", "tiny_float32"), ("tiny_uint8", "tiny_int8"))
    return [
        Path(shutil.copy(GOLDEN / f"{source}.tflite", directory / f"{target}.tflite"))
        for source, target in pairs
    ]


@pytest.fixture
def ssh_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for ssh that runs the command here; tests may write another into it."""
    script = tmp_path / "ssh"
    script.write_text('#!/bin/sh\nfor command; do :; done\nexec sh -c "$command"\n')
    script.chmod(0o755)
    monkeypatch.setenv(SSH_VARIABLE, str(script))
    return script


@pytest.fixture
def device(ssh_script: Path) -> Iterator[SshRunner]:
    """This machine behind the stand-in for ssh."""
    runner = SshRunner(Address("pi@board"), python=sys.executable, retries_s=())
    yield runner
    runner.close()


@dataclass(frozen=True)
class Server:
    """A real ssh server of the current user.

    Attributes:
        port: on 127.0.0.1.
        directory: with its keys and files: `known_hosts`, `authorized_keys`, `config`.
    """

    port: int
    directory: Path

    @property
    def device(self) -> str:
        return f"ssh:127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if _SSHD is None or shutil.which("ssh") is None:
        pytest.skip("OpenSSH is not on this machine (Debian: apt-get install openssh-server)")
    if os.geteuid() == 0:  # a server that root starts wants this directory, which init makes
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    directory = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user", "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(command, check=True)
    shutil.copy(directory / "user.pub", directory / "authorized_keys")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    kind, key = (directory / "host.pub").read_text().split()[:2]
    (directory / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\n"
        f"AuthorizedKeysFile {directory}/authorized_keys\nPidFile none\nUsePAM no\n"
        "StrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    (directory / "config").write_text(
        f"IdentityFile {directory}/user\nIdentitiesOnly yes\nGlobalKnownHostsFile /dev/null\n"
        f"UserKnownHostsFile {directory}/known_hosts\nIdentityAgent none\n"
    )
    server = subprocess.Popen(
        [_SSHD, "-D", "-f", directory / "sshd_config", "-E", directory / "log"]
    )
    try:
        _wait_for(port, server)
        yield Server(port, directory)
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert server.poll() is None, "sshd ended"
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd doesn't listen")


@pytest.fixture
def loopback(sshd: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshRunner]:
    """This machine behind a real ssh server."""
    monkeypatch.setenv(SSH_VARIABLE, f"ssh -F {sshd.directory / 'config'}")
    runner = SshRunner(Address("127.0.0.1", sshd.port), python=sys.executable, retries_s=())
    yield runner
    runner.close()
