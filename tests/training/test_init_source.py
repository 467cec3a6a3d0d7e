"""Weights to start from are read without TensorFlow; what is none is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_retina.config import Config
from edge_retina.errors import ModelError
from edge_retina.run_directory import RunDirectory
from edge_retina.training.init_source import find_source, read_weights
from tests.training.weights_file import write_weights

h5py: Any = pytest.importorskip("h5py", reason="comes with TensorFlow")


def test_weights_by_layer_and_variable(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "best.h5", classes=3)
    found = read_weights(path)
    assert {name: sorted(variables) for name, variables in found.items()} == {
        "box_out_pw": ["bias", "kernel"],
        "cls_out_pw": ["bias", "kernel"],
    }
    np.testing.assert_array_equal(found["cls_out_pw"]["bias"], [0, 1, 2])


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def test_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.h5"
    path.write_text("weights")
    message = refused(path)
    assert message.startswith("not a Keras weights file (")
    assert message.endswith("; expected the float/best.h5 of a RUN")


def test_a_file_cut_in_half(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "best.h5", classes=3)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "truncated file" in refused(path)


def test_a_backbone_alone(tmp_path: Path) -> None:
    path = tmp_path / "imagenet.h5"
    with h5py.File(path, "w") as file:
        file["Conv1/Conv1/kernel:0"] = np.zeros((3, 3, 3, 16), np.float32)
        file["top_level"] = np.zeros(3)
    assert refused(path) == (
        "its weights are no detector's (no layer cls_out_pw); expected the float/best.h5 of a "
        "RUN. Those of a backbone alone are for model.pretrained"
    )


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        find_source(tmp_path / "gone.h5")
    assert str(caught.value) == (
        f"{tmp_path}/gone.h5: no such file or directory; expected a RUN or a weights file"
    )


def test_a_run_and_its_file_are_the_same(tmp_path: Path) -> None:
    labels = ("bus", "car")
    run = RunDirectory(tmp_path / "run")
    run.save_config(Config())
    run.save_labels(labels)
    run.float_weights.parent.mkdir()
    run.float_weights.touch()
    by_run, by_file = find_source(run.root), find_source(run.float_weights)
    assert by_run.weights_file == by_file.weights_file == run.float_weights
    assert by_run.labels == by_file.labels == labels
    assert (by_run.run, by_file.run) == (run, None)
