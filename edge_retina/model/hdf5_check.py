"""What a weights file (HDF5, as Keras writes it) must hold to before its arrays are read.

The format can promise far more than a file has: arrays that were never written are made up, links
lead into other files, and groups may contain themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# What h5py makes of a damaged file
DAMAGED_HDF5 = (
    *(OSError, ValueError, LookupError, RuntimeError, TypeError, AttributeError),
    *(OverflowError, MemoryError, AssertionError),
)


def check_weights_file(path: Path) -> None:
    """Refuse a file whose arrays are larger than it is, or that needs other files.

    Raises:
        ValueError: see above; the text says which. What else h5py raises (`DAMAGED_HDF5`) is for a
            file that it can't read.
    """
    import h5py  # comes with TensorFlow; not needed on a device

    with h5py.File(path, "r") as file:
        size_bytes = _size_bytes(file, set())
    if size_bytes > path.stat().st_size:  # Keras doesn't compress
        raise ValueError(
            f"its arrays would take {size_bytes} bytes, and the file has {path.stat().st_size}"
        )


def _size_bytes(group: Any, seen: set[int]) -> int:
    """Return the bytes of all arrays below a group, each counted once."""
    import h5py

    total = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link to another place or file")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(item, h5py.Group):
            total += _size_bytes(item, seen)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"{name!r} lies in another file")
            total += item.nbytes
    return total
