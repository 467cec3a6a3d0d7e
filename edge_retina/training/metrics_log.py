"""metrics.jsonl, TensorBoard and sinks: the same numbers for programs, people and services."""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edge_retina.errors import RunError, first_line
from edge_retina.files import naming_full_disk, parse_json, read_small_text, write_text
from edge_retina.model.keras import tf
from edge_retina.training.metric_sinks import MetricSink

log = logging.getLogger(__name__)


class MetricsLog:
    """Appends one JSON object a line; its numbers also go to TensorBoard and to sinks."""

    def __init__(
        self,
        path: Path | None,
        *,
        tensorboard: Path | None = None,
        sinks: Sequence[MetricSink] = (),
        first_step: int = 0,
    ) -> None:
        """Open the log; lines after `first_step`, of a run that was cut short, are dropped.

        Args:
            path: of metrics.jsonl; None for no such file.
            tensorboard: directory of its event files; None for no such files. Without the package
                tensorboard there are none either, and a warning says so.
            sinks: open; closed with the log.
            first_step: number of steps done so far.
        """
        self._stream: IO[str] | None = None
        if path is not None:
            write_text(path, "".join(_lines_until(path, first_step)))
            self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._sinks = tuple(sinks)
        self._tensorboard_dir = tensorboard
        with self._tensorboard():
            self._writer = _open_writer(tensorboard) if tensorboard else None

    def write(self, step: int, **values: Any) -> None:
        """Log `values` of a step."""
        if self._stream is not None:
            with naming_full_disk(self._stream.name):
                self._stream.write(json.dumps({"step": step, **values}) + "\n")
                self._stream.flush()
        numbers = dict(flat_numbers(values))
        if self._writer is not None:
            with self._tensorboard(), self._writer.as_default():
                # One call: each `tf.summary.scalar` would take a tenth of a millisecond.
                tf.summary.experimental.write_raw_pb(_summary(numbers), step)
        for sink in self._sinks:
            sink.write(step, numbers)

    def close(self) -> None:
        """Finish the files and the sinks."""
        if self._stream is not None:
            with naming_full_disk(self._stream.name):
                self._stream.close()
        if self._writer is not None:
            with self._tensorboard():
                self._writer.close()
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def _tensorboard(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:  # of a full disk or a directory that is gone
            raise RunError(
                f"{self._tensorboard_dir}: TensorBoard's files can't be written "
                f"({first_line(error)}); make room there, or set train.tensorboard = false"
            ) from None


def _open_writer(directory: Path) -> Any:
    """Return a writer of event files; None without TensorBoard, which TensorFlow needs for them.

    TensorFlow brings it along up to 2.21. A training must not end because of its graphs.
    """
    if importlib.util.find_spec("tensorboard") is None:
        log.warning(
            "tensorboard is not installed: no event files in %s, the numbers are in metrics.jsonl "
            "all the same; pip install tensorboard, or set train.tensorboard=false",
            directory,
        )
        return None
    return tf.summary.create_file_writer(str(directory))


def _summary(numbers: Mapping[str, float]) -> bytes:
    """Return the numbers as TensorBoard's protocol buffer."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    parts = (scalar_pb(name, value) for name, value in numbers.items())
    return bytes(Summary(value=[part.value[0] for part in parts]).SerializeToString())


def flat_numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers of a line by name; nested ones have a path, such as `per_class/cat`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = value
        elif isinstance(value, (list, tuple)):
            inner = {str(place): item for place, item in enumerate(value)}
        else:
            if isinstance(value, (int, float)):
                yield name, value
            continue
        for below, number in flat_numbers(inner):
            yield f"{name}/{below}", number


def _lines_until(path: Path, step: int) -> list[str]:
    if not step or not path.exists():
        return []
    try:
        lines = read_small_text(path).splitlines(keepends=True)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    whole = [line for line in lines if line.endswith("\n")]  # the last may have been cut
    return [line for number, line in enumerate(whole, 1) if _step_of(line, number, path) <= step]


def _step_of(line: str, number: int, path: Path) -> int:
    try:
        step = parse_json(line)["step"]
    except (ValueError, TypeError, KeyError, IndexError):
        step = None
    if type(step) is not int:
        raise _damaged(path, f"line {number} is no object with a step")
    return int(step)


def _damaged(path: Path, what: str) -> RunError:
    return RunError(
        f"{path}: damaged ({what}); repair or delete it, and the training goes on without what it "
        "logged before"
    )
