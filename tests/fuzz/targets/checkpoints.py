"""What a training goes on from: checkpoints, its state, its log, and weights of a RUN or elsewhere.

TensorFlow is imported in the copies only: it can't be copied once it has threads. The network is
built once for each copy, and gets the damaged weights of all its cases. Refused ones must leave it
as it was.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_retina.errors import EdgeRetinaError
from tests.fuzz.target import CORPUS, Target

_STEM = "step-1"


@functools.cache
def _network() -> Any:
    from edge_retina.model.keras import keras

    dense = keras.layers.Dense(2, input_shape=(3,), name="dense")
    return keras.Sequential([dense], name="network")


class _Weights:
    """Stands for a quantised model: two arrays by name."""

    def __init__(self) -> None:
        dense = _network().layers[0]
        self._variables = {"dense/kernel": dense.kernel, "dense/bias": dense.bias}

    def set_weights(self, values: dict[str, Any]) -> None:
        from edge_retina.quantization.quantized_model import assign_all

        assign_all(self._variables, values)


@contextlib.contextmanager
def _unchanged_if_refused() -> Iterator[None]:
    """Hold the network's weights against those before, if the file in it is refused."""
    import numpy as np

    before = [np.full(value.shape, 7, np.float32) for value in _network().get_weights()]
    _network().set_weights(before)
    try:
        yield
    except EdgeRetinaError:
        for was, now in zip(before, _network().get_weights(), strict=True):
            assert np.array_equal(was, now)
        raise


def _check_state(content: bytes) -> None:
    """Read the state of a training, which must be taken over whole or not at all."""
    state = _objects()["state"]
    state.step = before = 12345
    with contextlib.suppress(ValueError):  # `Checkpoints.restore` makes a RunError of it
        state.deserialize(content)
        state.serialize()
        return
    assert state.step == before
    assert state.selection.best is None


def _objects() -> dict[str, Any]:
    from edge_retina.model.keras import tf
    from edge_retina.training.training_state import TrainingState

    return {"weights": tf.Variable([0.0] * 8), "state": TrainingState()}


def make_corpus() -> None:
    """Write the files of the corpus; they are kept in the repository."""
    import numpy as np

    from edge_retina.training.checkpoints import Checkpoints
    from tests.training.weights_file import write_weights

    directory = CORPUS / "checkpoints"
    objects = _objects()
    objects["state"].step = 1
    Checkpoints(directory, **objects).save(1)
    (directory / "state.npz").write_bytes(objects["state"].serialize())
    _network().save_weights(str(directory / "best.h5"))
    write_weights(directory / "init.h5", classes=2)
    weights = {"dense/kernel": np.ones((3, 2), np.float32), "dense/bias": np.ones(2, np.float32)}
    np.savez(directory / "weights.npz", **weights)
    (directory / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "loss": 2}\n')


def check(content: bytes, name: str, directory: Path) -> None:
    """Read the file as the commands do, the other part of a checkpoint being whole."""
    from edge_retina.model.predictor import load_weights
    from edge_retina.quantization import state as quantized_state
    from edge_retina.training.checkpoints import Checkpoints
    from edge_retina.training.init_source import LAST_CLASS, read_weights
    from edge_retina.training.metrics_log import _lines_until

    path = directory / name
    path.write_bytes(content)
    if name.startswith(_STEM):
        for other in (CORPUS / "checkpoints").glob(f"{_STEM}.*"):
            if other.name != name:
                (directory / other.name).write_bytes(other.read_bytes())
        Checkpoints(directory, **_objects()).restore()
    elif name == "state.npz":
        _check_state(content)
    elif name == "best.h5":
        with _unchanged_if_refused():
            load_weights(_network(), path)
    elif name == "init.h5":
        found = read_weights(path)
        assert found[LAST_CLASS]["kernel"].ndim == 4
    elif name == "weights.npz":
        with _unchanged_if_refused():
            quantized_state.load_weights(_Weights(), path)  # type: ignore[arg-type]
    else:
        assert name == "metrics.jsonl"
        _lines_until(path, 1)


TARGET = Target("checkpoints", check, tensorflow=True)

if __name__ == "__main__":
    make_corpus()
