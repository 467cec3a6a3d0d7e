"""What a checkpoint holds of a training beside weights and optimizer."""

from __future__ import annotations

import dataclasses
import io
import json
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from edge_retina.evaluation.matches import Matches
from edge_retina.files import parse_json
from edge_retina.model.keras import tf
from edge_retina.training.loss_window import LossWindow
from edge_retina.training.selection import EvaluatedState, StateSelection

# What numpy and zipfile raise for an archive that is damaged
_DAMAGED = (
    *(ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, struct.error),
    *(MemoryError, OverflowError, RuntimeError, TypeError, LookupError, AttributeError),
)


class TrainingState(tf.train.experimental.PythonState):
    """How far a training is. A resumed one goes on as if it had not been interrupted.

    Attributes:
        step: number of steps done.
        seconds: of work, without what an interruption lost.
        window: losses that are not logged yet.
        selection: the states evaluated so far; their weights are lists of arrays.
    """

    def __init__(self) -> None:
        self.step, self.seconds = 0, 0.0
        self.window, self.selection = LossWindow(), StateSelection()

    def serialize(self) -> bytes:
        """Return everything as the bytes of an .npz file."""
        selection = self.selection
        states = {"best": selection.best, "last": selection.last}
        if selection.last is selection.best:
            del states["last"]
        plain = {
            "step": self.step,
            "seconds": self.seconds,
            "window": self.window.values,
            "figures": self.window.figures,
            "count": selection.count,
            "states": {name: [state.step, state.mAP] for name, state in states.items() if state},
        }
        arrays = {"plain": np.frombuffer(json.dumps(plain).encode(), np.uint8)}
        for name, state in states.items():
            if state is not None:
                arrays |= _to_arrays(name, state)
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy types **kwds so
        return stream.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        """Take over what `serialize` returned.

        Raises:
            ValueError: it is something else.
        """
        try:
            self._take(string_value)
        except _DAMAGED as error:
            raise ValueError(f"the state of the training is damaged ({error!r})") from None

    def _take(self, packed: bytes) -> None:
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            arrays = dict(file)
        plain = parse_json(arrays["plain"].tobytes().decode("utf-8"))
        step, seconds = int(plain["step"]), float(plain["seconds"])
        values, figures = dict(plain["window"]), dict(plain.get("figures", {}))
        states = {
            name: _from_arrays(name, arrays, step=step, mean_ap=mean_ap)
            for name, (step, mean_ap) in plain["states"].items()
        }
        count, best = int(plain["count"]), states.get("best")
        # All is there: from here on nothing fails, so that nothing is taken over by half.
        self.step, self.seconds = step, seconds
        self.window.values, self.window.figures = values, figures
        self.selection.count, self.selection.best = count, best
        self.selection.last = states.get("last", best)


def _to_arrays(name: str, state: EvaluatedState) -> dict[str, np.ndarray]:
    matches = {f"{name}/{key}": value for key, value in dataclasses.asdict(state.matches).items()}
    weights = {f"{name}/weights/{i:05}": value for i, value in enumerate(state.weights)}
    return matches | weights


def _from_arrays(name: str, arrays: dict[str, Any], *, step: int, mean_ap: float) -> EvaluatedState:
    fields = dataclasses.fields(Matches)
    matches = Matches(**{field.name: arrays[f"{name}/{field.name}"] for field in fields})
    keys = sorted(key for key in arrays if key.startswith(f"{name}/weights/"))
    return EvaluatedState(step, mean_ap, matches, [arrays[key] for key in keys])
