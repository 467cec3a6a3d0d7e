"""TF_CONFIG: which processes train together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge_retina.cluster import Cluster, read_cluster
from edge_retina.errors import ConfigError

TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]


def read(cluster: Any, task: Any) -> Cluster:
    return read_cluster({"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})})


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"cluster": {}}'])
def test_without_a_cluster_this_process_trains_alone(text: str) -> None:
    cluster = read_cluster({"TF_CONFIG": text})
    assert (cluster.workers, cluster.is_chief) == (1, True)


def test_without_the_variable_this_process_trains_alone() -> None:
    assert read_cluster({}) == Cluster()


@pytest.mark.parametrize("index", [0, 1])
def test_the_first_worker_is_the_chief(index: int) -> None:
    cluster = read({"worker": TWO}, {"type": "worker", "index": index})
    assert (cluster.addresses, cluster.index) == (tuple(TWO), index)
    assert cluster.is_chief == (index == 0)
    assert cluster.this_worker == f"worker {index} of 2 ({TWO[index]})"


def test_a_chief_of_its_own_comes_before_the_workers() -> None:
    hosts = {"worker": TWO, "chief": ["10.0.0.3:2222"]}
    assert read(hosts, {"type": "chief", "index": 0}).is_chief
    first = read(hosts, {"type": "worker", "index": 0})
    assert (first.index, first.workers) == (1, 3)
    assert first.addresses[0] == "10.0.0.3:2222"


@pytest.mark.parametrize(
    "cluster, task, said",
    [
        ({"worker": TWO}, {"type": "worker", "index": 2}, "none of the processes"),
        ({"worker": TWO}, {"type": "chief", "index": 0}, "none of the processes"),
        ({"worker": TWO}, {}, "none of the processes"),
        ({"worker": TWO}, {"type": "worker", "index": "0"}, "none of the processes"),
        ({"worker": TWO}, {"type": ["worker"], "index": 0}, "none of the processes"),
        ({"worker": TWO, "ps": TWO}, {"type": "worker", "index": 0}, "cluster has 'ps'"),
        ({"worker": [TWO[0], TWO[0]]}, {"type": "worker", "index": 0}, "address of its own"),
        ({"chief": TWO}, {"type": "chief", "index": 0}, "at most one chief"),
        ({"worker": "10.0.0.1:2222"}, {"type": "worker", "index": 0}, "list of HOST:PORT"),
        ({"worker": ["10.0.0.1"]}, {"type": "worker", "index": 0}, "list of HOST:PORT"),
        ({"worker": ["10.0.0.1:http"]}, {"type": "worker", "index": 0}, "list of HOST:PORT"),
        ({"worker": [2222]}, {"type": "worker", "index": 0}, "list of HOST:PORT"),
        ([TWO], {"type": "worker", "index": 0}, "expected {"),
        ({"worker": TWO}, "worker 0", "expected {"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(cluster: Any, task: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^TF_CONFIG: .*{said}") as caught:
        read(cluster, task)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "worker:0", "[" * 100_000, "[]", "1"])
def test_text_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^TF_CONFIG: .*expected \{"):
        read_cluster({"TF_CONFIG": text})
