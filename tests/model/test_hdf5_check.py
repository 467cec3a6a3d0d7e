"""Weights files that promise more than they hold, or lead elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.errors import ModelError
from edge_retina.training.init_source import read_weights
from tests.training.weights_file import write_weights

h5py: Any = pytest.importorskip("h5py", reason="comes with TensorFlow")


def _huge(file: Any) -> None:
    """Never written, so it takes no room in the file; read, it would be 4 GB."""
    file.create_dataset("p3/kernel", (2**15, 2**15), np.float32, chunks=(2**10, 2**10))


def _elsewhere(file: Any) -> None:
    file.create_dataset("p3/kernel", (8,), np.uint8, external=[("/etc/hostname", 0, 8)])


def _virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (4,))
    file.create_virtual_dataset("kernel", layout)


@pytest.mark.parametrize(
    "add, message",
    [
        (_huge, "its arrays would take 4294967"),
        (_elsewhere, "'kernel' lies in another file"),
        (_virtual, "'kernel' lies in another file"),
        (lambda f: f.update(p3=h5py.ExternalLink("other.h5", "p3")), "'p3' is a link to another"),
        (lambda f: f.update(p3=h5py.SoftLink("/cls_out_pw")), "'p3' is a link to another place"),
        (lambda f: f.update({"p3/a": np.array(b"text")}), "/p3/a holds |S4, not numbers"),
    ],
    ids=["huge", "external data", "virtual", "external link", "soft link", "text"],
)
def test_what_is_refused(tmp_path: Path, add: Callable[[Any], object], message: str) -> None:
    path = write_weights(tmp_path / "a.h5", classes=2)
    with h5py.File(path, "a") as file:
        group = file.require_group("layers") if add is _virtual else file
        add(group)
    with pytest.raises(ModelError) as error:
        read_weights(path)
    assert str(error.value).startswith(f"{path}: not a Keras weights file (")
    assert message in str(error.value)


def test_a_group_that_contains_itself_is_gone_through_once(tmp_path: Path) -> None:
    from edge_retina.model.hdf5_check import check_weights_file

    path = write_weights(tmp_path / "a.h5", classes=2)
    with h5py.File(path, "a") as file:
        file["cls_out_pw/again"] = file["cls_out_pw"]
    check_weights_file(path)


@pytest.mark.tf
def test_weights_that_are_refused_leave_the_model_as_it_was(tmp_path: Path) -> None:
    """The first layer fits and Keras has taken it when it comes to the second."""
    from edge_retina.errors import RunError
    from edge_retina.model.keras import keras
    from edge_retina.model.predictor import load_weights

    def network(outputs: int) -> Any:
        first = keras.layers.Dense(3, input_shape=(2,), name="one")
        return keras.Sequential([first, keras.layers.Dense(outputs, name="two")])

    network(5).save_weights(str(tmp_path / "other.h5"))
    model = network(4)
    before = model.get_weights()
    with pytest.raises(RunError, match="damaged, or of another network"):
        load_weights(model, tmp_path / "other.h5")
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


@pytest.mark.tf
@pytest.mark.parametrize(
    "second",
    [None, np.zeros(4, np.float32), np.array(["a", "b", "c"])],
    ids=["missing", "shape", "text"],
)
def test_all_variables_are_set_or_none(second: Any) -> None:
    from edge_retina.model.keras import tf
    from edge_retina.quantization.quantized_model import assign_all

    variables = {"a/kernel": tf.Variable([1.0, 2.0]), "a/bias": tf.Variable([3.0, 4.0, 5.0])}
    values = {"a/kernel": np.array([9, 9], np.float32)}
    if second is not None:
        values["a/bias"] = second
    with pytest.raises((KeyError, ValueError, TypeError)):
        assign_all(variables, values)
    assert variables["a/kernel"].numpy().tolist() == [1, 2]
    assign_all(variables, {**values, "a/bias": np.array([6, 7, 8], np.float32)})
    assert variables["a/kernel"].numpy().tolist() == [9, 9]
    assert variables["a/bias"].numpy().tolist() == [6, 7, 8]
