"""Logging to standard error, so that standard output contains only results."""

from __future__ import annotations

import logging
import os
import sys


def configure_logging(*, debug: bool = False) -> None:
    """Send our messages from INFO (or DEBUG) up, and other packages' warnings, to standard error.

    Must run before TensorFlow is imported: its C++ code reads the log level once, on import.
    """
    if debug:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"  # everything
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
    logging.basicConfig(level=logging.WARNING, handlers=[_handler()], force=True)
    logging.getLogger("edge_retina").setLevel(logging.DEBUG if debug else logging.INFO)


def _handler() -> logging.Handler:
    if sys.stderr.isatty():
        # Imported here: it takes longer than everything else --help needs.
        from rich.console import Console
        from rich.logging import RichHandler

        return RichHandler(
            console=Console(stderr=True), show_path=False, log_time_format="%H:%M:%S"
        )
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    return handler
