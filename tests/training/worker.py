"""One process of a training on several devices, with a tiny backbone; run by the tests.

    python -m tests.training.worker [--replicas N] ARGUMENT ...

The arguments are those of `edge-retina`. With `--replicas` the process has so many CPU devices, and
trains on all of them.
"""

from __future__ import annotations

import functools
import sys

import pytest

from tests.training.tiny_backbone import use_tiny_backbone


def main(arguments: list[str]) -> None:
    monkeypatch = pytest.MonkeyPatch()
    use_tiny_backbone(monkeypatch)
    if arguments[0] == "--replicas":
        _use_replicas(monkeypatch, int(arguments[1]))
        arguments = arguments[2:]

    from edge_retina.cli.main import main as command

    command(arguments)


def _use_replicas(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    from edge_retina.model.keras import tf
    from edge_retina.training import distribution

    (processor,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    tf.config.set_logical_device_configuration(processor, devices)
    names = [item.name for item in tf.config.list_logical_devices("CPU")]
    opened = functools.partial(distribution.open_distribution, devices=names)
    monkeypatch.setattr(distribution, "open_distribution", opened)


if __name__ == "__main__":
    main(sys.argv[1:])
