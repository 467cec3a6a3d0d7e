"""metrics.jsonl and TensorBoard: the same numbers in a form for programs and one for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from edge_retina.files import write_text
from edge_retina.model.keras import tf


class MetricsLog:
    """Appends one JSON object a line; numbers also go to TensorBoard when it has a directory."""

    def __init__(
        self, path: Path | None, *, tensorboard: Path | None = None, first_step: int = 0
    ) -> None:
        """Open the log; lines after `first_step`, of a run that was cut short, are dropped.

        Without a path nothing is logged.
        """
        self._stream: IO[str] | None = None
        if path is not None:
            write_text(path, "".join(_lines_until(path, first_step)))
            self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._writer = tf.summary.create_file_writer(str(tensorboard)) if tensorboard else None

    def write(self, step: int, **values: Any) -> None:
        """Log `values` of a step."""
        if self._stream is not None:
            self._stream.write(json.dumps({"step": step, **values}) + "\n")
            self._stream.flush()
        if self._writer is not None:
            with self._writer.as_default(step=step):
                for name, value in values.items():
                    if isinstance(value, (int, float)):
                        tf.summary.scalar(name, value)

    def close(self) -> None:
        """Finish both files."""
        if self._stream is not None:
            self._stream.close()
        if self._writer is not None:
            self._writer.close()


def _lines_until(path: Path, step: int) -> list[str]:
    if not step or not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]  # the last may have been cut
    return [line for line in whole if json.loads(line)["step"] <= step]
