"""Weights of a Keras model as an HDF5 file that is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from edge_retina.files import write_bytes
from edge_retina.model.keras import keras
from edge_retina.model.keras_internals import weights_content


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights of a model.

    They are brought into their form in memory: when a disk is full, HDF5 (1.14.6, h5py 3.14) ends
    the whole process by a segmentation fault.

    Args:
        model: of any kind.
        path: of the file; replaced when the new one is whole.

    Raises:
        OSError: it can't be written; names the path.
    """
    write_bytes(path, weights_content(model))
