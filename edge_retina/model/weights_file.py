"""Weights of a Keras model as an HDF5 file that is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_retina.files import write_bytes

if TYPE_CHECKING:
    from edge_retina.model.keras import keras


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
    memory = os.memfd_create(path.name, os.MFD_CLOEXEC)
    try:
        model.save_weights(f"/proc/self/fd/{memory}", save_format="h5")
        content = os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        os.close(memory)
    write_bytes(path, content)
