"""Packages that an adapter needs and this package doesn't install."""

from __future__ import annotations

import importlib
from typing import Any

from edge_retina.errors import EdgeRetinaError


def import_other(name: str) -> Any:
    """Import a package of someone else's.

    Raises:
        EdgeRetinaError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise EdgeRetinaError(
            f"this needs the package {name}, which is not installed: pip install {name}"
        ) from None
