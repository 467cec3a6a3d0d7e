"""Where the figures of a training go besides metrics.jsonl: services that other packages connect.

A package offers a sink as an entry point of the group `edge_retina.metric_sinks`:

    [project.entry-points."edge_retina.metric_sinks"]
    mlflow = "my_package:open_sink"

`open_sink(run, config)` gets the RUN's directory as a Path and its config as plain dicts. What it
returns has `write(step, values)`, where `values` are numbers by name, and `close()`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from edge_retina.errors import ConfigError, first_line

GROUP = "edge_retina.metric_sinks"
log = logging.getLogger(__name__)


class MetricSink(Protocol):
    """Takes the figures of a training."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Take the figures of a step."""

    def close(self) -> None:
        """Finish; the training is over or was interrupted."""


class GuardedSink:
    """Calls a sink until it fails: a service that is down must not end a training."""

    def __init__(self, name: str, sink: MetricSink) -> None:
        """Take a sink and its name, for the warning."""
        self._name, self._sink = name, sink
        self._works = True

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Pass the figures on."""
        self._call(lambda: self._sink.write(step, values), f"at step {step}")

    def close(self) -> None:
        """Close the sink if it still works."""
        self._call(self._sink.close, "at the end")

    def _call(self, work: Any, when: str) -> None:
        if not self._works:
            return
        try:
            work()
        except Exception as error:  # other people's code, which may raise anything
            self._works = False
            log.warning(
                "train.metric_sinks: %s failed %s (%s: %s); it gets nothing more, metrics.jsonl "
                "goes on",
                self._name,
                when,
                type(error).__name__,
                first_line(error),
            )


def open_sinks(names: str, run: Path, config: Mapping[str, Any]) -> list[MetricSink]:
    """Open the sinks that `train.metric_sinks` names.

    Args:
        names: of entry points, by commas; "" for none.
        run: directory of the RUN.
        config: of the RUN.

    Raises:
        ConfigError: no installed package offers a sink of that name, or it can't be opened; those
            that were opened before it are closed.
    """
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    found = {point.name: point for point in entry_points(group=GROUP)} if chosen else {}
    for name in chosen:
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise ConfigError(
                f"train.metric_sinks: no installed package offers {name!r} (installed: {known}); "
                f"a package offers one by an entry point of the group {GROUP}"
            )
    sinks: list[MetricSink] = []
    with ExitStack() as opened:  # closes them unless all could be opened
        for name in chosen:
            sink = _open(found[name], run, config)
            opened.callback(sink.close)
            sinks.append(sink)
        opened.pop_all()
    return sinks


def _open(point: EntryPoint, run: Path, config: Mapping[str, Any]) -> MetricSink:
    try:
        return GuardedSink(point.name, point.load()(run, config))
    except Exception as error:  # other people's code, which may raise anything
        raise ConfigError(
            f"train.metric_sinks: {point.name} can't be opened: {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
