"""The machines of a training, as TF_CONFIG names them.

TF_CONFIG is TensorFlow's environment variable for it. Each process of a training has the same
cluster in it and its own task:

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
     "task": {"type": "worker", "index": 0}}

Source: tf.distribute.cluster_resolver.TFConfigClusterResolver.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_retina.errors import ConfigError

VARIABLE = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """The processes that train one model together.

    Attributes:
        addresses: HOST:PORT of every process, the chief's first.
        index: of this process.
    """

    addresses: tuple[str, ...] = ("",)
    index: int = 0

    @property
    def workers(self) -> int:
        """The number of processes."""
        return len(self.addresses)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the RUN."""
        return self.index == 0

    @property
    def this_worker(self) -> str:
        """This process as messages call it."""
        return f"worker {self.index} of {self.workers} ({self.addresses[self.index]})"


def cluster_of(distribution: str) -> Cluster:
    """Return the processes of a training with this `train.distribution`.

    Raises:
        ConfigError: TF_CONFIG can't be used.
    """
    return read_cluster() if distribution == "auto" else Cluster()


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Return the cluster of TF_CONFIG; this process alone if it isn't set or names one process.

    Raises:
        ConfigError: it can't be used; the message says what it should look like.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return Cluster()
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{VARIABLE}: not valid JSON ({error}); expected {_EXAMPLE}") from None
    hosts, task = (tree.get(key, {}) if isinstance(tree, dict) else None for key in _KEYS)
    if not isinstance(hosts, dict) or not isinstance(task, dict):
        raise ConfigError(f"{VARIABLE}: got {text[:200]}; expected {_EXAMPLE}")
    if not hosts:
        return Cluster()
    return _cluster(hosts, task)


_KEYS = ("cluster", "task")
_KINDS = ("chief", "worker")  # in this order they are numbered


def _cluster(hosts: dict[str, Any], task: dict[str, Any]) -> Cluster:
    other = next((kind for kind in hosts if kind not in _KINDS), None)
    if other is not None:
        raise ConfigError(
            f"{VARIABLE}: cluster has '{other}'; expected 'worker', and perhaps one 'chief': "
            "parameter servers and evaluators are not used"
        )
    for kind, addresses in hosts.items():
        named = isinstance(addresses, list) and all(_is_address(item) for item in addresses)
        if not named:
            raise ConfigError(
                f"{VARIABLE}: cluster.{kind} is {addresses!r}; expected a list of HOST:PORT"
            )
    places = [(kind, index) for kind in _KINDS for index in range(len(hosts.get(kind, [])))]
    addresses = tuple(hosts[kind][index] for kind, index in places)
    if len(set(addresses)) < len(addresses) or len(hosts.get("chief", [])) > 1:
        raise ConfigError(
            f"{VARIABLE}: cluster is {json.dumps(hosts)}; expected an address of its own for each "
            "process, and at most one chief"
        )
    own = (task.get("type"), task.get("index"))
    if own not in places:
        raise ConfigError(
            f"{VARIABLE}: task is {json.dumps(task)}, which is none of the processes of the "
            f"cluster; expected e.g. {json.dumps({'type': places[0][0], 'index': places[0][1]})}"
        )
    return Cluster(addresses, places.index((str(own[0]), int(own[1]))))


def _is_address(value: Any) -> bool:
    host, colon, port = str(value).rpartition(":")
    return isinstance(value, str) and bool(host and colon) and port.isdecimal()
