"""TFLite metadata inside a file, and the options of detectors without NMS in it."""

from __future__ import annotations

import json
from pathlib import Path

from edge_retina.runtime.anchor_file import described_anchors
from edge_retina.runtime.metadata import read_detector_options, unpack
from edge_retina.runtime.normalization import stated_normalization
from tests.fuzz.target import Target


def check(content: bytes, name: str, directory: Path) -> None:
    """Unpack it and use all that is used of it."""
    metadata = unpack(content, where=name)
    json.dumps(metadata, default=str)
    stated_normalization(metadata)
    options = read_detector_options(metadata, where=name)
    if options is not None:
        described_anchors(options)


TARGET = Target("metadata", check)
