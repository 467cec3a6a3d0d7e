"""Weights are brought into their form in memory: HDF5 crashes when a disk is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tf


def test_keras_reads_the_file_and_the_same_weights_give_the_same_bytes(
    make_retinanet: Callable[..., Any], tmp_path: Path
) -> None:
    from edge_retina.model.weights_file import save_weights

    model, _ = make_retinanet()
    save_weights(model, tmp_path / "float" / "ours.h5")
    save_weights(model, tmp_path / "again.h5")
    content = (tmp_path / "float" / "ours.h5").read_bytes()
    assert content == (tmp_path / "again.h5").read_bytes()
    before = model.get_weights()
    model.set_weights([np.zeros_like(value) for value in before])
    model.load_weights(str(tmp_path / "float" / "ours.h5"))
    for expected, found in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_full_disk_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_retina.model.keras import keras
    from edge_retina.model.weights_file import save_weights

    def fail(path: Path, _data: bytes) -> None:
        path.open("wb").close()
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "best.h5"
    path.write_bytes(b"old")
    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left") as error:
        save_weights(keras.Sequential([keras.layers.Dense(1, input_shape=(1,))]), path)
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["best.h5"]
