"""The cluster files give every worker a TF_CONFIG that can be used."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from edge_retina.cluster import Cluster, read_cluster

# In place of the command: what it would have been started with.
_FAKE_COMMAND = '#!/bin/sh\necho "$TF_CONFIG" | tr -d "\\n"\necho\necho "$@"\n'
_FAKE_SCONTROL = '#!/bin/sh\n[ "$*" = "show hostnames node[1-2]" ] && printf "node1\\nnode2\\n"\n'
_FAKE_SRUN = '#!/bin/sh\n[ "$1" = --kill-on-bad-exit=1 ] && shift && exec "$@"\n'


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, text in (
        ("edge-retina", _FAKE_COMMAND),
        ("scontrol", _FAKE_SCONTROL),
        ("srun", _FAKE_SRUN),
    ):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    return directory


def run(command: list[str], commands: Path, **variables: str) -> tuple[Cluster, str]:
    environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", **variables}
    said = subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True
    ).stdout
    tf_config, arguments = said.splitlines()
    return read_cluster({"TF_CONFIG": tf_config}), arguments


@pytest.mark.parametrize("index", [0, 1])
def test_kubernetes(repository: Path, commands: Path, index: int) -> None:
    text = (repository / "examples" / "cluster" / "kubernetes.yaml").read_text()
    service, job = yaml.safe_load_all(text)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    cluster, arguments = run(
        [*container["command"], *container["args"]], commands, JOB_COMPLETION_INDEX=str(index)
    )
    assert cluster.index == index
    assert cluster.workers == job["spec"]["completions"] == job["spec"]["parallelism"]
    # Kubernetes names the pods of an indexed job so, below the name of the service.
    name = job["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": name}
    assert job["spec"]["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    port = container["ports"][0]["containerPort"]
    assert cluster.addresses == tuple(f"{name}-{i}.{name}:{port}" for i in range(cluster.workers))
    assert arguments == "train /mnt/retina/config.toml --out /mnt/retina/runs/mine"


@pytest.mark.parametrize("index", [0, 1])
def test_slurm(repository: Path, commands: Path, index: int) -> None:
    script = repository / "examples" / "cluster" / "slurm.sh"
    cluster, arguments = run(
        ["bash", str(script), "my config.toml", "runs/mine"],
        commands,
        SLURM_JOB_NODELIST="node[1-2]",
        SLURM_JOB_ID="123456",
        SLURM_PROCID=str(index),
    )
    assert cluster == Cluster(("node1:23456", "node2:23456"), index)
    assert arguments == "train my config.toml --out runs/mine"
