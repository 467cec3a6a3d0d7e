"""Training on several devices: the same training, killed and continued, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_retina.cli.main import main
from edge_retina.datasets.generated import generate_dataset
from edge_retina.errors import ConfigError
from edge_retina.files import write_text
from tests.training.tiny_backbone import use_tiny_backbone

pytestmark = [pytest.mark.tf, pytest.mark.slow]

STEPS, SAVED = 60, 20  # the first save that a clock asks for comes after 20 steps
PATIENCE_SECONDS = 300
# Rounding differs, for sums are made in another order. It grows from step to step, and decides on
# which side of a ReLU's kink an activation is, which gradients and weights show before losses do.
# A single process on one thread and on two differs as much: 2e-3 in a gradient's norm was seen.
LOSS_TOLERANCE, TOLERANCE = 1e-4, 2e-2

MIRRORED = ("--set", "train.distribution=mirrored")
# A process alone asks its clock after each step, so that it would save 60 times.
UNSAVED = ("--set", "train.checkpoint_minutes=0")

CONFIG = """
[data]
path = "data"
val_split = ""
test_split = ""
[model]
pretrained = "none"
image_hw = 64
max_level = 5
fpn_channels = 16
head_depth = 1
[augmentation]
level = "light"
[train]
steps = 60
batch_size = 4
optimizer = "sgd"
learning_rate = 0.005
checkpoint_minutes = 0.00001
tensorboard = false
probe_images = 0
reestimate_batchnorm = 2
eval_every_epochs = 1000
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cluster")
    generate_dataset(path / "data", images={"train": 8}, image_hw=(96, 128))
    write_text(path / "config.toml", CONFIG)
    return path


@pytest.fixture(scope="module")
def alone(directory: Path) -> Path:
    """The RUN of one process."""
    result = train_here(directory, "alone", *UNSAVED)
    assert result.exit_code == 0, result.output
    return directory / "alone"


def train_here(directory: Path, run: str, *options: str, tf_config: str = "") -> Result:
    """Train in this process, which has imported TensorFlow already."""
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_backbone(patch)
        patch.setenv("TF_CONFIG", tf_config)
        arguments = ["train", str(directory / "config.toml"), "--out", str(directory / run)]
        return CliRunner().invoke(main, [*arguments, *options])


class Worker:
    """A process, its output, and what it is expected to end with."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def check(self, code: int) -> str:
        """Wait for the end; return what was said."""
        assert self.process.wait(PATIENCE_SECONDS) == code, self.output()
        return self.output()


def train(
    directory: Path, run: str, *options: str, before: tuple[str, ...] = (), tf_config: str = ""
) -> Worker:
    number = len(list(directory.glob("*.log")))
    log = directory / f"{number}.log"
    command = [sys.executable, "-m", "tests.training.worker", *before, "train"]
    with open(log, "wb") as stream:
        process = subprocess.Popen(
            [*command, str(directory / "config.toml"), "--out", str(directory / run), *options],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TF_CONFIG": tf_config, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    return Worker(process, log)


def train_in_cluster(directory: Path, run: str, *own: tuple[str, ...]) -> list[Worker]:
    """Start two workers; `own` are the further options of each."""
    hosts = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    configs = [{"cluster": hosts, "task": {"type": "worker", "index": i}} for i in range(2)]
    return [
        train(directory, run, *options, tf_config=json.dumps(config))
        for config, options in zip(configs, own or ((), ()), strict=True)
    ]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def losses(run: Path) -> dict[int, list[float]]:
    """The figures of each logged step: losses, gradient's norm, and two figures of the anchors."""
    names = ("cls_loss", "box_loss", "positive_cls_loss", "positives", "gradient_norm")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: [line[name] for name in names] for line in lines if "loss" in line}


def assert_same_training(run: Path, other: Path) -> None:
    found, expected = losses(run), losses(other)
    assert list(found) == list(expected) == [1, *range(20, STEPS + 1, 20)]
    for step, values in expected.items():
        where = f"step {step}"
        np.testing.assert_allclose(found[step], values, rtol=TOLERANCE, err_msg=where)
        np.testing.assert_allclose(
            found[step][:-1], values[:-1], rtol=LOSS_TOLERANCE, err_msg=where
        )
    trained = weights_of(run)
    for name, weights in weights_of(other).items():
        # The scale of one that starts at 0 is that of its changes.
        limit = TOLERANCE * max(np.abs(weights).max(), 0.1)
        if "moving_variance" in name:  # without the fused kernel's N / (N - 1); N is 16 at least
            limit = np.abs(weights).max() / 15
        np.testing.assert_allclose(trained[name], weights, atol=limit, rtol=0, err_msg=name)


def weights_of(run: Path) -> dict[str, np.ndarray]:
    import h5py

    found: dict[str, np.ndarray] = {}
    with h5py.File(run / "float" / "best.h5", "r") as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.fixture
def stopping() -> Iterator[list[Worker]]:
    """Workers that are killed if the test leaves them."""
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.process.kill()


def test_two_workers_train_like_one_process_though_one_is_killed(
    directory: Path, alone: Path, stopping: list[Worker]
) -> None:
    stopping += train_in_cluster(directory, "cluster")
    chief, worker = stopping
    saved = directory / "cluster" / "float" / "checkpoint" / f"step-{SAVED}.index"
    until = time.monotonic() + PATIENCE_SECONDS
    while not saved.exists() and time.monotonic() < until and chief.process.poll() is None:
        time.sleep(0.02)
    worker.process.send_signal(signal.SIGKILL)
    said = chief.check(1).splitlines()[-1]
    assert "worker 0 of 2" in said
    assert "lost another one" in said
    assert "go on from the last checkpoint" in said
    assert not (directory / "cluster" / "float" / "best.h5").exists()
    shutil.copytree(directory / "cluster", directory / "moved")

    again = train_in_cluster(directory, "cluster")
    stopping += again
    assert "float model: " in again[0].check(0)
    told = again[1].check(0)
    assert "worker 1 of 2" in told
    assert "going on from step" in told
    assert "trained; worker 0 writes the RUN" in told
    assert_same_training(directory / "cluster", alone)

    # The checkpoint of a cluster is good for a single process too.
    moved = train_here(directory, "moved", *UNSAVED)
    assert moved.exit_code == 0, moved.output
    assert "going on from step" in moved.stderr
    assert_same_training(directory / "moved", alone)


def test_two_devices_of_a_machine_train_like_one(directory: Path, alone: Path) -> None:
    said = train(directory, "mirrored", *MIRRORED, *UNSAVED, before=("--replicas", "2")).check(0)
    assert "training on 2 devices, all in this process" in said
    assert_same_training(directory / "mirrored", alone)


def test_workers_with_different_settings_are_told(directory: Path, stopping: list[Worker]) -> None:
    stopping += train_in_cluster(directory, "different", (), ("--set", "train.learning_rate=0.01"))
    for worker in stopping:
        said = worker.check(1).splitlines()[-1]
        assert "worker 1 has other settings or data than worker 0" in said
    assert not (directory / "different" / "float").exists()


def test_a_batch_that_cannot_be_shared_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = SimpleNamespace(num_replicas_in_sync=2)  # nothing else of it is asked for
    monkeypatch.setattr("edge_retina.training.distribution._strategy", lambda *_: two)
    result = train_here(directory, "odd", "--set", "train.batch_size=3", *MIRRORED)
    assert result.exit_code == 1
    assert (
        "train.batch_size is 3, but 2 devices share each batch; set a multiple of 2"
        in result.stderr.splitlines()[-1]
    )


def test_a_wrong_tf_config_is_refused_before_the_data_are_read(directory: Path) -> None:
    result = train_here(directory, "wrong", tf_config="{")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: TF_CONFIG: not valid JSON")
    assert "training images" not in result.stderr
    assert not (directory / "wrong").exists()


def test_parts_of_a_batch_cover_it() -> None:
    from edge_retina.cluster import Cluster
    from edge_retina.training.distribution import Distribution

    class Four:
        num_replicas_in_sync = 4

    parts = [Distribution(Four(), Cluster(("a:1", "b:1"), index)).part_of(8) for index in range(2)]
    assert [(part.first, part.images) for part in parts] == [(0, 4), (4, 4)]
    with pytest.raises(ConfigError, match="multiple of 4"):
        Distribution(Four(), Cluster()).part_of(6)
