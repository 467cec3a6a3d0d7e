"""Weights are brought into their form in memory: HDF5 crashes when a disk is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.model.weights_file import save_weights


def test_nothing_is_on_the_disk_before_it_is_whole(tmp_path: Path) -> None:
    class Model:
        def save_weights(self, path: str, *, save_format: str) -> None:
            assert save_format == "h5"
            assert os.listdir(tmp_path) == []
            with open(path, "wb") as stream:
                stream.write(b"weights")
            assert os.listdir(tmp_path) == []

    path = tmp_path / "float" / "best.h5"
    save_weights(Model(), path)
    assert path.read_bytes() == b"weights"
    assert os.listdir(path.parent) == ["best.h5"]


def test_a_full_disk_names_the_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Model:
        def save_weights(self, path: str, *, save_format: str) -> None:
            Path(path).write_bytes(b"new")

    def fail(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "best.h5"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        write = Path.write_bytes
        patch.setattr(
            Path, "write_bytes", lambda p, d: write(p, d) if "/proc" in str(p) else fail(p, d)
        )
        with pytest.raises(OSError, match="No space left") as error:
            save_weights(Model(), path)
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["best.h5"]


@pytest.mark.tf
def test_the_file_is_the_one_that_keras_writes(
    make_retinanet: Callable[..., Any], tmp_path: Path
) -> None:
    model, _ = make_retinanet()
    save_weights(model, tmp_path / "ours.h5")
    model.save_weights(str(tmp_path / "keras.h5"))
    assert (tmp_path / "ours.h5").read_bytes() == (tmp_path / "keras.h5").read_bytes()
    before = model.get_weights()
    model.set_weights([np.zeros_like(value) for value in before])
    model.load_weights(str(tmp_path / "ours.h5"))
    for expected, found in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
